"""Taylor coefficients as fractions, and the name of the series, for a function of one number at a rational point.

The same recurrences, run over the rationals: exp at 0, the logarithm at 1, sine at 0 and the like have rational values
there, and every other step is a sum, product or quotient. Where a value is irrational nothing is said. A program
alpha + beta f(u), with u = u_0 + c t and f a function whose series about u_0 is in the tables, has that series: its
general term with (c t) for the variable, its radius of convergence divided by |c|.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.calculus.deriving.program import NotDerivable, Program, program_of
from qed.calculus.expanding.model import Known
from qed.domains.coefficients import Coefficients, Lost
from qed.domains.elements import Element, TooManyElements
from qed.domains.series import Node, SeriesArithmetic
from qed.facts.expression import COMPARISONS
from qed.facts.known_series import SERIES, PowerSeries, power_series
from qed.graph.function import Function
from qed.graph.walk import TooLong

BITS = 12
"""A constant of the program with more significant bits may be a rounded irrational number: it is not called exact."""

_ZERO, _ONE = Fraction(0), Fraction(1)
_AT_ZERO = "expm1 log1p sin tan asin atan sinh tanh asinh atanh erf erf_inv"
VALUES: Mapping[str, Mapping[Fraction, Fraction]] = {
    **{name: {_ZERO: _ZERO} for name in _AT_ZERO.split()},
    **{name: {_ZERO: _ONE} for name in ("exp", "exp2", "cos", "cosh")},
    "log": {_ONE: _ZERO},
    "log2": {_ONE: _ZERO},
    "acosh": {_ONE: _ZERO},
    "logistic": {_ZERO: Fraction(1, 2)},
}
"""Rational values of the functions at rational points."""


@final
class Rationals(Coefficients):
    """Coefficients that are fractions."""

    def rational(self, value: Fraction) -> Any:
        """Itself."""
        return value

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        """The value where it is rational; Lost otherwise."""
        if name == "pi":
            raise Lost
        if name in ("sqrt", "rsqrt", "cbrt", "power", "pow", "integer_pow"):
            return _rational_power(name, operands, parameters)
        if name in VALUES and operands[0] in VALUES[name]:
            return VALUES[name][operands[0]]
        card = facts.card(name, **parameters) if name not in facts.ARITHMETIC else facts.ARITHMETIC[name]
        definition = None if card is None else card.value.definition
        if card is None or definition is None:
            raise Lost
        names = ("x",) if name not in facts.ARITHMETIC else facts.ARITHMETIC[name].arguments
        return definition.evaluate(arithmetic=_Numbers(self), **dict(zip(names, operands, strict=True)))

    def decide(self, comparison: str, left: Any, right: Any) -> Any:
        """Exactly."""
        return COMPARISONS[comparison](left, right)

    def choose(self, mask: Any, then: Any, otherwise: Any) -> Any:
        """The one or the other."""
        return then if mask else otherwise

    def shaped(self, value: Any, variable: Any) -> Any:
        """A fraction has no shape."""
        return value

    def zeros(self, variable: Any) -> Any:
        """Zero."""
        return _ZERO

    def add(self, left: Any, right: Any) -> Any:
        """The sum."""
        return left + right

    def sub(self, left: Any, right: Any) -> Any:
        """The difference."""
        return left - right

    def mul(self, left: Any, right: Any) -> Any:
        """The product."""
        return left * right

    def div(self, left: Any, right: Any) -> Any:
        """The quotient; Lost at a pole."""
        if right == 0:
            raise Lost
        return left / right

    def neg(self, value: Any) -> Any:
        """The negative."""
        return -value


class _Numbers:
    """Fractions as an arithmetic for the definitions on the cards."""

    def __init__(self, numbers: Rationals) -> None:
        self.numbers = numbers

    def constant(self, value: float) -> Fraction:
        return Fraction(value)

    def call(self, name: str, *operands: Any, **parameters: Any) -> Any:
        return self.numbers.call(name, *operands, **parameters)

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Any:
        return then if COMPARISONS[comparison](left, right) else otherwise


def _exponent(name: str, operands: Sequence[Any], parameters: Mapping[str, Any]) -> Fraction:
    match name:
        case "sqrt":
            return Fraction(1, 2)
        case "rsqrt":
            return Fraction(-1, 2)
        case "cbrt":
            return Fraction(1, 3)
        case "pow":
            return operands[1]
    return Fraction(parameters["y"] if name == "integer_pow" else parameters["exponent"])


def _rational_power(name: str, operands: Sequence[Any], parameters: Mapping[str, Any]) -> Fraction:
    base, exponent = operands[0], _exponent(name, operands, parameters)
    if base == 0 and exponent < 0:
        raise Lost
    sign = -1 if base < 0 and name == "cbrt" else 1
    root = exponent.denominator
    parts = [_root(abs(n) if sign < 0 else n, root) for n in (base.numerator, base.denominator)]
    return sign * Fraction(*parts) ** exponent.numerator


def _root(number: int, degree: int) -> int:
    if degree == 1:
        return number
    if number < 0:
        raise Lost
    found = round(number ** (1 / degree)) if number < 2**50 else 0
    if found**degree != number:
        raise Lost
    return found


# --- coefficients ---------------------------------------------------------------------------------------------


def exact_series(function: Function, order: int) -> tuple[tuple[Fraction, ...] | None, Known | None]:
    """The coefficients of a function of one number as fractions, and the series' name; None for what is not known.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.function import read
        >>> exact, known = exact_series(read(lambda x: jnp.log(1 + x), 0.0), 4)
        >>> [str(c) for c in exact], known.term, known.radius
        (['0', '1', '-1/2', '1/3', '-1/4'], '(-1)^(k+1) x^k / k', 1.0)
    """
    if function.size != 1:
        return None, None
    try:
        program = program_of(function, limit=400)
        nodes = _nodes(program)
        exact = tuple(_ZERO if (c := nodes[program.output][k]) is None else c for k in range(order + 1))
    except (Lost, NotDerivable, TooManyElements, TooLong, KeyError, OverflowError, ValueError):
        return None, None
    named = _named(program, nodes)
    if named is None:
        return exact, None
    series, slope, shift, scale = named
    if any(exact[k] != (shift if k == 0 else 0) + scale * series.coefficient(k) * slope**k for k in range(order + 1)):
        return exact, None  # a branch of the program that the tables do not mean
    return exact, _known(function, series, slope, shift, scale, _fraction(program.variables[0]))


def _nodes(program: Program) -> dict[Element, Node]:
    arithmetic, nodes = SeriesArithmetic(Rationals()), {}
    for element in program.order:
        operands = [nodes[o] for o in element.operands]
        nodes[element] = _node(arithmetic, element, operands, element in program.variables)
    return nodes


def _node(arithmetic: SeriesArithmetic, element: Element, operands: Sequence[Node], free: bool) -> Node:
    match element.operation:
        case "symbol" if free:
            return arithmetic.given([_fraction(element), _ONE])
        case "symbol" | "constant":
            return arithmetic.exact(_fraction(element))
        case "add":
            total = operands[0]
            for other in operands[1:]:
                total = total + other
            return total
        case "sub":
            return operands[0] - operands[1]
        case "mul":
            return operands[0] * operands[1]
        case "div":
            return operands[0] / operands[1]
        case "stop_gradient":
            return operands[0]
    if facts.classify(element.operation) not in (facts.Class.UNARY, facts.Class.ARITHMETIC):
        raise Lost
    parameters = {key: Fraction(value) for key, value in element.parameters.items()}
    return arithmetic.call(element.operation, *operands, **parameters)


def _fraction(element: Element) -> Fraction:
    value = Fraction(float(element.value))
    odd = abs(value.numerator) >> max(0, (value.numerator & -value.numerator).bit_length() - 1)
    if odd >= 2**BITS:
        raise Lost
    return value


# --- names ----------------------------------------------------------------------------------------------------

Named = tuple[PowerSeries, Fraction, Fraction, Fraction]
"""(series, c, alpha, beta): the program is alpha + beta f(centre + c t)."""


def _line(node: Node, order: int = 3) -> tuple[Fraction, Fraction] | None:
    """(u_0, c) where the node is u_0 + c t, as far as three coefficients and its operations say."""
    return None if any(node[k] for k in range(2, order)) else (node[0] or _ZERO, node[1] or _ZERO)


@dataclass(frozen=True)
class _Affine:
    """How an element depends on the variable: not at all, linearly (and only so), or otherwise."""

    nodes: Mapping[Element, Node]
    lines: frozenset[Element]

    def constant(self, element: Element) -> Fraction | None:
        """The number that a constant element is."""
        line = self.line(element)
        return line[0] if line is not None and line[1] == 0 else None

    def line(self, element: Element) -> tuple[Fraction, Fraction] | None:
        """(u_0, c) of an element that is u_0 + c t by construction."""
        return _line(self.nodes[element]) if element in self.lines else None


def _affine(program: Program, nodes: Mapping[Element, Node]) -> _Affine:
    found: set[Element] = set()
    for element in program.order:
        inside = all(o in found for o in element.operands)
        still = [o in found and not nodes[o][1] for o in element.operands]
        match element.operation:
            case "symbol" | "constant":
                found.add(element)
            case "add" | "sub" | "neg" if inside:
                found.add(element)
            case "mul" if inside and sum(not s for s in still) <= 1:
                found.add(element)
            case "div" if inside and still[1]:
                found.add(element)
    return _Affine(nodes, frozenset(found))


def _named(program: Program, nodes: Mapping[Element, Node]) -> Named | None:
    affine = _affine(program, nodes)
    element, shift, scale = program.output, _ZERO, _ONE
    while True:
        peeled = _peeled(element, affine)
        if peeled is None:
            break
        element, more, factor = peeled
        shift, scale = shift + scale * more, scale * factor
    found = _of_function(element, affine)
    if found is None:
        return None
    series, slope, factor = found
    return series, slope, shift, scale * factor


def _peeled(element: Element, affine: _Affine) -> tuple[Element, Fraction, Fraction] | None:
    """(inner, alpha, beta) with element = alpha + beta inner and inner no line."""
    operands = element.operands
    if element.operation == "neg":
        return operands[0], _ZERO, -_ONE
    if len(operands) != 2 or element.operation not in ("add", "sub", "mul", "div"):
        return None
    left, right = (affine.constant(o) for o in operands)
    match element.operation:
        case "add" if left is not None or right is not None:
            return (operands[1], left, _ONE) if left is not None else (operands[0], right or _ZERO, _ONE)
        case "sub" if left is not None:
            return operands[1], left, -_ONE
        case "sub" if right is not None:
            return operands[0], -right, _ONE
        case "mul" if left is not None or right is not None:
            return (operands[1], _ZERO, left) if left is not None else (operands[0], _ZERO, right or _ZERO)
        case "div" if right is not None:
            return operands[0], _ZERO, 1 / right
    return None


def _of_function(element: Element, affine: _Affine) -> tuple[PowerSeries, Fraction, Fraction] | None:
    """(series, c, factor) where the element is factor f(centre + c t) with f in the tables."""
    name, operands = element.operation, element.operands
    if name == "div" and affine.constant(operands[0]) is not None:
        return _powered(affine.line(operands[1]), -_ONE, affine.constant(operands[0]) or _ZERO)
    if name in ("sqrt", "rsqrt", "cbrt", "pow", "integer_pow", "reciprocal"):
        second = affine.constant(operands[1]) if name == "pow" else None
        if name == "pow" and second is None:
            return None
        exponent = -_ONE if name == "reciprocal" else _exponent(name, (None, second), element.parameters)
        return _powered(affine.line(operands[0]), exponent, _ONE)
    if name not in SERIES:
        return None
    line = affine.line(operands[0])
    if line is None or line[0] != SERIES[name].centre or not line[1]:
        return None
    return SERIES[name], line[1], _ONE


def _powered(
    line: tuple[Fraction, Fraction] | None, exponent: Fraction, factor: Fraction
) -> tuple[PowerSeries, Fraction, Fraction] | None:
    """factor (u_0 + c t)^a = factor u_0^a (1 + c/u_0 t)^a."""
    if line is None or not line[0] or not line[1]:
        return None
    try:
        leading = _rational_power("power", (line[0],), {"exponent": exponent})
    except Lost:
        return None
    return power_series(exponent), line[1] / line[0], factor * leading


def _known(
    function: Function, series: PowerSeries, slope: Fraction, shift: Fraction, scale: Fraction, at: Fraction
) -> Known:
    variable = "x" if at == 0 else "t"
    inner = variable if slope == 1 else f"-{variable}" if slope == -1 else f"{slope} {variable}"
    body = (
        series.term.replace("{v}", inner if slope == 1 else f"({inner})")
        .replace("(-(-x))", "x")
        .replace("(-(-t))", "t")
    )
    front = "" if scale == 1 else "-" if scale == -1 else f"{scale} "
    if front and "+" in body.split("^")[0]:
        body = f"({body})"
    term = f"{front}{body}" + (f", and {shift} at k = 0" if shift else "")
    radius = series.radius / abs(float(slope))
    return Known(series.name, term, radius, _partial_sums(function, series, slope, shift, scale, at, radius))


def _partial_sums(
    function: Function,
    series: PowerSeries,
    slope: Fraction,
    shift: Fraction,
    scale: Fraction,
    at: Fraction,
    radius: float,
) -> tuple[tuple[int, float, float, float], ...]:
    """(order, t, polynomial, function) at half the radius and at one and a half times it, for orders 5, 10 and 20."""
    if not math.isfinite(radius):
        return ()
    rows: list[tuple[int, float, float, float]] = []
    for factor in (0.5, 1.5):
        t, value = _reached(function, float(at), factor * radius)
        if not math.isfinite(value):
            continue
        for order in (5, 10, 20):
            exact = Fraction(t)
            total = shift + sum(scale * series.coefficient(k) * (slope * exact) ** k for k in range(order + 1))
            rows.append((order, t, float(total), value))
    return tuple(rows)


def _reached(function: Function, at: float, t: float) -> tuple[float, float]:
    """(t, value) to the right of the point, or to its left where the function has no value on the right."""
    (point,) = function.parameters
    evaluate: Callable[[float], float] = lambda s: float(  # noqa: E731
        np.ravel(np.asarray(function.value((np.asarray(at + s, point.dtype).reshape(point.shape),))))[0]
    )
    value = evaluate(t)
    return (t, value) if math.isfinite(value) else (-t, evaluate(-t))
