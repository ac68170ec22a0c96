"""Valleys that go on for ever: f falls while one parameter grows, if the others follow.

(x y - 1)^2 + x^2 has the infimum 0 along y = 1/x and no point at which it is taken. Along no ray does it fall for long;
so the parameter that a run has carried far is held at 4, 16, 64, ... times its value, and f is minimised in the others,
until that changes by no more than rounding.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from qed.answer import Answer
from qed.optimization.bounds import Bounds
from qed.optimization.point import Judged, as_tree, fall_for_ever
from qed.optimization.roundings import surely_lower
from qed.optimization.running import DENSE, by_model
from qed.optimization.solution import Ending, Verdict
from qed.optimization.straight import straight_way

Array = np.ndarray
FAR = 30.0
"""How many times farther out than where the run began a parameter is to be."""
FACTOR, LEAST, MOST = 4.0, 3, 20
"""By how much it is moved at once, how many falls are needed and how many are looked for."""
STEPS, PARAMETERS = 40, 200
"""How many steps are taken at each place, and how many parameters there may be."""
HESSIANS = 240
"""After how many Hessians, for all places, no farther one is looked at."""


def straight_down(case: Judged) -> Answer[Verdict] | None:
    """The answer that f falls for ever along a line on which it does not bend; None where none is known."""
    if not case.bounds.open or len(case.here.x) > DENSE or case.objective.dear:
        return None
    if case.objective.straight is not None:  # seen in the run
        at, way = case.objective.straight
        found = fall_for_ever(case, at, [way])
        if found is not None:
            return found
    for at in (case.start, case.here):
        if at is None or not at.finite or case.objective.curvature.kind == "products":
            continue
        try:
            matrix = case.objective.matrix(at.x)
        except NotImplementedError:
            return None
        straight = straight_way(case.objective, at, matrix, case.bounds)
        found = None if straight is None else fall_for_ever(case, straight[0], [straight[1]])
        if found is not None:
            return found
    return None


def without_end(case: Judged) -> Answer[Verdict] | None:
    """The answer that f falls on however far one parameter goes; None where that is not seen.

    Args:
        case: the point where a run ended.
    """
    here = case.here
    if not case.bounds.open or len(here.x) > PARAMETERS or len(here.x) < 2:
        return None
    i = int(np.argmax(np.abs(here.x)))
    if abs(here.x[i]) < FAR * (1 + (0.0 if case.start is None else abs(case.start.x[i]))):
        return None
    values, at, hessians = [here.f], here, case.objective.counts["hessians"]
    for k in range(1, MOST + 1):
        ends = np.full(len(here.x), np.inf)
        ends[i] = FACTOR**k * here.x[i]
        box = Bounds(np.where(np.isinf(ends), -np.inf, ends), ends)
        began = case.objective.at(box.project(at.x))
        if not began.finite:
            break
        there, _, _ = by_model(case.objective, began, box, 0.0, STEPS)
        if there.finite and surely_lower(case.objective, at, there, 2 * case.objective.noise(there.f)):
            return None  # the valley has an end
        if not (there.finite and surely_lower(case.objective, there, at, 2 * case.objective.noise(values[-1]))):
            break
        values.append(there.f)
        at = there
        if case.objective.counts["hessians"] - hessians >= HESSIANS:
            break
    falls = [a - b for a, b in pairwise(values)]
    if len(falls) < LEAST or any(b > a for a, b in pairwise(falls)):  # towards a minimum far off f falls by more
        return None
    text = (
        f"No minimum is attained as far as was looked: with {case.coordinate(i)} held at {here.x[i]:.3g} and up to "
        f"{at.x[i]:.3g}, the least value in the others falls on, from {values[0]:.3g} to {values[-1]:.3g}."
    )
    return case.says(Ending.INFIMUM_NOT_ATTAINED, text, direction=as_tree(case, at.x - here.x))
