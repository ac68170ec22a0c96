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
    infinite = None if tie is None or whole.order != 1 else _steepest(whole, beside, near)
    if tie is not None and infinite is not None:
        return Kinks(np.arange(here.size) == infinite, _infinite(whole, tie, infinite))
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


def _steepest(whole: Whole, beside: Beside, near: Sequence[np.ndarray]) -> int | None:
    """The element in which the values change ever faster toward the point, if its derivatives around it are large."""
    if not whole.reverse:
        return None
    with np.errstate(all="ignore"):
        gaps = np.max([np.where(np.isfinite(g), np.abs(g - whole.program), 0.0) for g in near], axis=0)
    element = int(np.argmax(gaps))
    return element if beside.steep(element) else None


def _infinite(whole: Whole, tie: Tie, element: int) -> Culprit:
    """The culprit where the slope has no limit that is a number."""
    path, index = whole.coordinate(element)
    why = f"the slope in {path}{_index(index)} grows without an end toward the point"
    return replace(_tied(tie), coordinate=index, found=float(whole.program[element]), why=why, infinite=True)


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
        if not np.isfinite(slope) or bar > WIDE_BAR * abs(slope) or gap <= max(BARS * bar, WIDE * abs(slope)):
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
