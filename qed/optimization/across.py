"""Whether f falls on a curve beside a direction in which it does not bend, by its values.

For t v, v the flat direction, Newton's steps in the directions w_k that bend lead to the point where w_k . grad f = 0;
there f has its least value across v. Where these values fall as one power of t at three distances at least, each a
third of the one before, f falls on the curve of such points, however high it is on the line along v.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from qed.optimization.objective import Seen
from qed.optimization.point import Judged
from qed.optimization.roundings import surely_lower
from qed.optimization.running import curvatures

Array = np.ndarray
LARGEST, FLAT = 200, 4
"""How many parameters there may be, and how many flat directions are looked at."""
DISTANCES = tuple(0.3 / 3.0**k for k in range(8))
"""Of the points, relative to 1 + |x|."""
STEPS = 8
"""How many of Newton's steps are taken."""
LEAST, SLACK = 3, 0.25
"""How many distances have to show the fall, and by how much its power may differ between them."""


def falls_across(case: Judged, flats: list[Array]) -> Array | None:
    """The one of some flat directions, to one side, beside which f falls on a curve as a power of the distance."""
    if len(case.here.x) > LARGEST or case.objective.dear:
        return None
    found = curvatures(case.objective, case.here, case.bounds)
    if found is None or not len(found[0]):
        return None
    values, vectors = found
    stiff = np.abs(values) > max(1e-10, case.rounding(len(values))) * float(np.abs(values).max(initial=0.0))
    if np.any(values[stiff] < 0) or np.all(stiff) or not np.any(stiff):
        return None
    bend, across = values[stiff], vectors[:, stiff]
    sides = (sign * v for v in flats[:FLAT] for sign in (1.0, -1.0))
    return next((v for v in sides if _falls(case, v, bend, across)), None)


def falls_along(case: Judged, flats: list[Array]) -> Array | None:
    """The flat direction along which f falls, from the point on: a fall that begins far away does not count."""
    none = np.zeros((len(case.here.x), 0))
    sides = (sign * v for v in flats for sign in (1.0, -1.0))
    return next((v for v in sides if _falls(case, v, np.zeros(0), none)), None)


def falling(case: Judged, flats: list[Array]) -> Array | None:
    """A flat direction along which f falls, or beside which it does; None where neither is seen."""
    along = falls_along(case, flats)
    return falls_across(case, flats) if along is None else along


def _falls(case: Judged, v: Array, bend: Array, across: Array) -> bool:
    """Whether f is lower at some distances, a third of each other, as a power of them, and higher at no shorter one."""
    size, falls = 1 + float(np.linalg.norm(case.here.x)), []
    for t in DISTANCES:
        there = _least(case, t * size * v, bend, across)
        if there is not None and surely_lower(case.objective, there, case.here, 2 * case.noise):
            falls.append(float(np.log(case.here.f - there.f)))
        elif falls and there is not None and surely_lower(case.objective, case.here, there, 2 * case.noise):
            return False
        elif falls:
            falls.append(-np.inf)
    falls = falls[: next((i for i, fall in enumerate(falls) if np.isinf(fall)), len(falls))]
    powers = [(a - b) / np.log(3.0) for a, b in pairwise(falls)][-LEAST + 1 :]
    return len(falls) >= LEAST and max(powers) - min(powers) <= SLACK and min(powers) > 0.5


def _least(case: Judged, move: Array, bend: Array, across: Array) -> Seen | None:
    """The point beside one where the slopes across are zero; None where it is not near, or not in the bounds."""
    at, length = case.objective.at(case.here.x + move), float(np.linalg.norm(move))
    for _ in range(STEPS):
        if not at.finite:
            return None
        step = across @ ((across.T @ at.g) / bend)
        if float(np.linalg.norm(step)) <= 1e-14 * length:
            break
        at = case.objective.at(at.x - step)
    near = float(np.linalg.norm(across.T @ (at.x - case.here.x))) <= length
    inside = case.bounds.open or np.array_equal(case.bounds.project(at.x), at.x)
    return at if at.finite and near and inside else None
