"""The derivative of a user's program by the named rules of differentiation, step by step.

    f'(x) = lim (f(x + h) - f(x)) / h  as h -> 0

is not computed as a limit: the derivative of each operation is known (its fact card), and the rules for sums, products,
quotients and compositions put these together. The derivation is of the program itself, its calls inlined, its branches
as taken, its loops unrolled; the limit, the tangent, and the slopes in all directions are then *observed* beside it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from qed.answer import Answer
from qed.calculus.compiling import made_for
from qed.calculus.deriving import words
from qed.calculus.deriving.ascent import ascent
from qed.calculus.deriving.corners import Corner, Undecided, corners, is_exact, side
from qed.calculus.deriving.forms import Forms
from qed.calculus.deriving.matrix import MatrixDerivation, matrix_derivation
from qed.calculus.deriving.partial import Partial
from qed.calculus.deriving.program import LARGEST_PARAMETERS, NotDerivable, Program, program_of
from qed.calculus.deriving.quotients import derivatives_by_jax, limit, tangent
from qed.calculus.deriving.result import Derivation, Sided, slope_of
from qed.calculus.deriving.scalar import Deriver
from qed.calculus.deriving.verdict import answer_of, not_derived
from qed.calculus.hessian import flatten
from qed.domains.elements import Element, TooManyElements
from qed.graph.function import Function, read
from qed.graph.walk import TooLong

__all__ = ["Derivation", "derive"]

LARGEST_VECTOR = 6
"""Arrays of more numbers are derived as arrays only."""


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
    small = all(p.size == 1 for p in function.parameters) or function.size <= LARGEST_VECTOR
    arrays = any(a.shape for a in (*function.parameters, *function.data) if hasattr(a, "shape"))
    missing: list[Exception] = []
    program, matrix = None, None
    if small:
        try:
            program = program_of(function, limit=20_000 if not arrays else 2_000)
        except (TooManyElements, TooLong, NotDerivable) as reason:
            missing.append(reason)
    if arrays:
        try:
            matrix = matrix_derivation(function, "L")
        except (TooLong, NotDerivable) as reason:
            missing.append(reason)
    try:
        derivation = _derived(function, program, matrix, name, seed)
    except NotDerivable as reason:
        missing.append(reason)
        derivation = None
    if derivation is None:
        return not_derived(function, name, next((m for m in missing if getattr(m, "primitive", None)), missing[-1]))
    return answer_of(function, derivation, time.perf_counter() - started)


def _derived(
    function: Function, program: Program | None, matrix: MatrixDerivation | None, name: str, seed: int
) -> Derivation | None:
    if program is None and matrix is None:
        return None
    partials, sided = _partials(program, name) if program is not None else ([], {})
    slopes = np.array([slope_of(partial, sided) for partial in partials])
    if matrix is not None and not partials:
        slopes = np.concatenate([np.ravel(value) for value in matrix.values.values()])
    observed, method = _gradient(function)
    value = function.traced.rebuild(_like(function, slopes))[0][0]
    seen = function.traced.rebuild(_like(function, observed))[0][0]
    whole: dict[str, Any] = {"limit": None, "tangent": None, "ascent": None}
    if function.size == 1 and program is not None and math.isfinite(slopes[0]):
        whole |= _of_one_number(function, program, partials[0], slopes[0])
    elif function.size > 1 and np.all(np.isfinite(slopes)):
        whole["ascent"] = ascent(function, observed, seed=seed)
    return Derivation(name, tuple(partials), sided, value, seen, **whole, matrix=matrix, observed_by=method)


def _partials(program: Program, name: str) -> tuple[list[Partial], dict[str, Sided]]:
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
    return partials, sided


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


def _gradient(function: Function) -> tuple[np.ndarray, str]:
    """What jax.grad gives, as one vector; jax.jacfwd where it fails, as for loops of unknown length."""
    value, parameters = (lambda p: function.value(p)), tuple(function.parameters)
    try:
        return flatten(made_for(function, jax.grad(value), calls=1)(parameters)), "jax.grad"
    except (TypeError, ValueError, NotImplementedError) as reason:
        if function.size > LARGEST_PARAMETERS:
            message = "jax.grad fails, and there is nothing to compare with"
            raise NotDerivable(message) from reason
    try:
        return flatten(jax.jit(jax.jacfwd(value))(parameters)), "jax.jacfwd"
    except (TypeError, ValueError, NotImplementedError) as reason:
        message = "JAX has no derivative of it, so that there is nothing to compare with"
        raise NotDerivable(message) from reason


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
