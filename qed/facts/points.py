"""Places on the real line, stated exactly: intervals with open and closed ends, single points, and lattices.

The turns of sine are `pi/2 + pi*k` for every integer k; the poles of digamma are `k` for k <= 0; the turn of log-gamma
is a decimal of forty digits, right to half a unit of its last. Each is written as text and kept as an exact
`Expression`, so that float64, balls and TeX can each take it at their own precision: `Point.value` is the nearest
float64, `Point.lower` and `Point.upper` are float64 numbers that enclose the point, by rational arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any

from qed.facts.expression import ONE, PI, ZERO, Arithmetic, Constant, Expression, Operation, Symbol, operation, parse

PI_100 = Fraction(
    "3.1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679"
)
DECIMAL_SLACK = Fraction(1, 10**39)
"""A decimal of forty digits in the tables may differ from the point it stands for by this much, relatively."""


@dataclass(frozen=True)
class Point:
    """A real number given by a formula in rationals and pi, or -inf or inf.

    >>> from qed.facts.points import Point
    >>> p = Point.parse("pi/2")
    >>> p.value, p.lower <= p.value <= p.upper, str(p)
    (1.5707963267948966, True, 'pi/2')
    >>> Point.parse("-inf").value
    -inf
    """

    expression: Expression

    @classmethod
    def parse(cls, text: str) -> Point:
        """Return the point that a text such as `3*pi/2` is."""
        return _point(text)

    @cached_property
    def infinite(self) -> bool:
        """Whether it is -inf or inf."""
        return "inf" in self.expression.symbols

    @cached_property
    def value(self) -> float:
        """The nearest float64."""
        if self.infinite:
            return -math.inf if isinstance(self.expression, Operation) else math.inf
        return float(rational(self.expression))

    @cached_property
    def lower(self) -> float:
        """The largest float64 that is surely not above it."""
        return self._outward(-1)

    @cached_property
    def upper(self) -> float:
        """The smallest float64 that is surely not below it."""
        return self._outward(1)

    def _outward(self, side: int) -> float:
        if self.infinite or self._exact:
            return self.value
        edge = rational(self.expression)
        edge += side * abs(edge) * DECIMAL_SLACK
        value = float(edge)
        return math.nextafter(value, side * math.inf) if side * (edge - Fraction(value)) > 0 else value

    @cached_property
    def _exact(self) -> bool:
        return isinstance(self.expression, Constant) and Fraction(self.value) == self.expression.value

    def __str__(self) -> str:
        return str(self.expression)


@dataclass(frozen=True)
class Lattice:
    """The points `start + k*period` for first <= k <= last (None: without end); start and period are formulas.

    >>> from qed.facts.points import Points
    >>> lattice = Points.parse("pi/2 + pi*k").lattice
    >>> str(lattice.start), str(lattice.period), lattice.first, lattice.last
    ('pi/2', 'pi', None, None)
    """

    start: Expression
    period: Expression
    first: int | None = None
    last: int | None = None

    def between(self, lower: float, upper: float) -> Iterator[Point]:
        """Yield the points that may lie in [lower, upper], from the left; an infinite lower end needs `first`."""
        start, period = rational(self.start), rational(self.period)
        if math.isinf(lower):
            if self.first is None:
                message = f"the lattice {self.start} + {self.period}*k has no first point at or above {lower}"
                raise ValueError(message)
            k = self.first
        else:
            k = math.floor((Fraction(lower) - start) / period)
            k = k if self.first is None else max(k, self.first)
        while self.last is None or k <= self.last:
            point = Point(linear(operation("+", self.start, operation("*", Constant(Fraction(k)), self.period))))
            if point.lower > upper:
                return
            if point.upper >= lower:
                yield point
            k += 1


@dataclass(frozen=True)
class Points:
    """Finitely many points, or a lattice of them.

    >>> from qed.facts.points import Points
    >>> [p.value for p in Points.parse("0, 3/2")]
    [0.0, 1.5]
    >>> [str(p) for p in Points.parse("pi*k").between(3.0, 7.0)]
    ['pi', '2*pi']
    >>> [p.value for p in Points.parse("k; k <= 0").between(-2.5, 9.0)]
    [-2.0, -1.0, 0.0]
    """

    listed: tuple[Point, ...] = ()
    lattice: Lattice | None = None

    @classmethod
    def parse(cls, text: str) -> Points:
        """Return the points that a text is: "", "0, 1/2", "pi/2 + pi*k", or "k; k <= 0"."""
        return _points(text)

    def between(self, lower: float, upper: float) -> Iterator[Point]:
        """Yield the points that may lie in [lower, upper] (their enclosures meet it), from the left.

        It is a generator, since a lattice may have very many points there: take as many as are needed.
        """
        yield from (point for point in self.listed if point.lower <= upper and point.upper >= lower)
        if self.lattice is not None:
            yield from self.lattice.between(lower, upper)

    def meets(self, lower: float, upper: float) -> bool:
        """Whether one of them may lie in [lower, upper].

        >>> from qed.facts.points import Points
        >>> Points.parse("k").meets(0.25, 0.75), Points.parse("k").meets(0.25, 1.0)
        (False, True)
        """
        if self.lattice is not None and math.isinf(lower) and self.lattice.first is None:
            lower = min(upper, 0.0 if self.lattice.last is None else float(self._end)) - 2 * float(self._period)
        return next(self.between(lower, upper), None) is not None

    @property
    def _period(self) -> Fraction:
        return rational(self.lattice.period) if self.lattice else Fraction(0)

    @property
    def _end(self) -> Fraction:
        lattice = self.lattice
        return rational(lattice.start) + (lattice.last or 0) * self._period if lattice else Fraction(0)

    def __iter__(self) -> Iterator[Point]:
        """Iterate over listed points; a lattice has no list."""
        if self.lattice is not None:
            message = "a lattice has infinitely many points: ask for those between two numbers"
            raise TypeError(message)
        return iter(self.listed)

    def __bool__(self) -> bool:
        return bool(self.listed) or self.lattice is not None

    def __str__(self) -> str:
        if self.lattice is None:
            return ", ".join(str(point) for point in self.listed)
        lattice = self.lattice
        text = str(operation("+", lattice.start, operation("*", lattice.period, Symbol("k"))))
        bounds = [f"k >= {lattice.first}"] * (lattice.first is not None)
        bounds += [f"k <= {lattice.last}"] * (lattice.last is not None)
        return "; ".join([text, *bounds])


@dataclass(frozen=True)
class Interval:
    """An interval of reals, each end open or closed: `(0, inf)`, `[-1, 1]`, `(-pi/2, pi/2)`.

    >>> from qed.facts.points import Interval
    >>> i = Interval.parse("[0, inf)")
    >>> 0.0 in i, -1.0 in i, float("inf") in i, str(i)
    (True, False, False, '[0, inf)')
    """

    lower: Point
    upper: Point
    lower_closed: bool = False
    upper_closed: bool = False

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Return the interval that a text is."""
        return _interval(text)

    def __contains__(self, x: float) -> bool:
        above = x > self.lower.upper or (self.lower_closed and x >= self.lower.value)
        below = x < self.upper.lower or (self.upper_closed and x <= self.upper.value)
        return above and below

    def __str__(self) -> str:
        return f"{'(['[self.lower_closed]}{self.lower}, {self.upper}{')]'[self.upper_closed]}"


class _Rationals:
    """Exact rational arithmetic, pi being its first hundred decimals."""

    def constant(self, value: float) -> Fraction:
        return Fraction(value)

    def call(self, name: str, *operands: Any, **parameters: Any) -> Fraction:
        if name != "pi":
            message = f"a point is a formula in rationals and pi; {name!r} is neither"
            raise ValueError(message)
        return PI_100

    def select(self, comparison: str, left: Any, right: Any, then: Any, otherwise: Any) -> Fraction:
        message = "a point is a formula without a choice"
        raise ValueError(message)


RATIONALS: Arithmetic = _Rationals()


def rational(expression: Expression) -> Fraction:
    """Return the formula's value with pi to a hundred digits: exact without pi, else to 1e-99 relatively.

    >>> from qed.facts.expression import parse
    >>> rational(parse("3/4 - 1/2"))
    Fraction(1, 4)
    """
    if isinstance(expression, Constant):
        return expression.value
    return expression.evaluate(arithmetic=RATIONALS)


@cache
def _point(text: str) -> Point:
    expression = parse(text)
    strange = expression.symbols - {"pi", "inf"}
    if strange or ("inf" in expression.symbols and str(expression) not in ("inf", "-inf")):
        message = f"not a point: {text!r}"
        raise ValueError(message)
    return Point(expression if "inf" in expression.symbols else linear(expression))


@cache
def _points(text: str) -> Points:
    formula, *bounds = (part.strip() for part in text.split(";"))
    if not formula:
        return Points()
    expressions = [parse(part) for part in formula.split(",")]
    if not any("k" in expression.symbols for expression in expressions):
        return Points(tuple(sorted((Point(linear(expression)) for expression in expressions), key=lambda p: p.value)))
    (expression,) = expressions
    start = expression.substitute({"k": ZERO})
    period = linear(expression.substitute({"k": ONE}) - start)
    limits: dict[str, int] = {}
    for bound in bounds:
        _, sign, number = bound.split()
        limits["last" if sign == "<=" else "first"] = int(number)
    return Points(lattice=Lattice(linear(start), period, **limits))


@cache
def linear(expression: Expression) -> Expression:
    """Return a formula in rationals and pi as a + n*pi/d, so that equal points of that kind are equal formulas.

    >>> from qed.facts.expression import parse
    >>> linear(parse("pi/2 + pi*(-2) + 1"))
    Expression('1 - 3*pi/2')
    """
    zero, one = (rational(expression.substitute({"pi": Constant(Fraction(i))})) for i in (0, 1))
    slope = one - zero
    turns = operation("*", Constant(Fraction(slope.numerator)), PI)
    return operation("+", Constant(zero), operation("/", turns, Constant(Fraction(slope.denominator))))


@cache
def _interval(text: str) -> Interval:
    text = text.strip()
    if text[:1] not in "([" or text[-1:] not in ")]" or text.count(",") != 1:
        message = f"not an interval: {text!r}"
        raise ValueError(message)
    lower, upper = (Point.parse(part) for part in text[1:-1].split(","))
    return Interval(lower, upper, text[0] == "[", text[-1] == "]")
