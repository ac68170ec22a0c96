"""Where the whole program stands at a corner or a jump, and where its gradient is the slope of one point only.

Reference: Clarke, *Optimization and Nonsmooth Analysis*, Wiley 1983, section 2.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qed.calculus.gradient.beside import Beside, jumping, may_jump
from qed.calculus.gradient.differences import BARS
from qed.calculus.gradient.end_to_end import LOOKED_AT
from qed.calculus.gradient.kinks import DISTANCES, WIDE, hull, perturbed
from qed.calculus.gradient.nearer import Nearer, Width, swings
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.ties import Tie, first_tie
from qed.calculus.gradient.verdict import Culprit, GradientVerdict
from qed.calculus.gradient.whole import Whole

WIDE_BAR = 1e-3
"""Relative: a quotient of values with a wider bar decides nothing."""


@dataclass(frozen=True, eq=False)
class Kinks:
    """The elements of the gradient that jump at the point, and the culprit."""

    mask: np.ndarray
    culprit: Culprit | None


def kinks(whole: Whole, seed: int = 0, of_values: bool = True) -> Kinks:
    """Where the program or its gradient jumps at the parameters, or the gradient differs from what it is around them.

    At a kink every slope between those from the sides is right; one outside of them, as of a branch that is taken at
    this point only, is wrong where the values of the program have another slope. That is asked where the gradient is
    to be that `of_values`: with a surrogate, or what a stop_gradient leaves out, it is another one on purpose.
    """
    here = whole.program
    none = Kinks(np.zeros(here.shape, bool), None)
    if not np.isfinite(here).all():
        return none
    beside = Beside(whole.function)
    values = beside.jump(seed) if may_jump(whole.function.graph) else None
    if values is not None:
        return Kinks(np.ones(here.shape, bool), _jump(whole, values))
    near = [whole.chain(perturbed(whole.point, sign * 1e-9, seed)) for sign in (1.0, -1.0)]
    with np.errstate(all="ignore"):
        moved = [np.abs(g - here) > WIDE * (np.abs(g) + np.abs(here)) for g in near]
    if not any((m & np.isfinite(g)).any() for m, g in zip(moved, near, strict=True)):
        return none
    function = whole.function
    tie = first_tie(function.graph, function.traced.leaves, function.traced.free)
    nearer = Nearer(whole, seed)
    if tie is not None and whole.order == 1 and whole.reverse:
        without = _without_limit(whole, beside, nearer, tie, near)
        if without is not None:
            return without
    around = hull(lambda point: whole.chain(point), whole.point, seed)
    with np.errstate(all="ignore"):
        away = around.flat & (np.abs(here - around.lower) > WIDE * (np.abs(around.lower) + np.abs(here)))
    width = np.where(around.jumps, around.upper - around.lower, np.where(away, np.abs(here - around.lower), 0.0))
    element = _beyond_noise(whole, width, seed)
    if element is None:
        return none if tie is None or not of_values else _hidden(whole, beside, tie, near)
    mask = around.jumps | away
    if whole.order == 1 and around.jumps[element] and whole.reverse and beside.smooth(element, float(width[element])):
        wrong = none if tie is None or not of_values else _hidden(whole, beside, tie, near)
        return Kinks(mask | wrong.mask, wrong.culprit)
    if tie is not None and whole.order == 1 and whole.reverse and around.jumps[element]:
        width = nearer.width(element)
        if width.fades:
            return _faded(whole, tie, element, width, mask) if of_values else Kinks(mask, None)
    if tie is None:
        return Kinks(mask, None) if around.jumps[element] else none
    wrong = _hidden(whole, beside, tie, near) if of_values and not around.holds(here)[element] else none
    if wrong.culprit is not None:
        return Kinks(mask | wrong.mask, wrong.culprit)
    path, index = whole.coordinate(element)
    slopes = (float(around.lower[element]), float(around.upper[element]))
    why = f"the slope in {path}{_index(index)} jumps from {slopes[0]:.6g} to {slopes[1]:.6g}"
    if not around.jumps[element]:
        why = f"kinks cancel: around the point the slope in {path}{_index(index)} is {slopes[0]:.6g}"
    culprit = replace(_tied(tie), coordinate=index, found=float(here[element]), slopes=slopes, why=why)
    return Kinks(mask, culprit)


def _tied(tie: Tie) -> Culprit:
    """The operation that has a tie, as the culprit of a kink."""
    steps = tie.entry.frame.steps()
    return Culprit(
        GradientVerdict.KINK,
        tie.entry.primitive,
        tie.entry.primitive,
        tie.entry.span,
        None,
        tie.entry.name,
        None if not steps else (steps[0] if len(steps) == 1 else steps),
        tie.entry.frame.branch,
    )


def _jump(whole: Whole, values: tuple[float, float]) -> Culprit:
    """The culprit where the value jumps: the operation that has a tie, or the program."""
    function = whole.function
    tie = first_tie(function.graph, function.traced.leaves, function.traced.free, jumping)
    found = Culprit(GradientVerdict.KINK, "", function.name, function.span) if tie is None else _tied(tie)
    first, last = (value + 0.0 for value in values)
    digits = 6 if f"{first:.6g}" != f"{last:.6g}" else 9
    return replace(found, jump=values, why=f"the value jumps from {first:.{digits}g} to {last:.{digits}g}")


def _without_limit(whole: Whole, beside: Beside, nearer: Nearer, tie: Tie, near: Sequence[np.ndarray]) -> Kinks | None:
    """The element, of those that change most beside the point, whose slope there is no number; None where it is one."""
    with np.errstate(all="ignore"):
        gaps = np.max([np.where(np.isfinite(g), np.abs(g - whole.program), 0.0) for g in near], axis=0)
    element = int(np.argmax(gaps))
    grows = nearer.grows(element) if beside.steep(element) else False
    if grows is False:
        return None
    path, index = whole.coordinate(element)
    found = replace(_tied(tie), coordinate=index, found=float(whole.program[element]))
    mask = np.arange(whole.program.size) == element
    name = f"the slope in {path}{_index(index)}"
    if grows is None:
        why = f"whether {name} grows without an end toward the point is not seen in float64"
        return Kinks(mask, replace(found, verdict=GradientVerdict.UNDECIDED, why=why, tied=True))
    return Kinks(mask, replace(found, why=f"{name} grows without an end toward the point", infinite=True))


def _faded(whole: Whole, tie: Tie, element: int, width: Width, mask: np.ndarray) -> Kinks:
    """What is told where the slopes of the two sides come together, slowly: they have one limit."""
    path, index = whole.coordinate(element)
    name = f"the slope in {path}{_index(index)}"
    found = replace(_tied(tie), coordinate=index, found=float(whole.program[element]))
    if not width.decided:
        why = f"whether {name} jumps there or changes fast is not seen in float64"
        return Kinks(mask, replace(found, verdict=GradientVerdict.UNDECIDED, why=why, tied=True))
    if width.reaches:
        return Kinks(mask, None)
    number, bar = width.limit
    why = f"{name} comes to {number:.3g} from both sides"
    wrong = replace(found, verdict=GradientVerdict.DISAGREES, expected=number, tolerance=bar, why=why, tied=True)
    return Kinks(mask, wrong)


def _swinging(whole: Whole, tie: Tie, element: int) -> Kinks:
    """What is told where quotients have no limit."""
    path, index = whole.coordinate(element)
    why = f"the slope in {path}{_index(index)} has no limit at the point: it swings as points come nearer"
    found = replace(_tied(tie), coordinate=index, found=float(whole.program[element]), why=why, infinite=True)
    return Kinks(np.arange(whole.program.size) == element, found)


def _hidden(whole: Whole, beside: Beside, tie: Tie, near: Sequence[np.ndarray]) -> Kinks:
    """The elements whose derivative is not the slope of the values, where these have one: it is of one point only."""
    here = whole.program
    mask = np.zeros(here.shape, bool)
    if not whole.reverse:
        return Kinks(mask, None)
    size = sum(whole.sizes)  # of order 2 the Hessian-vector product stands behind the gradient
    with np.errstate(all="ignore"):
        gaps = np.max([np.where(np.isfinite(g), np.abs(g - here), 0.0)[:size] for g in near], axis=0)
    for element in np.argsort(-gaps)[:LOOKED_AT].tolist():
        if not gaps[element] > WIDE * abs(here[element]):
            break
        slope, bar = beside.slope(element)
        gap = abs(slope - here[element])
        told = np.isfinite(slope) and bar <= WIDE_BAR * abs(slope)
        if not told and whole.order == 1 and swings(beside, int(element)):
            return _swinging(whole, tie, int(element))
        if not told or gap <= max(BARS * bar, WIDE * abs(slope)):
            continue
        if gap <= noise(*whole.elements("program", int(element))):
            continue
        mask[element] = True
        path, index = whole.coordinate(element)
        return Kinks(
            mask,
            replace(
                _tied(tie),
                verdict=GradientVerdict.DISAGREES,
                coordinate=index,
                expected=slope,
                found=float(here[element]),
                tolerance=BARS * bar,
                why=f"the values around the point have the slope {slope:.6g} in {path}{_index(index)}",
                tied=True,
            ),
        )
    return Kinks(mask, None)


def _beyond_noise(whole: Whole, width: np.ndarray, seed: int) -> int | None:
    """The element that jumps most, if the jump is more than rounding makes of it; None if it is not."""
    beside = perturbed(whole.point, DISTANCES[0], seed)
    for element in np.argsort(-width)[:LOOKED_AT].tolist():
        if width[element] > 0 and width[element] > noise(*whole.elements("chain", element, point=beside)):
            return element
    return None


def _index(index: tuple[int, ...]) -> str:
    return str(list(index)) if index else ""
