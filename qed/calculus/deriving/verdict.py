"""From a derivation to an answer: does jax.grad agree, is there a corner, is a rule missing."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Missing, Reason, Standing
from qed.calculus.compiling import made_for
from qed.calculus.deriving import words
from qed.calculus.deriving.program import NotDerivable
from qed.calculus.deriving.quotients import smallest_errors
from qed.calculus.deriving.result import Derivation, Sided
from qed.calculus.gradient.beside import ORDERED, Beside
from qed.calculus.gradient.ties import first_tie
from qed.calculus.hessian import flatten
from qed.findings import Finding
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function

SAME = 256.0
"""Up to how many units of rounding of the largest number on the way two derivatives are called the same."""

LEAST, MOST = 1e-12, 1e-2
"""And which share of it that is at least, in float64, and at most, in the short formats."""


def agreement(function: Function, derivation: Derivation, observed: np.ndarray | None = None) -> tuple[float, float]:
    """The largest difference between the derived numbers and jax.grad's, and how large rounding may make it.

    Args:
        function: the function at the point.
        derivation: what was derived.
        observed: the gradient as one vector, by default the one in the derivation.
    """
    derived = derivation.numbers
    seen = flatten(jax.tree_util.tree_leaves(derivation.observed)) if observed is None else observed
    known = np.isfinite(derived)
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    largest = max((partial.scale for partial in derivation.partials if math.isfinite(partial.scale)), default=0.0)
    steps = max((len(partial.steps) for partial in derivation.partials), default=1)
    difference = float(np.max(np.abs(derived - seen)[known], initial=0.0))
    smallest = max(float(jnp.finfo(p.dtype).tiny) for p in function.parameters)
    relative = 0.05 if epsilon > 1e-4 else 1e-3 if epsilon > 1e-10 else 1e-9
    size = float(np.max(np.abs(derived[known]), initial=0.0))
    return difference, max(8 * epsilon * (steps + 8) * largest, relative * size) + smallest


def answer_of(function: Function, derivation: Derivation, seconds: float) -> Answer[Derivation]:
    """The answer that carries a derivation."""
    common: dict[str, Any] = {
        "arithmetic": str(function.graph.outputs[0].dtype),
        "subject": words.subject(derivation.function, function),
        "meta": {"seconds": seconds, "dtype": function.dtype},
    }
    broken = {key: both for key, both in derivation.sided.items() if not both.agree}
    if broken:
        return _at_a_corner(function, derivation, broken, common)
    missing = _nothing_finite(function, derivation) or _at_ties(derivation) or _of_equal_numbers(function, derivation)
    missing = missing or _pieces_too_near(function, derivation)
    claim = words.claim(derivation)
    if missing is not None:
        reasons = words.reasons(derivation)
        return Answer(claim, Standing.UNKNOWN, derivation, missing=(missing,), reasons=reasons, **common)
    difference, allowed = agreement(function, derivation)
    if difference > allowed:
        return _disagrees(derivation, difference, allowed, claim, common)
    apart = _apart(function, derivation, difference)
    reasons = (*words.reasons(derivation), *words.observations(derivation, difference, allowed, apart))

    def again() -> bool:
        """The gradient once more, not compiled as one program."""
        way = jax.grad if derivation.observed_by == "jax.grad" else jax.jacfwd
        seen = flatten(way(lambda p: function.value(p))(tuple(function.parameters)))
        return agreement(function, derivation, seen)[0] <= allowed

    headline = words.headline(derivation, apart)
    return Answer(claim, Standing.MEASURED, derivation, reasons=reasons, headline=headline, recheck=again, **common)


def _apart(function: Function, derivation: Derivation, difference: float) -> float | None:
    """By which share of the largest number two gradients differ; None where they are the same but for rounding."""
    size = float(np.max(np.abs(derivation.numbers), initial=0.0))
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    largest = max((partial.scale for partial in derivation.partials if math.isfinite(partial.scale)), default=size)
    return (
        None
        if difference <= max(min(SAME * epsilon, MOST), LEAST) * max(size, largest) or not size
        else difference / size
    )


def _nothing_finite(function: Function, derivation: Derivation) -> Missing | None:
    """The value or the derivative is infinite or NaN."""
    value = float(np.asarray(made_for(function, function.value, calls=1)(tuple(function.parameters))))
    if not math.isfinite(value):
        what = f"the value of {derivation.function} is {value} here, so that it has no derivative"
        return Missing(what, "a point where the function is defined; qed.why finds where the number is born")
    if np.all(np.isfinite(derivation.numbers)):
        return None
    names = [partial.variable for partial in derivation.partials] or list(
        derivation.matrix.gradients if derivation.matrix else []
    )
    at = int(np.argmin(np.isfinite(derivation.numbers))) if derivation.partials else 0
    value = derivation.numbers[~np.isfinite(derivation.numbers)][0]
    settle = "a point where every step has a finite derivative; qed.why finds where the number is born"
    return Missing(f"the derivative in {names[at]} is {value} by the rules", settle)


def _at_ties(derivation: Derivation) -> Missing | None:
    """Numbers of an array stand exactly where pieces meet; what their derivative is, is a convention."""
    if derivation.partials or derivation.matrix is None or not derivation.matrix.ties:
        return None
    count, primitive, span = derivation.matrix.ties[0]
    what = f"{count} numbers stand exactly where the pieces of {primitive} meet"
    return Missing(what, "a point beside this one", primitive=primitive, span=span)


def _of_equal_numbers(function: Function, derivation: Derivation) -> Missing | None:
    """Numbers are put in order, two of them are equal, and f has a corner there."""
    if derivation.partials or not any(equation.primitive in ORDERED for equation in function.graph.walk()):
        return None
    tie = first_tie(
        function.graph, function.traced.leaves, function.traced.free, lambda equation: equation.primitive in ORDERED
    )
    if tie is None or not Beside(function).corner():
        return None
    what = f"{tie.entry.primitive} meets equal numbers, and the slopes around the point do not add up"
    return Missing(what, "a point beside this one", primitive=tie.entry.primitive, span=tie.entry.span)


def _away_from_quotients(function: Function, derivation: Derivation) -> tuple[str, float] | None:
    """A variable whose difference quotients do not come near the derived number, where the function has pieces."""
    partials = derivation.partials
    if not any(partial.conditions for partial in partials):
        return None
    slopes = derivation.numbers
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    tolerance = {True: 0.1, False: 0.02 if epsilon > 1e-10 else 1e-3}[epsilon > 1e-4]
    value = abs(float(np.asarray(function.value(function.parameters))))
    for partial, (first, error) in zip(partials, smallest_errors(function, slopes), strict=True):
        enough = tolerance * max(abs(partial.value), partial.scale, epsilon * value)
        if error > max(enough, 0.05 * first):
            return partial.variable, float(error)
    return None


def _pieces_too_near(function: Function, derivation: Derivation) -> Missing | None:
    away = _away_from_quotients(function, derivation)
    if away is None:
        return None
    variable, error = away
    what = f"the difference quotients in {variable} stay {error:.3g} away from the derived number"
    return Missing(what, "a point farther from where the pieces meet")


def _disagrees(
    derivation: Derivation, difference: float, allowed: float, claim: str, common: dict[str, Any]
) -> Answer[Derivation]:
    """The rules give another number than jax.grad: a rule of the user's own, or digits that are lost."""
    notes = [note for partial in derivation.partials for note in partial.notes]
    reason = Reason(
        "comparison with jax.grad", predicted=words.flat(derivation.value), observed=words.flat(derivation.observed),
        role="but",
        standing=Standing.MEASURED, text=words.disagreement(derivation, difference, allowed),
    )  # fmt: skip
    custom = any("rule of its own" in note or "stop_gradient" in note for note in notes)
    missing = Missing(
        f"the rules and jax.grad differ by {difference:.3g}",
        "qed.check_gradient compares each rule of the user's own with its body" if custom else
        "the same in float64",
    )  # fmt: skip
    reasons = (*words.reasons(derivation), reason)
    return Answer(claim, Standing.UNKNOWN, derivation, missing=(missing,), reasons=reasons, **common)


def _at_a_corner(
    function: Function, derivation: Derivation, broken: dict[str, Sided], common: dict[str, Any]
) -> Answer[Derivation]:
    variable, both = next(iter(broken.items()))
    name = derivation.function
    claim = f"{name} has a derivative in {variable} at {words.point(function, variable)}"
    place = both.corner.element.span
    reasons = words.corner_reasons(derivation, variable, both)
    if both.exact and both.right is not None and both.left is not None:
        message = f"d{name}/d{variable} is {both.right.value:.6g} to the right and {both.left.value:.6g} to the left"
        witness = {"right": both.right.value, "left": both.left.value, "note": "the pieces meet here"}
        finding = Finding("QED104", message, place, witness)
        headline = f"There is no derivative here: {message}."
        again = lambda: not both.agree  # noqa: E731
        return Answer(
            claim, Standing.REFUTED, derivation, findings=(finding,), reasons=reasons, headline=headline,
            recheck=again, **common,
        )  # fmt: skip
    why = both.why or "whether the pieces meet exactly at this point is not known: rounding may have made them equal"
    primitive = both.corner.element.operation
    missing = Missing(why, "a point beside this one", primitive=primitive, span=place)
    return Answer(claim, Standing.UNKNOWN, derivation, missing=(missing,), reasons=reasons, **common)


def not_derived(function: Function, name: str, missing: Exception) -> Answer[Any]:
    """The answer where no derivation was found: what is missing, with primitive and line."""
    claim = f"the derivative of {name} follows from the named rules"
    dtype = function.dtype.split(", ")[0]
    subject = f"derivative of {name}"
    match missing:
        case NotDerivable():
            gap = Missing(missing.what, "a rule for it", "QED020", missing.primitive, missing.span)
        case _:
            gap = Missing(f"the program is too large to be written out: {missing}", "fewer parameters, or fewer data")
    return Answer(claim, Standing.UNKNOWN, arithmetic=dtype, subject=subject, missing=(gap,))
