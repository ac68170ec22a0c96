"""Points where a run ended short of a stationary point: what is still to be said of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer
from qed.optimization.bottom import at_the_bottom
from qed.optimization.edges import at_a_kink, at_an_edge, kink_nearby
from qed.optimization.least_squares import FALL, MANY
from qed.optimization.objective import Wide
from qed.optimization.pieces import largest
from qed.optimization.point import Judged, as_tree, falls, units
from qed.optimization.roundings import lost
from qed.optimization.shallow import shallow
from qed.optimization.solution import Ending, Verdict
from qed.optimization.subgradients import around_corners, bends_evenly

BLURRED = 0.1
"""Which part of a gradient's length rounding may be for its direction to be one."""
CANCELLED = 0.5
"""How much shorter than the shortest slope a mean of slopes is where corners meet."""


def stopped_short(case: Judged, ends: dict[str, float]) -> Answer[Verdict]:
    """What a run that found no stationary point shows: an edge, a corner, a slope that is left, or nothing."""
    if case.ended is not None and case.ended.how == "diverged":
        text = (
            f"The run diverged: after {case.ended.steps} steps its value is not finite. Where it last was, the "
            f"gradient is {case.left:.3g}; qed.step_size says which steps are stable."
        )
        return case.says(Ending.NOT_STATIONARY, text, **dict[str, Any](ends))
    bottom = at_the_bottom(case)
    if bottom is not None:
        return bottom
    if case.ended is not None and case.ended.how == "slow":
        return creeping(case, ends)
    if (case.ended is None or case.ended.how != "stationary") and (edge := at_an_edge(case)) is not None:
        return edge
    if case.ended is not None and case.ended.how == "budget":
        left = f", and by the quadratic model f can fall by {ends['decrease']:.2g}" if "decrease" in ends else ""
        text = f"The budget is spent: after {case.ended.steps} steps the gradient is {case.left:.3g}{left}."
        return case.says(Ending.BUDGET_SPENT, text, **dict[str, Any](ends))
    near = kink_nearby(case)
    if near is not None:
        return near
    slope_ok = [u for u in (units(case)[:1] or _inward(case)) if float(case.here.g @ u) < 0]
    if falls(case, slope_ok):
        if (flat := shallow(case)) is not None:
            return flat
        if case.ended is not None and case.ended.how == "stationary":
            text = f"Undecided: the gradient, {case.left:.3g}, is within the tolerance, and f still falls along it."
            return case.unknown(Ending.UNDECIDED, text, "a smaller tolerance", **dict[str, Any](ends))
        text = f"Not stationary: the gradient is {case.left:.3g}, and f falls along it."
        return case.says(Ending.NOT_STATIONARY, text, direction=as_tree(case, slope_ok[0]), **dict[str, Any](ends))
    rounding = lost(case.objective, case.here.x)
    if ends.get("decrease", np.inf) <= rounding:
        text = (
            f"The noise floor: f can fall by {ends['decrease']:.2g} more by the quadratic model, and the terms of its "
            f"value are rounded by up to {rounding:.2g}; the gradient is {case.left:.2g}."
        )
        return case.says(Ending.NOISE_FLOOR, text, **dict[str, Any](ends))
    if (corners := _corners_meet(case)) is not None:
        return corners
    if (blurred := _blurred(case, ends)) is not None:
        return blurred
    text = f"Undecided: the gradient is {case.left:.3g}, and no test told what the point is."
    return case.unknown(Ending.UNDECIDED, text, "a second derivative, or a better scaling", **dict[str, Any](ends))


def _blurred(case: Judged, ends: dict[str, float]) -> Answer[Verdict] | None:
    """The answer at a point whose gradient is mostly rounding, as float64 tells; None where it is not."""
    wide = Wide.of(case.objective)
    if wide is None:
        return None
    there, own = wide.at(case.here.x), float(np.linalg.norm(case.here.g))
    apart, true = float(np.linalg.norm(case.here.g - there.g)), float(np.linalg.norm(there.g))
    if not (there.finite and apart > BLURRED * true):
        return None
    bend = f"; curvatures reach {ends['highest']:.3g}" if "highest" in ends else ""
    dtype = case.objective.function.dtype
    text = (
        f"The noise floor: the gradient is {own:.3g} long in {dtype} and {true:.3g} in float64, and the two "
        f"are {apart:.3g} apart{bend}. No step is found by it; in float64 a run may go on."
    )
    return case.says(Ending.NOISE_FLOOR, text, **dict[str, Any](ends))


def _corners_meet(case: Judged) -> Answer[Verdict] | None:
    """The answer at a point around which slopes have a mean of about 0, and down which f falls no more."""
    enough = case.blur
    balls = list(around_corners(case.objective, case.here, case.bounds, case.seed))
    meet = [ball for ball in balls if ball.longest > 0 and ball.mean <= CANCELLED * ball.shortest]
    if not meet or any(ball.lowest.f < case.here.f - enough for ball in balls):
        return None
    best = min(meet, key=lambda ball: ball.mean)
    if bends_evenly(case.objective, case.here.x, best.radius, case.seed):
        return None  # so it is around each minimum without corners
    return at_a_kink(
        case,
        f"Corners meet here: the slopes at {best.count} points within {best.radius:.2g} are {best.shortest:.2g} long "
        f"or longer, a weighted mean of them is {best.mean:.2g} long, and down that f falls by no more than rounding "
        f"explains, {enough:.2g}.",
    )


def creeping(case: Judged, ends: dict[str, float]) -> Answer[Verdict]:
    """What is known of a point at which a run ended since f fell slowly and its first gradient was lost."""
    began = "" if case.start is None else f", {case.left / largest(case.start.g):.2g} of that of the start"
    bent = f"; curvatures lie between {ends['lowest']:.3g} and {ends['highest']:.3g}" if "lowest" in ends else ""
    text = (
        f"Undecided: f creeps. In the last {MANY} trials it fell by less than {FALL:.0%}, to {case.here.f:.6g}; the "
        f"gradient is {case.left:.3g}{began}{bent}. How far below it can still come is not known."
    )
    return case.unknown(Ending.UNDECIDED, text, "a smaller tol, for a longer run", **dict[str, Any](ends))


def _inward(case: Judged) -> list[np.ndarray]:
    """The direction down the slope within the bounds, where no parameter is free of them."""
    way = -case.bounds.slope(case.here.x, case.here.g)
    size = float(np.linalg.norm(way))
    return [way / size] if 0 < size < np.inf else []
