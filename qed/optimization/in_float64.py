"""What float64 shows of a point that its own dtype does not: falls, slopes, values that agree with their gradient."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from qed.answer import Answer
from qed.calculus.hessian import flatten
from qed.graph.trace import is_float
from qed.optimization.objective import Seen, Wide
from qed.optimization.point import Judged, as_tree, fall_for_ever, ways
from qed.optimization.probing import Slope, slope
from qed.optimization.running import curvatures
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
IDLE = 1e-6
"""Which part of the largest curvature is none, where it is asked along what a point may be shortened."""
WHOLE, NEARLY = 12, 0.05
"""Up to which largest whole number the numbers of a direction are rounded, and how far they may be from that."""
OUT, FADED = 1e3, 64.0
"""How far out along a ray f is asked, and how many roundings of 1 it may fall by until there, to have faded."""
BENT = 200
"""Of how many parameters at most curvatures are asked in float64, a product each."""


def falls_in_float64(case: Judged, directions: list[Array]) -> Answer[Verdict] | None:
    """The answer that f falls for ever, in float64, along a ray along which its own dtype does not tell it."""
    wide = Wide.of(case.objective)
    if wide is None:
        return None
    here = wide.at(case.here.x)
    if not here.finite or not np.any(here.g):
        return None
    bends = curvatures(wide, here, case.bounds) if len(here.x) <= BENT else None
    if bends is not None and case.bounds.open and (short := _without_idle_parts(wide, here, bends)) is not here:
        here, bends = short, curvatures(wide, short, case.bounds)
    there = replace(case, objective=wide, here=here)
    tried = [*directions, *ways(there, bends)]
    found = fall_for_ever(there, here, tried)
    found = fall_for_ever(there, here, in_short_numbers(tried)) if found is None else found
    if found is None:
        return None
    text = f"{found.headline} That is seen in float64; in {case.objective.function.dtype} the point looks flat."
    assert found.value is not None
    return case.says(found.value.kind, text, direction=found.value.direction)


def faded_in_float64(case: Judged) -> Answer[Verdict] | None:
    """The answer that f falls on for ever, by no more than its own dtype's roundings of numbers of size 1.

    A network that tells its classes apart ends where gradients are roundings, and curvatures of both signs are left:
    a saddle to look at, though no critical point is near, and what f can still fall by is less than its dtype shows.
    """
    found = falls_in_float64(case, [])
    if found is None or found.value is None or found.value.kind is not Ending.INFIMUM_NOT_ATTAINED:
        return None
    wide = Wide.of(case.objective)
    assert wide is not None
    way = flatten([leaf for leaf in jax.tree.leaves(found.value.direction) if is_float(leaf)])
    far = wide.at(case.here.x + OUT * max(1.0, float(np.linalg.norm(case.here.x))) * way / float(np.linalg.norm(way)))
    rest = wide.at(case.here.x).f - far.f
    return found if rest <= FADED * case.objective.eps else None


def in_short_numbers(directions: list[Array]) -> list[Array]:
    """Those of some directions whose numbers are nearly in a ratio of small whole ones, with these.

    Where some rows are told apart and others are not, f falls along a ray on which the scores of the latter stay as
    they are: of a class without a row, of a column that is 1 in rows of one class only. In digits of float32 that ray
    is not met: they change the other scores far out.

    >>> nearly = np.array([-0.28868, -0.28867, -0.28868, 0.86603])
    >>> [(d * 12**0.5).round(9).tolist() for d in in_short_numbers([nearly])]
    [[-1.0, -1.0, -1.0, 3.0]]
    """
    found = []
    for direction in directions:
        unit = direction / float(np.abs(direction).max(initial=0.0) or 1.0)
        for k in range(1, WHOLE + 1):
            whole = np.round(k * unit)
            if np.abs(k * unit - whole).max() <= NEARLY:
                found.append(whole / float(np.linalg.norm(whole)))
                break
    return found


def _without_idle_parts(wide: Wide, here: Seen, bends: tuple[Array, Array]) -> Seen:
    """The point without its part along what does not bend, where f and its slope are as they were there, else itself.

    What roundings have added to the scores of all classes alike may be thousands of times the rest, and rays whose
    first distance is that of the point's length then overstep all in which f still falls.
    """
    values, vectors = bends
    bent = vectors[:, np.abs(values) > IDLE * np.abs(values).max(initial=0.0)]
    there = wide.at(bent @ (bent.T @ here.x))
    if not there.finite or not np.linalg.norm(there.x) < 0.5 * np.linalg.norm(here.x):
        return here
    same = abs(there.f - here.f) <= 1e-2 * abs(here.f)
    same = same and np.linalg.norm(there.g - here.g) <= 1e-2 * np.linalg.norm(here.g)
    return there if same else here


def lower_in_float64(case: Judged) -> Answer[Verdict] | None:
    """The answer that f is lower in float64 far down its slope there, at each of some distances; None where not."""
    wide = Wide.of(case.objective)
    try:
        here = None if wide is None else wide.at(case.here.x)
    except TypeError:  # of a program whose numbers are of several dtypes
        return None
    if wide is None or here is None or not here.finite or not np.any(here.g):
        return None
    size, unit = max(1.0, float(np.linalg.norm(here.x))), -here.g / float(np.linalg.norm(here.g))
    values = [here.f]
    for share in (0.125, 0.25, 0.5):
        there = wide.at(case.bounds.project(here.x + share * size * unit))
        if not there.finite or there.f > values[-1] - 2 * wide.noise(max(abs(here.f), abs(there.f))):
            return None
        values.append(there.f)
    text = (
        f"Not a minimum: in float64 f falls down its slope, by {values[0] - values[-1]:.2g} over {0.5 * size:.3g}; "
        f"in {case.objective.function.dtype} the point looks flat."
    )
    return case.says(Ending.NOT_STATIONARY, text, direction=as_tree(case, unit))


def explained(case: Judged, found: Slope, unit: Array) -> bool:
    """Whether that values and gradient disagree lies in the dtype: a slope underflows, or in float64 they agree."""
    if max(abs(found.observed), abs(found.promised)) <= case.objective.underflow:
        return True
    wide = Wide.of(case.objective)
    if wide is None:
        return False
    here = wide.at(case.here.x)
    # a sum may cancel: below the roundings of ordinary numbers, those of float64 are counted too
    small = abs(found.observed - found.promised) <= case.objective.eps
    noise = wide.noise(max(abs(here.f), 1.0 if small else 0.0))
    again = slope(wide, here, unit, noise) if here.finite else None
    return again is not None and not replace(again, promised=found.promised).disagrees
