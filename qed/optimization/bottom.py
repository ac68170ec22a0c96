"""Whether a run has nothing left to fall by: f nowhere lies below a bound, and the point is as good as at it.

A sum of squares is nowhere negative, which the ranges of its equations tell over all points of the box at once (Moore,
*Interval Analysis*, 1966). Where a run has done all but a part `LEFT` of the fall from its start to such a bound, no
derivative needs to tell what the point is: f is determined, whether x is or not.
"""

from __future__ import annotations

import numpy as np

from qed.answer import Answer
from qed.calculus.bounding.boxes import Gap, OnBoxes
from qed.calculus.bounding.ranging import natural
from qed.domains.cost import count
from qed.graph.walk import TooLong
from qed.optimization.point import Judged
from qed.optimization.solution import Ending, Verdict

WORK, SHARE = 100_000, 0.1
"""How many numbers of a program are enclosed at most, and for how many of them an operation in it counts."""
LEFT, SMALL = 1e-12, 1e-4
"""Which part of the whole fall may be left, and of the bound, or of 1: a start of 1e30 makes much of little."""


def at_the_bottom(case: Judged) -> Answer[Verdict] | None:
    """The answer at a point at which a run ended with next to nothing left to fall by; None elsewhere."""
    if case.start is None or not np.isfinite(case.here.f):
        return None
    bound = _bound(case)
    left, began = case.here.f - bound, case.start.f - bound
    if not (np.isfinite(began) and left <= LEFT * began and left <= SMALL * max(1.0, abs(bound))):
        return None
    text = (
        f"A flat minimum: f is nowhere{'' if case.bounds.open else ' in the box'} below {bound:.6g}, here it is "
        f"{left:.2g} above, {began:.2g} at the start: no more is to be gained, and x may not be determined."
    )
    return case.says(Ending.FLAT_MINIMUM, text, decrease=left)


def _bound(case: Judged) -> float:
    """A number below which f is nowhere in the box, of squares or by ranges; -inf where none is known."""
    function = case.objective.function
    if _is_squares(case):
        return 0.0
    if max(function.graph.numbers(), SHARE * count(function.graph, function.traced.free).value) > WORK:
        return -np.inf
    try:
        return float(natural(OnBoxes.of(function.traced), case.bounds.lower[None], case.bounds.upper[None]).lower[0])
    except (Gap, TooLong, NotImplementedError, ValueError, MemoryError):
        return -np.inf


def _is_squares(case: Judged) -> bool:
    """Whether f was read as a sum of squares."""
    try:
        return case.objective.squares is not None
    except NotImplementedError:  # the gradient has no derivative
        return False
