"""The derivative of a user's program by the named rules of differentiation, step by step.

    f'(x) = lim (f(x + h) - f(x)) / h  as h -> 0

is not computed as a limit: the derivative of each operation is known (its fact card), and the rules for sums, products,
quotients and compositions put these together. The derivation is of the program itself, its calls inlined, its branches
as taken, its loops unrolled; the limit, the tangent, and the slopes in all directions are then *observed* beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Answer, Missing, Reason, Standing
from qed.calculus.deriving import words
from qed.calculus.deriving.ascent import Ascent, ascent
from qed.calculus.deriving.corners import Corner, Undecided, corners, is_exact, side
from qed.calculus.deriving.forms import Forms
from qed.calculus.deriving.partial import Partial, Step
from qed.calculus.deriving.program import NotDerivable, Program, program_of
from qed.calculus.deriving.quotients import Limit, Tangent, derivatives_by_jax, limit, smallest_errors, tangent
from qed.calculus.deriving.scalar import Deriver
from qed.calculus.hessian import flatten
from qed.domains.elements import Element, TooManyElements
from qed.facts import Expression
from qed.findings import Finding
from qed.graph.dtypes import unit_roundoff
from qed.graph.function import Function, read
from qed.graph.walk import TooLong


@dataclass(frozen=True, eq=False)
class Sided:
    """The derivative in one variable at a corner: from the right and from the left.

    `exact` says whether the pieces meet there as real numbers (None: balls cannot tell).
    """

    right: Partial | None
    left: Partial | None
    corner: Corner
    exact: bool | None
    why: str = ""

    @property
    def agree(self) -> bool:
        """Whether both sides give the same slope, so that the derivative exists."""
        if self.right is None or self.left is None:
            return False
        return math.isclose(self.right.value, self.left.value, rel_tol=1e-9, abs_tol=1e-12 * self.right.scale)


@dataclass(frozen=True, eq=False)
class Derivation:
    """The derivative of a function of numbers, derived.

    Args:
        function: the function's name.
        partials: one derivative for each entry of the parameters, the others held constant.
        sided: where pieces meet at the point, what the two sides give, by the name of the variable.
        value: the derivative as a number, or a pytree of arrays like x (NaN where there is none).
        observed: what `jax.grad` gives, in the same form.
        limit: difference quotients, for a function of one number.
        tangent: the tangent line, for a function of one number.
        ascent: the slopes along random directions, for more than one number.
    """

    function: str
    partials: tuple[Partial, ...]
    sided: Mapping[str, Sided]
    value: Any
    observed: Any
    limit: Limit | None = None
    tangent: Tangent | None = None
    ascent: Ascent | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, one variable after the other."""
        return tuple(step for partial in self.partials for step in partial.steps)

    @property
    def formula(self) -> Expression | dict[str, Expression]:
        """The derivative as a formula; for several variables one for each, by name."""
        found = {partial.variable: partial.formula for partial in self.partials}
        return next(iter(found.values())) if len(found) == 1 else found

    @cached_property
    def text(self) -> str:
        """The derivation as plain text."""
        return words.text(self.function, self.partials)

    @cached_property
    def tex(self) -> str:
        """The derivation as TeX, an align* environment for each variable."""
        return words.tex(self.function, self.partials)


def derive(fun: Callable[..., Any], x: Any, *args: Any, seed: int = 0) -> Answer[Derivation]:
    """Derive the derivative of ``fun(x, *args)`` in x at a point, by the named rules of differentiation.

    Args:
        fun: a JAX function that returns one real number.
        x: the point: a number, or a pytree of floating-point numbers and small arrays.
        args: data; held constant.
        seed: of the directions along which slopes are observed.

    Returns:
        An answer whose value is the `Derivation`: `steps`, `formula`, `text`, `tex`, `value`. MEASURED where `jax.grad`
        gives the derived number; REFUTED where the function has a corner at x, so that there is no derivative; UNKNOWN
        where a rule is missing, with primitive and line.

    Raises:
        QedError: QED002, QED003, QED004, QED006, QED007, QED010, as `qed.graph.function.read` does.

    Example:
        >>> answer = derive(lambda x: x**2 * jax.numpy.exp(-x), 1.5)
        >>> answer.standing == "MEASURED", answer.formula, round(answer.partials[0].value, 6)
        (True, Expression('x*(2 - x)*exp(-x)'), 0.167348)
        >>> print(answer.steps[-1].text)
        f' = (x^2)' exp(-x) + x^2 (exp(-x))' = x (2 - x) exp(-x) = 0.167348
    """
    started = time.perf_counter()
    function = read(fun, x, *args)
    name = function.name if function.name.isidentifier() else "f"
    try:
        program = program_of(function)
        derivation = _derived(function, program, name, seed)
    except (TooManyElements, TooLong, NotDerivable) as missing:
        return _not_derived(function, name, missing)
    return _answer(function, program, derivation, time.perf_counter() - started)


def _derived(function: Function, program: Program, name: str, seed: int) -> Derivation:
    forms = Forms(program)
    deriver = Deriver(forms, name)
    partials: list[Partial] = []
    sided: dict[str, Sided] = {}
    for variable in program.variables:
        found = corners(program, program.depending_on(variable))
        if not found:
            partials.append(deriver.derive(variable))
            continue
        both = _both_sides(deriver, program, variable, found)
        partials.append(both.right or both.left or deriver.derive(variable))
        sided[forms.labels[variable]] = both
    slopes = np.array([_number(partial, sided) for partial in partials])
    gradient, observed = _gradient(function)
    value = function.traced.rebuild(_like(function, slopes))[0][0]
    seen = function.traced.rebuild(_like(function, flatten(gradient)))[0][0]
    whole: dict[str, Any] = {"limit": None, "tangent": None, "ascent": None}
    if len(partials) == 1 and math.isfinite(slopes[0]):
        whole |= _of_one_number(function, program, partials[0], slopes[0])
    elif len(partials) > 1 and np.all(np.isfinite(slopes)):
        whole["ascent"] = ascent(function, observed, seed=seed)
    return Derivation(name, tuple(partials), sided, value, seen, **whole)


def _both_sides(deriver: Deriver, program: Program, variable: Element, found: tuple[Corner, ...]) -> Sided:
    active = program.depending_on(variable)
    results: list[Partial | None] = []
    why = ""
    for sign in (1, -1):
        try:
            results.append(deriver.derive(variable, sides=side(program, variable, active, sign)))
        except Undecided as reason:
            results.append(None)
            why = str(reason)
    exact = [is_exact(program, corner) for corner in found]
    wrong = next((corner for corner, sure in zip(found, exact, strict=True) if sure is not True), found[0])
    return Sided(results[0], results[1], wrong, None if None in exact else all(exact), why)


def _number(partial: Partial, sided: Mapping[str, Sided]) -> float:
    both = sided.get(partial.variable)
    return partial.value if both is None or both.agree else math.nan


def _gradient(function: Function) -> tuple[tuple[Any, ...], np.ndarray]:
    """What jax.grad gives, as arrays and as one vector."""
    found = jax.jit(jax.grad(lambda p: function.value(p)))(tuple(function.parameters))
    return found, flatten(found)


def _like(function: Function, vector: np.ndarray) -> list[Any]:
    """The leaves of all arguments with a vector in the place of the parameters, as NumPy numbers."""
    leaves, start = list(function.traced.leaves), 0
    for position, parameter in zip(function.traced.free, function.parameters, strict=True):
        array = vector[start : start + parameter.size].reshape(parameter.shape)
        leaves[position] = array if array.shape else float(array)
        start += parameter.size
    return leaves[: len(leaves) - function.closed_over] if function.closed_over else leaves


def _of_one_number(function: Function, program: Program, partial: Partial, slope: float) -> dict[str, Any]:
    at = float(program.variables[0].value)
    second = third = None
    if partial.second is not None and partial.third is not None:
        second, third = (words.number(f, partial.values) for f in (partial.second, partial.third))
    if second is None or third is None or not (math.isfinite(second) and math.isfinite(third)):
        second, third = derivatives_by_jax(function, at)
    return {
        "limit": limit(function, at, slope, third),
        "tangent": tangent(function, at, slope, second, third),
    }


# --- the answer ---


def agreement(function: Function, derivation: Derivation) -> tuple[float, float]:
    """The largest difference between the derived numbers and jax.grad's, and how large rounding may make it."""
    derived = np.array([_number(partial, derivation.sided) for partial in derivation.partials])
    observed = flatten(jax.tree_util.tree_leaves(derivation.observed))
    known = np.isfinite(derived)
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    largest = max((partial.scale for partial in derivation.partials if math.isfinite(partial.scale)), default=0.0)
    steps = max((len(partial.steps) for partial in derivation.partials), default=1)
    difference = float(np.max(np.abs(derived - observed)[known], initial=0.0))
    smallest = max(float(jnp.finfo(p.dtype).tiny) for p in function.parameters)
    return difference, 8 * epsilon * (steps + 8) * largest + smallest


def _answer(function: Function, program: Program, derivation: Derivation, seconds: float) -> Answer[Derivation]:
    name, partials = derivation.function, derivation.partials
    meta = {"seconds": seconds, "dtype": function.dtype}
    common: dict[str, Any] = {
        "arithmetic": str(np.asarray(program.output.value).dtype),
        "subject": words.subject(name, function, program),
        "meta": meta,
    }
    broken = {key: both for key, both in derivation.sided.items() if not both.agree}
    if broken:
        return _at_a_corner(derivation, broken, program, common)
    wrong = [p for p in partials if not math.isfinite(p.value)]
    if wrong:
        what = f"d{name}/d{wrong[0].variable} is {wrong[0].value} by the rules"
        settle = "a point where every step has a finite derivative; qed.why finds where the number is born"
        reasons = words.reasons(derivation)
        return Answer(what, Standing.UNKNOWN, derivation, missing=(Missing(what, settle),), reasons=reasons, **common)
    away = _away_from_quotients(function, derivation)
    if away is not None:
        return _pieces_too_near(derivation, away, common)
    difference, allowed = agreement(function, derivation)
    claim = words.claim(derivation)
    if difference <= allowed or difference <= 1e-3 * max(float(np.max(np.abs([p.value for p in partials]))), 1e-300):
        reasons = (*words.reasons(derivation), *words.observations(derivation, difference, allowed))
        headline = words.headline(derivation)
        again = lambda: agreement(function, derivation)[0] <= max(allowed, difference)  # noqa: E731
        return Answer(claim, Standing.MEASURED, derivation, reasons=reasons, headline=headline, recheck=again, **common)
    return _disagrees(derivation, difference, allowed, claim, common)


def _away_from_quotients(function: Function, derivation: Derivation) -> tuple[str, float] | None:
    """A variable whose difference quotients do not come near the derived number, where the function has pieces."""
    partials = derivation.partials
    if not any(partial.conditions for partial in partials):
        return None
    slopes = np.array([_number(partial, derivation.sided) for partial in partials])
    epsilon = max(unit_roundoff(p.dtype) for p in function.parameters)
    tolerance = {True: 0.1, False: 0.02 if epsilon > 1e-10 else 1e-3}[epsilon > 1e-4]
    value = abs(float(np.asarray(function.value(function.parameters))))
    for partial, (first, error) in zip(partials, smallest_errors(function, slopes), strict=True):
        enough = tolerance * max(abs(partial.value), partial.scale, epsilon * value)
        if error > max(enough, 0.05 * first):
            return partial.variable, float(error)
    return None


def _pieces_too_near(derivation: Derivation, away: tuple[str, float], common: dict[str, Any]) -> Answer[Derivation]:
    variable, error = away
    what = f"the difference quotients in {variable} stay {error:.3g} away from the derived number"
    missing = Missing(what, "a point farther from where the pieces meet")
    reasons = words.reasons(derivation)
    return Answer(words.claim(derivation), Standing.UNKNOWN, derivation, missing=(missing,), reasons=reasons, **common)


def _disagrees(
    derivation: Derivation, difference: float, allowed: float, claim: str, common: dict[str, Any]
) -> Answer[Derivation]:
    """The rules give another number than jax.grad: a rule of the user's own, or digits that are lost."""
    notes = [note for partial in derivation.partials for note in partial.notes]
    reason = Reason(
        "comparison with jax.grad", predicted=derivation.value, observed=derivation.observed, role="but",
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
    derivation: Derivation, broken: dict[str, Sided], program: Program, common: dict[str, Any]
) -> Answer[Derivation]:
    variable, both = next(iter(broken.items()))
    name = derivation.function
    claim = f"{name} has a derivative in {variable} at {words.point(program, variable)}"
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


def _not_derived(function: Function, name: str, missing: Exception) -> Answer[Any]:
    claim = f"the derivative of {name} follows from the named rules"
    dtype = function.dtype.split(", ")[0]
    subject = f"derivative of {name}"
    match missing:
        case NotDerivable():
            gap = Missing(missing.what, "a rule for it", "QED020", missing.primitive, missing.span)
        case _:
            gap = Missing(f"the program is too large to be written out: {missing}", "fewer parameters, or fewer data")
    return Answer(claim, Standing.UNKNOWN, arithmetic=dtype, subject=subject, missing=(gap,))
