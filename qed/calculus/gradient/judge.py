"""What a difference between a rule and the derivative of its body means.

A difference is a fault only when nothing else explains it. In this order:

    declared               the call is marked as a surrogate
    not linear             the backward rule does not scale with its cotangent: it clips
    rounding               the difference is within the rounding bounds of the two sides (`noise`, `constants`)
    a kink                 the derivative jumps at the point, and the rule lies between the one-sided derivatives
    an unfinished limit    the derivative changes as much when the body's `while` loop runs one step longer
    a staircase            the body rounds, and a difference quotient over many of its steps agrees with the rule

What is left is named by its coordinates: the comparison is linear in its direction, so halving the direction finds
the operand's entry, and one last evaluation at unit vectors gives the two numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.gradient.case import Case, vector
from qed.calculus.gradient.coordinates import bisect, place, unit
from qed.calculus.gradient.differences import BARS
from qed.calculus.gradient.exact import exactly
from qed.calculus.gradient.implicit import iterates
from qed.calculus.gradient.kinks import hull
from qed.calculus.gradient.local import TOLERANCE, Local, Method
from qed.calculus.gradient.noise import noise
from qed.calculus.gradient.solves import ACCEPTED, CONVERGED, backward_error, iterative, terms
from qed.calculus.gradient.survey import Record
from qed.calculus.gradient.verdict import Culprit, GradientVerdict
from qed.graph.defined import rule_span
from qed.graph.dtypes import is_inexact

LOOKED_AT = 3
"""How many of the worst elements, by size and by ratio, are compared with their rounding bounds."""

LOOSE_VALUE = 1e-4
"""How far the value that a rule returns may be from the function's, relative, where constants are rounded."""

WIDE_BAR = 1e-3
"""Relative: a bar wider than this decides nothing."""

VALUE = "its rule returns the value"
"""How the sentence about a rule begins that returns another value than its function."""

_STAIRS = frozenset({"floor", "ceil", "round", "sign"})


@dataclass(frozen=True)
class Finding:
    """A verdict, the element that it is about, and one sentence; `slopes` at a kink, `tolerance` at that element.

    `numbers` are what was expected and found, where the comparison itself does not say it.
    """

    verdict: GradientVerdict
    element: int = 0
    why: str = ""
    slopes: tuple[float, float] | None = None
    tolerance: float = 0.0
    numbers: tuple[float, float] | None = None


# --- the verdict ----------------------------------------------------------------------------------------------


def judge(record: Record, seed: int = 0) -> Culprit | None:
    """The verdict on a record that differs; None where it agrees after all."""
    case = Case(record, seed)
    finding = _finding(case)
    if finding is None:
        return None
    site = record.local.site
    if finding.verdict is GradientVerdict.DISAGREES and (not record.taken or site.outer is not None):
        where = "under another rule, which is used instead" if record.taken else "in a branch that is not taken here"
        finding = Finding(GradientVerdict.LATENT, finding.element, f"a fault {where}", None, finding.tolerance)
    return _culprit(case, finding)


def _finding(case: Case) -> Finding | None:
    local = case.local
    found, expected, _, values, body, _ = case.here
    with np.errstate(all="ignore"):
        suspicious = case.suspicious
        gap = np.abs(found - expected)
        if local.declared:
            return _marked(case, suspicious)
        if not case.linear:
            why = "its backward rule is not linear in the cotangent: it clips or normalises"
            return Finding(GradientVerdict.SURROGATE, _worst(gap, suspicious), why)
        if local.site.kind == "solve":
            return _unsolved(case, suspicious)
        value = _value_differs(case, values, body)
        if value is not None:
            return value
        if not suspicious.any():
            return None
        lost = ~np.isfinite(expected) & suspicious
        broken = ~np.isfinite(found) & suspicious
        if (broken & ~lost).any():
            return _not_finite(case, _first(broken & ~lost))
        if lost.any():
            return _lost(case, _first(lost))
        return _finite(case, suspicious, gap)


def _marked(case: Case, suspicious: np.ndarray) -> Finding | None:
    if not suspicious.any() and case.linear:
        return None
    gap = np.abs(case.here[0] - case.here[1])
    return Finding(GradientVerdict.SURROGATE, _worst(gap, suspicious), "declared with qed.surrogate")


def _value_differs(case: Case, values: np.ndarray, body: np.ndarray) -> Finding | None:
    """The rule returns another value than its function: what is differentiated is another function."""
    gap = np.abs(values - body)
    wrong = np.isfinite(values) & np.isfinite(body) & (gap > 1e-6 * (np.abs(values) + np.abs(body)))
    if not wrong.any() or case.local.method is Method.DIFFERENCES or case.local.site.root:
        return None
    element = _worst(gap, wrong)
    local, inputs = case.local, case.inputs
    bound = noise(lambda *xs: vector(local.values(xs))[element], inputs)
    if gap[element] <= bound or (local.constants and gap[element] <= LOOSE_VALUE * abs(body[element])):
        return None
    why = f"{VALUE} {values[element]:.6g}, the function {body[element]:.6g}"
    return Finding(GradientVerdict.DISAGREES, 0, why, None, bound)


def _unsolved(case: Case, suspicious: np.ndarray) -> Finding | None:
    """The residuals of a linear solve: of the program's right-hand side, and of one more."""
    found, expected, _, values, body, _ = case.here
    equation, inputs = case.local.site.equation, case.inputs
    if not (np.isfinite(found).all() and np.isfinite(values).all()):
        return Finding(GradientVerdict.UNDECIDED, 0, "what it returns is not finite")
    loops = iterative(equation)
    worst = Finding(GradientVerdict.UNDECIDED, 0, _ITERATES)
    undecided = False
    for program, left, right in ((True, values, body), (False, found, expected)):
        gap, size = np.abs(left - right), float(np.abs(right).max(initial=0.0))
        mask = gap > TOLERANCE * (np.abs(left) + np.abs(right)) if program else suspicious
        if not mask.any() or (loops and gap.max() <= ACCEPTED * size):
            continue
        element = _worst(gap, mask)
        allowed = backward_error(equation) * terms(equation, inputs, None if program else case.probe["v"])[element]
        if loops and (not program or gap[element] <= CONVERGED * size):
            undecided = True
            continue
        allowed += case.value_noise(element) if program else case.noise(element)
        if gap[element] > allowed:
            numbers = (float(right[element]), float(left[element])) if program else None
            of = "b" if program else "A v"
            why = f"solve({of}) is no x with A x = {of}: the residual is {gap.max() / size if size else 1:.2g} of {of}"
            why += "; it iterates, and has not converged" if loops else ""
            return Finding(GradientVerdict.DISAGREES, element, why, None, allowed, numbers)
    return worst if undecided else None


_ITERATES = "its solve iterates, and does not come near a solution for every right-hand side"


def _not_finite(case: Case, element: int) -> Finding:
    why = "the rule returns a number that is not finite, and the derivative of the body is finite"
    return Finding(GradientVerdict.NONFINITE, element, why)


def _lost(case: Case, element: int) -> Finding | None:
    """The chain rule gives no finite number for the body; differences may."""
    found, expected = case.here[0], case.here[1]
    if not np.isfinite(found[element]):
        if not np.isfinite(case.here[4]).all():
            return None
        return Finding(GradientVerdict.NONFINITE, element, "rule and body both have no finite derivative here")
    rest = case.suspicious & np.isfinite(expected) & np.isfinite(found)
    if rest.any():
        worse = _finite(case, rest, np.abs(found - expected))
        if worse is not None:
            return worse
    probe = unit(case, element)
    number, bar = case.quotient(probe)
    claimed = float(case.at(probe)[0].sum()) if case.local.elementwise else float(found[element])
    gap = abs(claimed - number)
    size = abs(number) + abs(claimed)
    if gap <= BARS * bar + 1e-6 * size and bar <= WIDE_BAR * max(size, 1e-300):
        return None
    if np.isfinite(number) and bar <= WIDE_BAR * abs(number) and gap > BARS * bar + 1e-6 * size:
        why = "the difference quotient of the body excludes it"
        return Finding(GradientVerdict.DISAGREES, element, why, None, BARS * bar)
    return Finding(GradientVerdict.UNDECIDED, element, "the body itself overflows here, so that nothing tells")


def _finite(case: Case, suspicious: np.ndarray, gap: np.ndarray) -> Finding | None:
    """The elements where both sides are finite and differ."""
    local = case.local
    found, expected, bars = case.here[:3]
    left = suspicious
    if local.method is Method.DIFFERENCES:
        left = suspicious & case.here[5].astype(bool)
        if not left.any():
            why = "a difference quotient of the body has too wide an error bar"
            return Finding(GradientVerdict.UNDECIDED, _worst(gap, suspicious), why, None, float(BARS * bars.max()))
    within, bounds = _within_rounding(case, left, gap, found, expected)
    left = left & ~within
    kinks = None
    if left.any() and local.method is not Method.DIFFERENCES:
        kinks = hull(lambda point: case.at(point=point)[1], case.point, case.seed)
        left = left & ~kinks.holds(found)
    longer = case.extended() if left.any() else None
    if longer is not None:
        stopping = BARS * np.abs(longer - expected)
        left = left & ~((gap <= stopping) & (stopping <= WIDE_BAR * np.abs(expected)))
    if not left.any():
        if kinks is not None and (suspicious & ~within & kinks.jumps).any():
            element = _first(suspicious & ~within & kinks.jumps)
            slopes = (float(kinks.lower[element]), float(kinks.upper[element]))
            return Finding(GradientVerdict.KINK, element, "the slopes from the two sides differ", slopes)
        if within.any() and bounds is not None and bounds[1] > WIDE_BAR * abs(found[bounds[0]]):
            return _in_balls(case, within, gap, bounds)
        return None
    element = _worst(gap, left)
    tolerance = bounds[1] if bounds is not None else local.tolerance * abs(expected[element])
    tolerance = max(tolerance, BARS * float(bars[element]))
    why = ""
    if local.site.root:
        solver = local.site.equation.call.graph
        if iterates(local.rule, solver) and gap[left].max() <= WIDE_BAR * np.abs(expected).max():
            why = "its tangent_solve iterates, and what is left may be its tolerance"
            return Finding(GradientVerdict.UNDECIDED, element, why, None, tolerance)
        return Finding(GradientVerdict.DISAGREES, element, "tangent_solve(g, y) is no x with g(x) = y", None, tolerance)
    if _has_stairs(local):
        if _steps_agree(case, element):
            return None
        if not np.any(expected[left]):
            why = "its body is piecewise constant: meant as a straight-through estimate, it wants qed.surrogate"
    return Finding(GradientVerdict.DISAGREES, element, why, None, tolerance)


def _in_balls(case: Case, within: np.ndarray, gap: np.ndarray, bounds: tuple[int, float]) -> Finding | None:
    """What is left where float64 has lost the digits: the worst elements in ball arithmetic."""
    order = np.flatnonzero(within)
    for element in dict.fromkeys([bounds[0], *order[np.argsort(-gap[order])][:LOOKED_AT].tolist()]):
        told = exactly(case, element)
        if told is None:
            why = "the body loses so many digits here that nothing is told"
            return Finding(GradientVerdict.UNDECIDED, bounds[0], why, None, bounds[1])
        if not told.agrees:
            why = "float64 has no digits of it here; ball arithmetic has"
            told = exactly(case, element, unit(case, element)) or told
            numbers = (told.expected, told.found)
            return Finding(GradientVerdict.DISAGREES, element, why, None, 0.0, numbers)
    return None


def _within_rounding(
    case: Case, left: np.ndarray, gap: np.ndarray, found: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, tuple[int, float] | None]:
    """The elements whose difference rounding explains; and the widest bound that was met, with its element.

    The bound is computed for the worst elements only. If it explains those, it is taken to explain the others.
    """
    none = np.zeros(left.shape, bool)
    if not left.any() or case.local.method is Method.DIFFERENCES:
        return none, None
    order = np.flatnonzero(left)
    with np.errstate(all="ignore"):
        ratio = gap / (np.abs(found) + np.abs(expected))
    within_constants = left & (gap <= case.constants)
    left = left & ~within_constants
    if not left.any():
        return within_constants, None
    order = np.flatnonzero(left)
    chosen = dict.fromkeys(
        [*order[np.argsort(-gap[order])][:LOOKED_AT].tolist(), *order[np.argsort(-ratio[order])][:LOOKED_AT].tolist()]
    )
    widest: tuple[int, float] | None = None
    for element in chosen:
        bound = case.noise(element)
        if gap[element] > bound:
            beyond = left & (gap > bound)
            return within_constants | (left & ~beyond), (element, bound)
        if widest is None or bound > widest[1]:
            widest = (element, bound)
    return within_constants | left, widest


def _has_stairs(local: Local) -> bool:
    """Whether the body rounds: then its derivative by the chain rule says nothing of it on a larger scale."""
    return any(equation.primitive in _STAIRS or _truncates(equation) for equation in local.site.body.walk())


def _steps_agree(case: Case, element: int) -> bool:
    """Whether the rule is the slope of the staircase, as a difference quotient over many steps sees it."""
    probe = unit(case, element)
    number, bar = case.quotient(probe)
    claimed = float(case.at(probe)[0].sum()) if case.local.elementwise else float(case.here[0][element])
    size = abs(number) + abs(claimed)
    return np.isfinite(number) and bar <= WIDE_BAR * size and abs(claimed - number) <= BARS * bar + 1e-6 * size


def _truncates(equation: Any) -> bool:
    return (
        equation.primitive == "convert_element_type"
        and is_inexact(equation.inputs[0].dtype)
        and not is_inexact(equation.outputs[0].dtype)
    )


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _worst(gap: np.ndarray, mask: np.ndarray) -> int:
    if not mask.any():
        return 0
    return int(np.argmax(np.where(mask & np.isfinite(gap), gap, -1.0)))


def _culprit(case: Case, finding: Finding) -> Culprit | None:
    if finding.verdict is GradientVerdict.AGREES:
        return None
    local, record = case.local, case.record
    inputs, outputs = local.shapes
    probe = unit(case, finding.element)
    found, expected = case.at(probe)[:2]
    element = finding.element
    result, operand = (0, 0) if not local.elementwise else (element, bisect(case, element))
    if local.linear_in == "c":
        result, operand = operand, result
    if finding.verdict is GradientVerdict.KINK and local.elementwise:
        around = hull(lambda point: case.at(probe, point)[1], case.point, case.seed)
        slopes: tuple[float, float] | None = (float(around.lower[element]), float(around.upper[element]))
    else:
        slopes = finding.slopes
    number, coordinate = place(operand, inputs) if local.elementwise else (0, ())
    steps = record.steps
    return Culprit(
        finding.verdict,
        local.site.equation.primitive,
        local.site.name,
        local.site.span,
        rule_span(local.site.equation.native) or _first_line(local),
        local.site.path(steps),
        None if not steps else (steps[0] if len(steps) == 1 else steps),
        local.site.branch,
        coordinate,
        local.site.active[number],
        place(result, outputs)[1] if local.elementwise else (),
        *(finding.numbers or (float(expected[element]), float(found[element]))),
        finding.tolerance or None,
        slopes,
        finding.why,
        local.order,
    )


def _first_line(local: Local) -> Any:
    """The first line of the user's in the rule, where JAX made the function around it (`jax.custom_gradient`)."""
    return next((e.span for e in reversed(local.rule.equations) if e.span is not None), local.site.span)
