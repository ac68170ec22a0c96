"""A point a little off a minimum at which f hardly bends: f still falls, by next to nothing, and rises all around.

Towards a minimum of order p > 2 Newton's steps shorten by (p - 2)/(p - 1), so that a run ends where its gradient is
within the tolerance and x is not: the gradient of x^4 at 1e-4 is 4e-12. There f falls, along its slope, to a point c.
That c lies in a minimum, and not on the way past an inflection as that of x^3 or to a saddle, shows f at a distance R
from c that is several times the one from the point: it is higher than at c, surely, in all directions of the space in
which f hardly bends that are tried, also after steps of Newton's method across that space: f may fall on a curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer
from qed.optimization.objective import Seen
from qed.optimization.point import Judged
from qed.optimization.roundings import surely_lower
from qed.optimization.running import curvatures
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
PARAMETERS, RANDOM = 200, 20
"""How many parameters there may be, and how many directions are drawn."""
SOFT = 1e-3
"""Up to which part of the largest one a curvature counts as hardly any."""
HALVINGS, FARTHER, FARTHEST = 40, 8.0, 1e-3
"""How often a distance down the slope is halved; R over the distance of c, at least; R over 1 + |x|, at most."""
ACROSS = 4
"""How many of Newton's steps are taken across what hardly bends."""
NEAREST, GAIN = 1e-4, 1e-9
"""R over 1 + |x|, at least; and which part of how much f varies it may still fall by."""


def shallow(case: Judged) -> Answer[Verdict] | None:
    """The answer at a point close to a flat minimum; None where f does not rise all around, or falls by more."""
    n = len(case.here.x)
    if not case.bounds.open or n > PARAMETERS or case.objective.dear:
        return None
    found = curvatures(case.objective, case.here, case.bounds)
    if found is None or not found[0][-1] > 0:
        return None
    soft = found[1][:, found[0] <= SOFT * found[0][-1]] if n > 1 else found[1]
    slope = soft.T @ case.here.g
    if not np.any(slope):
        return None
    center, away = _lowest(case, -soft @ slope / float(np.linalg.norm(slope)))
    near = 1 + float(np.linalg.norm(case.here.x))
    radius = max(FARTHER * away, NEAREST * near)
    gain = case.here.f - center.f
    if radius > FARTHEST * near or gain > GAIN * case.extent(float(found[0][-1])):
        return None
    drawn = np.random.default_rng(case.seed).standard_normal((RANDOM if soft.shape[1] > 1 else 0, soft.shape[1]))
    tried = [*np.eye(soft.shape[1]), *drawn]
    sides = [s * radius * (soft @ v) / float(np.linalg.norm(v)) for v in tried for s in (1.0, -1.0)]
    stiff = found[0] > SOFT * found[0][-1] if n > 1 else np.zeros(1, bool)
    across = found[1][:, stiff] / found[0][stiff] @ found[1][:, stiff].T
    higher = (_rested(case, center.x + side, across) for side in sides)
    if not all(there.finite and surely_lower(case.objective, center, there, 2 * case.noise) for there in higher):
        return None
    along = "the direction" if soft.shape[1] == 1 else f"{soft.shape[1]} directions"
    text = (
        f"A flat minimum within {radius + away:.2g} as far as was looked: along {along} in which f hardly bends "
        f"it can fall by {gain:.2g} more, {away:.2g} away, and at all of {len(sides)} points {radius:.2g} from there "
        "it is higher."
    )
    ends: dict[str, Any] = {"lowest": float(found[0][0]), "highest": float(found[0][-1]), "decrease": gain}
    return case.says(Ending.FLAT_MINIMUM, text, **ends)


def _rested(case: Judged, x: Array, across: Array) -> Seen:
    """The lowest of a point and those after steps of Newton's method in some directions, with curvatures of before."""
    there = case.objective.at(x)
    for _ in range(ACROSS if there.finite and np.any(across) else 0):
        further = case.objective.at(there.x - across @ there.g)
        if not (further.finite and further.f < there.f):
            break
        there = further
    return there


def _lowest(case: Judged, way: Array) -> tuple[Seen, float]:
    """The lowest of some points along a direction, with its distance."""
    near = 1 + float(np.linalg.norm(case.here.x))
    center, away = case.here, 0.0
    for k in range(HALVINGS):
        t = FARTHEST * near * 0.5**k
        there = case.objective.at(case.here.x + t * way)
        if there.finite and there.f < center.f:
            center, away = there, t
    return center, away
