"""What the gradient of the whole program shows beyond its single rules: stop_gradients, NaN, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qed.calculus.gradient.local import TOLERANCE
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.sites import Site
from qed.calculus.gradient.verdict import Culprit, GradientVerdict
from qed.calculus.gradient.whole import Whole
from qed.domains.adjoint import adjoints
from qed.domains.backward import record
from qed.domains.born import Birth, backward_births, forward_births
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph
from qed.graph.walk import TooLong
from qed.span import Span

LOOKED_AT = 3

LOOSE = 1e-6
"""Relative: from which difference on the whole gradient is looked at, where every rule in it agrees. JAX's special
functions are off by more than the ulps that the rounding bound assumes of them."""


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
    mask = suspicious(found, expected, _loose(whole)) & ~explained
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
    primitive, span = next(iter(transposed(function)), ("", function.span))
    if primitive:
        why = f"what is given as its transpose is not: the gradient in {path}{_index(index)} differs"
    return Culprit(
        GradientVerdict.DISAGREES,
        primitive,
        primitive or function.name,
        span,
        coordinate=index,
        expected=float(expected[element]),
        found=float(found[element]),
        tolerance=tolerance,
        why=why,
    )


def _loose(whole: Whole) -> float:
    return max(LOOSE, 1e4 * max(unit_roundoff(parameter.dtype) for parameter in whole.function.parameters))


_TRANSPOSED = frozenset({"custom_linear_solve", "linear_call", "custom_lin"})
"""Primitives that are given their own transpose, which forward derivatives do not use and gradients do."""


def transposed(function: Function) -> list[tuple[str, Span | None]]:
    """The calls that are given their own transpose: (primitive, line) of each."""
    return [(e.primitive, span) for e, span in _spans(function.graph, None) if e.primitive in _TRANSPOSED]


def untransposed(whole: Whole) -> Culprit | None:
    """A linear solve whose transpose is not its transpose: <gradient, v> is not the derivative along v."""
    function = whole.function
    given = transposed(function)
    along = whole.forward() if given else None
    if along is None:
        return None
    v = np.concatenate([np.ravel(x) for x in whole.along])
    gradient = whole.chain()[: v.size]  # of order 2 the Hessian-vector product stands behind it
    found = float(np.sum(gradient * v))
    size = float(np.sum(np.abs(gradient * v)))
    if not (np.isfinite(found) and np.isfinite(along)) or abs(found - along) <= _loose(whole) * size:
        return None
    primitive, span = given[0]
    why = "forward and reverse derivatives differ: what is given as transposed solve is not the transpose"
    return Culprit(
        GradientVerdict.DISAGREES,
        primitive,
        primitive,
        span,
        path=primitive,
        expected=along,
        found=found,
        tolerance=_loose(whole) * size,
        why=why,
    )


def _spans(graph: Graph, outer: Span | None) -> Iterator[tuple[Equation, Span | None]]:
    for equation in graph.equations:
        span = equation.span or outer
        yield equation, span
        for inner in equation.call.graphs if equation.call is not None else ():
            yield from _spans(inner, span)


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

    return beyond_rounding(suspicious(found, expected, _closely(whole)), np.abs(found - expected), bound)


def _closely(whole: Whole) -> float:
    """The tolerance for what a stop_gradient takes away: constants are rounded to the program's dtype."""
    return max(TOLERANCE, 16 * max(unit_roundoff(parameter.dtype) for parameter in whole.function.parameters))


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
