"""What the gradient of the whole program shows beyond its single rules: kinks, stop_gradients, NaN, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qed.calculus.gradient.kinks import WIDE, hull, perturbed
from qed.calculus.gradient.local import TOLERANCE
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.sites import Site
from qed.calculus.gradient.ties import first_tie
from qed.calculus.gradient.verdict import Culprit, GradientVerdict
from qed.calculus.gradient.whole import Whole
from qed.domains.adjoint import adjoints
from qed.domains.backward import record
from qed.domains.born import Birth, backward_births, forward_births
from qed.graph.walk import TooLong

LOOKED_AT = 3


@dataclass(frozen=True)
class NonFinite:
    """A gradient that is not finite: the culprit, and the code of what happened."""

    culprit: Culprit
    code: str


def suspicious(found: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """The elements that differ by more than the tolerance, where both are finite."""
    with np.errstate(all="ignore"):
        gap, size = np.abs(found - expected), np.abs(found) + np.abs(expected)
        return np.isfinite(found) & np.isfinite(expected) & (gap > tolerance * size)


def beyond_rounding(mask: np.ndarray, gap: np.ndarray, bound: Callable[[int], float]) -> tuple[int, float] | None:
    """The worst element whose difference rounding does not explain, with its bound; None where it explains all."""
    order = np.flatnonzero(mask)
    for element in order[np.argsort(-gap[order])][:LOOKED_AT].tolist():
        allowed = bound(element)
        if gap[element] > allowed:
            return element, allowed
    return None


# --- not finite -----------------------------------------------------------------------------------------------


def not_finite(whole: Whole) -> NonFinite | None:
    """Where a gradient (or the value) that is not finite is born; None where all is finite."""
    function = whole.function
    value, slopes = whole.own
    if np.isfinite(value) and np.isfinite(slopes).all():
        return None
    free = function.traced.free
    try:
        if not np.isfinite(value):
            tape = record(function.graph, function.traced.leaves, free, whole_custom_calls=False)
            births: Sequence[Birth] = forward_births(tape).births
        else:
            tape = record(function.graph, function.traced.leaves, free)
            found = adjoints(function.graph, function.traced.leaves, free, keep_parts=True, tape=tape)
            births = backward_births(found, free)
    except TooLong:
        births = ()
    element = int(np.flatnonzero(~np.isfinite(slopes))[0]) if not np.isfinite(slopes).all() else 0
    path, index = whole.coordinate(element)
    number = float(slopes[element])
    wide = float(whole.program[element])
    if not births:
        why = f"the gradient in {path}{_index(index)} is {number}; which equation makes it is not known"
        return NonFinite(Culprit(GradientVerdict.NONFINITE, "", function.name, function.span, why=why), "QED210")
    birth = births[0]
    return NonFinite(_born(birth, value, number, wide), _code(birth, value, wide))


def _code(birth: Birth, value: float, wide: float) -> str:
    if not np.isfinite(value):
        return "QED204" if birth.result == "nan" else "QED201"
    if birth.cotangent == 0:
        return "QED103"
    return "QED201" if np.isfinite(wide) else "QED104"


def _born(birth: Birth, value: float, number: float, wide: float) -> Culprit:
    entry = birth.entry
    operands = [x for x in birth.operands if x is not None]
    at = f" at {', '.join(f'{x:.6g}' for x in operands)}" if operands else ""
    if not np.isfinite(value):
        why = f"the value itself is {value}: {birth.primitive}{at} gives {birth.result}"
    elif birth.cotangent == 0:
        why = (
            f"the derivative of {birth.primitive}{at} is not finite; its value is dropped, but 0 * (not finite) is nan"
        )
    elif np.isfinite(wide):
        why = f"the derivative of {birth.primitive}{at} leaves the range; in float64 the gradient is {wide:.6g}"
    else:
        why = f"the derivative of {birth.primitive}{at} is not finite, though the value is"
    steps = entry.frame.steps()
    return Culprit(
        GradientVerdict.NONFINITE,
        birth.primitive,
        birth.primitive,
        birth.span,
        None,
        entry.name,
        None if not steps else (steps[0] if len(steps) == 1 else steps),
        entry.frame.branch,
        birth.index,
        found=number,
        why=why,
    )


def _index(index: tuple[int, ...]) -> str:
    return str(list(index)) if index else ""


# --- the rules together ---------------------------------------------------------------------------------------


def unexplained(whole: Whole, explained: np.ndarray) -> Culprit | None:
    """A difference of the whole gradient that no single comparison showed.

    Args:
        whole: the gradients.
        explained: elements whose difference is known to come from a kink.
    """
    found, expected = whole.program, whole.chain()
    mask = suspicious(found, expected) & ~explained
    if not mask.any():
        return None

    def bound(element: int) -> float:
        return sum(noise(*whole.elements(which, element)) for which in ("program", "chain"))

    left = beyond_rounding(mask, np.abs(found - expected), bound)
    if left is None:
        return None
    element, tolerance = left
    path, index = whole.coordinate(element)
    why = f"each rule agrees, and the gradient in {path}{_index(index)} differs all the same"
    function = whole.function
    return Culprit(
        GradientVerdict.DISAGREES,
        "",
        function.name,
        function.span,
        coordinate=index,
        expected=float(expected[element]),
        found=float(found[element]),
        tolerance=tolerance,
        why=why,
    )


# --- kinks ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Kinks:
    """The elements of the gradient that jump at the point, and the culprit."""

    mask: np.ndarray
    culprit: Culprit | None


def kinks(whole: Whole, seed: int = 0) -> Kinks:
    """Where the gradient jumps at the parameters, or differs from what it is all around them."""
    here = whole.program
    none = Kinks(np.zeros(here.shape, bool), None)
    if not np.isfinite(here).all():
        return none
    near = [whole.chain(perturbed(whole.point, sign * 1e-9, seed)) for sign in (1.0, -1.0)]
    with np.errstate(all="ignore"):
        moved = [np.abs(g - here) > WIDE * (np.abs(g) + np.abs(here)) for g in near]
    if not any((m & np.isfinite(g)).any() for m, g in zip(moved, near, strict=True)):
        return none
    around = hull(lambda point: whole.chain(point), whole.point, seed)
    size = np.maximum(np.abs(around.lower), np.abs(around.upper))
    with np.errstate(all="ignore"):
        flat = (around.upper - around.lower <= 1e-3 * np.abs(here - around.lower)) & np.isfinite(around.lower)
        away = flat & (np.abs(here - around.lower) > WIDE * (size + np.abs(here))) & ~around.jumps
    mask = around.jumps | away
    if not mask.any():
        return none
    function = whole.function
    tie = first_tie(function.graph, function.traced.leaves, function.traced.free)
    if tie is None:
        return none if not around.jumps.any() else Kinks(mask, None)
    width = np.where(mask, np.where(around.jumps, around.upper - around.lower, np.abs(here - around.lower)), -1.0)
    element = int(np.argmax(width))
    path, index = whole.coordinate(element)
    slopes = (float(around.lower[element]), float(around.upper[element]))
    why = f"the slope in {path}{_index(index)} jumps from {slopes[0]:.6g} to {slopes[1]:.6g}"
    if not around.jumps[element]:
        why = f"kinks cancel: around the point the slope in {path}{_index(index)} is {slopes[0]:.6g}"
    steps = tie.entry.frame.steps()
    culprit = Culprit(
        GradientVerdict.KINK,
        tie.entry.primitive,
        tie.entry.primitive,
        tie.entry.span,
        None,
        tie.entry.name,
        None if not steps else (steps[0] if len(steps) == 1 else steps),
        tie.entry.frame.branch,
        index,
        found=float(here[element]),
        slopes=slopes,
        why=why,
    )
    return Kinks(mask, culprit)


# --- stop_gradient --------------------------------------------------------------------------------------------


def stopped(whole: Whole, stops: Sequence[Site]) -> list[Culprit]:
    """The stop_gradients that change the gradient: declared ones are surrogates, the others disagree."""
    if not stops:
        return []
    every = np.ones(len(stops))
    closed, freed = whole.chain(), whole.chain(shares=every)
    if _changed(whole, closed, freed, 0 * every, every) is None:
        return []
    culprits = []
    for number, site in enumerate(stops):
        shares = every.copy()
        shares[number] = 0.0
        without = whole.chain(shares=shares)
        changed = _changed(whole, without, freed, shares, every)
        if changed is not None:
            culprits.append(_stop(whole, site, changed, without, freed))
    return culprits


def _changed(
    whole: Whole, found: np.ndarray, expected: np.ndarray, ours: np.ndarray, theirs: np.ndarray
) -> tuple[int, float] | None:
    def bound(element: int) -> float:
        return sum(noise(*whole.elements("chain", element, shares)) for shares in (ours, theirs))

    return beyond_rounding(suspicious(found, expected), np.abs(found - expected), bound)


def _stop(whole: Whole, site: Site, changed: tuple[int, float], found: np.ndarray, expected: np.ndarray) -> Culprit:
    element, tolerance = changed
    path, index = whole.coordinate(element)
    verdict = GradientVerdict.SURROGATE if site.marked else GradientVerdict.DISAGREES
    why = f"it takes a part of the derivative in {path}{_index(index)} away"
    if site.marked:
        why += "; declared with qed.surrogate"
    return Culprit(
        verdict,
        "stop_gradient",
        "stop_gradient",
        site.span,
        None,
        site.path(),
        None,
        site.branch,
        index,
        expected=float(expected[element]),
        found=float(found[element]),
        tolerance=tolerance,
        why=why,
    )
