"""What a point is to a function, whoever found it: each question asked of the function anew, the cheap ones first.

1. Are value and gradient finite? 2. Is the gradient the slope of the values, along itself and a random direction; is
there a kink? 3. Is the projected gradient explained, and what are the curvatures among the parameters that no bound
holds? 4. If no curvature decides: does f fall for ever along some ray, is what is left below the noise?

Nothing is claimed that was not shown: a minimum without bounds is what `qed.critical_point` proves or measures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing
from qed.calculus.critical import critical_within, provable, undecided
from qed.calculus.gradient.check import check_gradient
from qed.calculus.hessian import flatten
from qed.calculus.points.overall import WORK
from qed.calculus.points.words import all_curvatures
from qed.errors import QedError
from qed.graph.trace import is_float
from qed.optimization.attained import unless_attained
from qed.optimization.beside import beside, placed_from
from qed.optimization.bottom import at_the_bottom
from qed.optimization.bounds import Bounds
from qed.optimization.endless import endless
from qed.optimization.everywhere import everywhere
from qed.optimization.gain import near_by
from qed.optimization.in_float64 import faded_in_float64, falls_in_float64, in_short_numbers, lower_in_float64
from qed.optimization.in_the_box import in_the_box
from qed.optimization.many import among_many
from qed.optimization.objective import Objective, Seen
from qed.optimization.own_rules import noted
from qed.optimization.point import (
    BOTTOM,
    Judged,
    across_a_jump,
    as_tree,
    bends_at,
    bottomless,
    fall_for_ever,
    fallen,
    falls,
    farther_on,
    jumped,
    runs_off,
    singular,
    turned,
    ways,
    with_code,
)
from qed.optimization.poles import unless_a_pole
from qed.optimization.proving import Everywhere, ill_scaled, proved
from qed.optimization.receding import recedes, rounded_away
from qed.optimization.running import Ended, curvatures
from qed.optimization.saturation import saturated
from qed.optimization.solution import Ending, Verdict
from qed.optimization.staircase import by_steps_only
from qed.optimization.stopped import creeping, stopped_short
from qed.optimization.tangents import least_at_corner
from qed.optimization.valleys import FAR, straight_down, without_end
from qed.optimization.where_flat import rough, where_flat
from qed.optimization.wrong import wrong_aside, wrong_gradient

Array = np.ndarray
NEAR = 1e-3
"""A critical point is called the one of x within this distance, relative to 1 + |x|."""

UNSETTLED = (Ending.FLAT_MINIMUM, Ending.SADDLE, Ending.ILL_CONDITIONED, Ending.UNDECIDED, Ending.NOISE_FLOOR)
"""What a run along a valley without an end looks like where it halts."""
STEEP = 0.01
"""Which part of its slope at the start f is to fall by on the whole of a run, to be asked for a ray first."""
SHALLOW = 1e-8
"""Which part of the largest curvature the least one is, where a minimum that is not proved is looked at again."""
FLAT = (Ending.MINIMUM, Ending.FLAT_MINIMUM, Ending.ILL_CONDITIONED, Ending.NOISE_FLOOR)
"""What is not said where Newton's steps do not shorten."""
UNEXPLAINED = (Ending.UNDECIDED, Ending.NONFINITE, Ending.SADDLE, Ending.NOT_STATIONARY)
"""What the end of a run towards a pole looks like."""


@np.errstate(over="ignore", invalid="ignore")
def judged(
    objective: Objective,
    here: Seen,
    bounds: Bounds,
    asked: tuple[Any, Any, tuple[Any, ...]],
    *,
    ended: Ended | None = None,
    start: Seen | None = None,
) -> Answer[Verdict]:
    """The verdict on a point; what is measured can be repeated, along other random directions.

    Args:
        objective: the loss.
        here: the point with value and gradient.
        bounds: the box.
        asked: (fun, x, args) with x the point as a tree.
        ended: the run that ended there, if there was one.
        start: where it began.
    """
    seen = [here] if start is None else [here, start]
    answer = endless(
        objective, bounds, asked, seen, with_code(_judged(objective, here, bounds, asked, ended, start, 0))
    )
    answer = everywhere(objective, bounds, asked, answer)
    case = Judged(objective, here, bounds, asked, ended, start, 0.0)
    answer = least_at_corner(case, ill_scaled(case, answer))
    if not answer.measured or answer.recheck is not None or answer.value is None:
        return answer
    kind = answer.value.kind

    def again() -> bool:
        anew = Objective(objective.function)
        anew.straight = objective.straight
        other = _judged(anew, here, bounds, asked, ended, start, 1)
        return other.value is not None and other.value.kind is kind

    return replace(answer, recheck=again)


def _judged(
    objective: Objective,
    here: Seen,
    bounds: Bounds,
    asked: tuple[Any, Any, tuple[Any, ...]],
    ended: Ended | None,
    start: Seen | None,
    seed: int,
) -> Answer[Verdict]:
    rough = objective.noise(here.f) if np.isfinite(here.f) else float("nan")
    case = Judged(objective, here, bounds, asked, ended, start, rough, seed)
    return unless_attained(case, _told(case), _told)


def _told(case: Judged) -> Answer[Verdict]:
    objective, here, bounds, ended, start = case.objective, case.here, case.bounds, case.ended, case.start
    if (bottomless(case) or (ended is not None and ended.how == "away")) and not turned(case):
        return _fell(case)
    if not here.finite:
        return _not_finite(case)
    if start is None and (far := _fell_from_the_origin(case)) is not None:
        return far
    case = replace(case, noise=objective.measured_noise(here))
    if _fell_all_along(case) and (far := _along_the_run(case)) is not None:  # before what is seen of corners so far out
        return far
    wrong = wrong_gradient(case)
    wrong = wrong_aside(case) if wrong is None else wrong
    if wrong is not None:
        proved = _minimum_all_the_same(case) if bounds.open else None
        return wrong if proved is None else proved
    steps = by_steps_only(case)
    if steps is not None:
        return steps
    answer = noted(case, _in_the_open(case) if bounds.open else in_the_box(case))
    if start is not None and answer.value is not None and not answer.proved and answer.value.kind in UNEXPLAINED:
        answer = unless_a_pole(case, answer)
    if answer.proved or answer.value is None:
        return answer
    if not _is_unsettled(answer.value):
        lost = rounded_away(case) if answer.value.kind is Ending.MINIMUM else None
        return answer if lost is None else lost
    valley = straight_down(case)
    valley = without_end(case) if valley is None else valley
    if valley is not None:
        return valley
    beyond = recedes(case)
    beyond = rounded_away(case) if beyond is None else beyond
    return answer if beyond is None or (beyond.unknown and answer.value.kind not in FLAT) else beyond


def _is_unsettled(value: Verdict) -> bool:
    """Whether the point may be the end of a run along a valley: also a minimum that hardly bends in some direction."""
    if value.kind is Ending.MINIMUM:
        return value.lowest < SHALLOW * value.highest
    return value.kind in UNSETTLED


def _minimum_all_the_same(case: Judged) -> Answer[Verdict] | None:
    """The answer that the values have a minimum here, proved, though what is left of the gradient is wrong."""
    began = 1.0 if case.start is None else float(np.abs(case.start.g).max(initial=1.0))
    if case.left > 1e-6 * began:
        return None
    fun, x, args = case.asked
    part = critical_within(fun, x, args, WORK, case.here.f)
    if part.value is not None and part.value.kind == "not_critical" and part.answers:
        part = part.answers[0]
    if part.value is None or part.value.kind != "minimum" or not part.proved:
        return None
    near = part.value.distance <= NEAR * (1 + float(np.linalg.norm(case.here.x)))
    return noted(case, _known(case, part, Ending.MINIMUM)) if near else None


def _not_finite(case: Judged) -> Answer[Verdict]:
    what = f"the value is {case.here.f}" if not np.isfinite(case.here.f) else "the value is finite, the gradient is not"
    fun, x, args = case.asked
    try:
        part = check_gradient(fun, x, *args)
    except QedError as error:
        return case.says(Ending.NONFINITE, f"Not finite: {what} ({error.what}).")
    born = part.findings[0].message if part.findings else "its equation is not known"
    return case.says(Ending.NONFINITE, f"Not finite: {what}: {born}.", parts=(part,))


def _fell(case: Judged) -> Answer[Verdict]:
    """Of a run that left for infinity: whether f falls for ever along its way."""
    if case.start is not None:
        way = case.here.x - case.start.x
        if np.any(np.isinf(way)):
            way = np.where(np.isinf(way), np.sign(way), 0.0)
        size = float(np.abs(way).max(initial=0.0))
        found = None
        if 0 < size < np.inf:
            unit = way / size
            found = fall_for_ever(case, case.start, [unit / np.linalg.norm(unit)])
        found = straight_down(case) if found is None else found
        if found is not None:
            return found
    return unless_a_pole(case, fallen(case))


def _fell_from_the_origin(case: Judged) -> Answer[Verdict] | None:
    """Of a point far down that another solver returned: whether f falls for ever on the way to it from the origin."""
    size = float(np.abs(case.here.x).max(initial=0.0))
    if not case.here.f < -BOTTOM or not 0 < size < np.inf:
        return None
    unit = case.here.x / size
    origin = case.objective.at(case.bounds.project(np.zeros(len(unit))))
    return fall_for_ever(case, origin, [unit / float(np.linalg.norm(unit))]) if origin.finite else None


def _fell_all_along(case: Judged) -> bool:
    """Whether f fell on the whole of a run by no small part of its slope at the start, as along a ray it does."""
    start = case.start
    if start is None or not start.finite:
        return False
    way = float(np.linalg.norm(case.here.x - start.x))
    return start.f - case.here.f > STEEP * way * float(np.linalg.norm(start.g))


def _along_the_run(case: Judged) -> Answer[Verdict] | None:
    """Of a run that went far, to where values are rounding: whether f falls for ever along its way from the start.

    Not where f rises on that way beyond the point, which a ray may end before.
    """
    if case.start is None or not case.bounds.open:
        return None
    way = case.here.x - case.start.x
    size = float(np.linalg.norm(way))
    if not FAR * (1 + float(np.linalg.norm(case.start.x))) < size < np.inf:
        return None
    if all(f > case.here.f + case.noise for f in farther_on(case, case.start)):
        return None
    return fall_for_ever(case, case.start, [way / size, *in_short_numbers([way])])


def _in_the_open(case: Judged) -> Answer[Verdict]:
    fun, x, args = case.asked
    if case.objective.dear and not provable(case.objective.function, WORK):
        what = "a proof, and products from many points, would take too long for a function of this size"
        return _not_shown(case, undecided(Missing(what, "qed.critical_point at the point")))
    best = Everywhere(case)
    part = critical_within(
        fun, x, args, WORK, case.here.f, stronger=best, function=case.function, derivatives=case.derivatives
    )
    point: Any = part.value
    assert point is not None
    kind, of = str(point.kind), part
    if kind == "not_critical" and part.answers:
        of = part.answers[0]
        point = of.value
        kind = str(point.kind)
    close = NEAR * (1 + float(np.linalg.norm(case.here.x)))
    measured_here = of is part and np.isinf(point.distance)  # by products, at the point itself
    if kind in ("minimum", "saddle", "maximum") and (point.distance <= close or measured_here):
        jump = jumped(case, case.reach, {}) if kind == "minimum" and not of.proved else None
        faded = faded_in_float64(case) if kind == "saddle" and not of.proved else None
        told = jump if faded is None else faded
        return _known(case, of, Ending(kind), best) if told is None else told
    if kind == "degenerate":
        return where_flat(case, part)
    if kind == "not_critical":
        bottom = at_the_bottom(case) if _dear_to_prove(case) else None
        if bottom is not None:
            return bottom
        valley = beside(case)
        there = None if valley is None else critical_within(fun, valley.asked[1], args, WORK, valley.here.f)
        if valley is not None and there is not None and there.value is not None and there.value.kind == "degenerate":
            answer = where_flat(valley, there)
            told = (UNSETTLED[0], Ending.SADDLE, Ending.MAXIMUM, Ending.UNBOUNDED_BELOW, Ending.INFIMUM_NOT_ATTAINED)
            if answer.value is not None and answer.value.kind in told:
                return placed_from(case, valley, answer)
    return _not_shown(case, part)


def _dear_to_prove(case: Judged) -> bool:
    """Whether the numbers of the program times the second derivatives are so many that intervals are asked once."""
    function = case.objective.function
    return function.graph.numbers() * function.size * (function.size + 1) // 2 > WORK


def _known(case: Judged, of: Answer[Any], kind: Ending, best: Everywhere | None = None) -> Answer[Verdict]:
    found: Any = of.value
    named = found.directions
    values = found.curvatures
    ends = {} if values is None or not len(values) else {"lowest": float(values[0]), "highest": float(values[-1])}
    if kind is Ending.MINIMUM and ends and ends["lowest"] > 0:
        ends["decrease"] = float(case.here.g @ case.here.g) / (2 * ends["lowest"])
    verdict = case.verdict(kind, direction=named[0].vector if named else None, **dict[str, Any](ends))
    answer = replace(of, value=verdict, subject=case.objective.function.title(), answers=())
    if kind is not Ending.MINIMUM or found.point is None:
        return answer
    return proved(case, answer, flatten([leaf for leaf in jax.tree.leaves(found.point) if is_float(leaf)]), best)


def _not_shown(case: Judged, part: Answer[Any]) -> Answer[Verdict]:
    """Where no critical point is at hand: what the model says can still be gained, beside the noise."""
    found = curvatures(case.objective, case.here, case.bounds)
    size = float(np.linalg.norm(case.here.g))
    away = fall_for_ever(case, case.here, ways(case, found))
    away = _along_the_run(case) if away is None else away
    if away is not None:
        return away
    if case.ended is not None and case.ended.how == "bottom" and (bottom := at_the_bottom(case)) is not None:
        return bottom
    if found is None:
        many = among_many(case)
        return stopped_short(case, {}) if many is None else many
    values, vectors = found
    zero = max(1e-10, case.rounding(len(values)))
    if abs(values[0]) <= zero * max(1.0, abs(values[-1])):
        away = falls_in_float64(case, ways(case, found))
        away = saturated(case, [vectors[:, 0], *ways(case, found)[-1:]]) if away is None else away
        if away is not None:
            return away
    ends = {"lowest": float(values[0]), "highest": float(values[-1])}
    kappa = abs(values[-1]) / max(abs(values[0]), 1e-300)
    if values[0] < -max(1e-8, case.rounding(len(values))) * abs(values[-1]) and falls(case, [vectors[:, 0]]):
        still = part.value is not None and str(part.value.kind) == "undecided" and case.left <= 1e-6 * abs(values[0])
        kind = Ending.SADDLE if still else Ending.NOT_STATIONARY
        if not still and case.ended is not None and case.ended.how == "slow":
            return creeping(case, ends)
        text = (
            f"Not a minimum: the gradient is {case.left:.3g}, the curvature along one direction {values[0]:.3g}, "
            "and f falls along it."
        )
        return case.says(kind, text, direction=as_tree(case, vectors[:, 0]), **dict[str, Any](ends))
    if values[0] > case.rounding(len(values)) * abs(values[-1]):
        move = vectors @ ((vectors.T @ case.here.g) / values)
        gain, length = 0.5 * float(case.here.g @ move), float(np.linalg.norm(move))
        ends["decrease"] = gain
        near = 1 + float(np.linalg.norm(case.here.x))
        if (jump := jumped(case, gain, ends)) is not None or (jump := across_a_jump(case, move, ends)) is not None:
            return jump
        close = length <= 1e-6 * near or (gain <= case.noise and length <= 1e-5 * near)
        if close and (gain <= case.noise or bends_at(case, -move, float(values[0]))):
            text = (
                f"A minimum, about {length:.2g} away: {all_curvatures(len(values))} positive, from {values[0]:.3g}; "
                f"by the quadratic model f can fall by {gain:.2g}, and its values are rounded by {case.noise:.2g}."
            )
            return case.says(Ending.MINIMUM, text, **dict[str, Any](ends))
        if gain <= case.noise:
            text = (
                f"The noise floor: f can fall by {gain:.2g} more by the quadratic model, and its values are rounded "
                f"by {case.noise:.2g}; the gradient is {size:.2g} long."
            )
            return case.says(Ending.NOISE_FLOOR, text, parts=(part,), **dict[str, Any](ends))
        determined = gain <= 5e-7 * case.extent(ends["highest"]) and length > NEAR * near
        if determined and not runs_off(case, -move):
            text = (
                f"Flat: by the quadratic model f falls by no more than {gain:.2g} while x still moves by {length:.2g}: "
                "f is determined and x is not."
            )
            return case.says(Ending.FLAT_MINIMUM, text, **dict[str, Any](ends))
    scaled = near_by(case, ends)
    if scaled is not None:
        return scaled
    flat = singular(case, values, vectors)
    if flat is not None:
        lower = rough(case)
        lower = lower_in_float64(case) if lower is None else lower
        return case.says(Ending.FLAT_MINIMUM, flat, **dict[str, Any](ends)) if lower is None else lower
    bottom = at_the_bottom(case)
    if bottom is not None:
        return bottom
    if kappa > 1e10 and values[0] > 0:
        text = (
            f"Ill-conditioned: curvatures from {values[0]:.3g} to {values[-1]:.3g}, a ratio of k = {kappa:.2g}. "
            f"A digit takes gradients about k steps, with memory or momentum about sqrt k = {kappa**0.5:.2g}, and "
            "Newton's method, which no scaling slows down, as many as at k = 1."
        )
        return case.says(Ending.ILL_CONDITIONED, text, **dict[str, Any](ends))
    return stopped_short(case, ends)
