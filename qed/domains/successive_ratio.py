"""Ratios f(k + 1) / f(k) of products of factorials, powers and lines, for all whole k >= K at once: the ratio test.

Of f(k) = a exp(c k) prod (m_i k + b_i)^n_i prod Gamma(m_i k + b_i)^n_i with whole m_i >= 0 the ratio is rational, since
Gamma(m (k + 1) + b) / Gamma(m k + b) = prod_{j < m} (m k + b + j); so it is of k! and of binomial coefficients, and

    (x + m)^(y + l) / x^y = (x + m)^l exp(y log(1 + 1/w)),      w = x / m,      w / (w + 1) <= w log(1 + 1/w) <= 1

bounds it of k^k, as y is l w and a number. With the factors of a law's ratio it is C k^D prod (1 + a_i / k)^n_i, each
factor between 1 and what it is at K: terms of which it is at least 1 never fall, terms of which it is at most r < 1
have at most the sum f(K) / (1 - r) (d'Alembert's ratio test). Of a sum of positive values with such ratios the larger
one is a lower bound.
Reference: Knopp, *Theory and Application of Infinite Series*, Blackie 1951, section 14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed.domains.known import Known
from qed.domains.line import Line, line_of
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import ball_of, branch
from qed.graph.graph import Equation
from qed.graph.walk import Context

LARGEST = 16
"""Whole m in Gamma(m k + b), and exponents, up to this size are taken apart."""


@dataclass(frozen=True, eq=False)
class Number:
    """A ball of a number that is the same for all k."""

    ball: Any


@dataclass(frozen=True, eq=False)
class Factors:
    """The positive number exp(rate) prod (m k + b)^n with m >= 0: what one step makes of a value.

    Args:
        rate: a ball, or of what is only bounded one that holds it for all k.
        lines: the triples m, b, n, with m k + b > 0 for all k >= K.
        exact: where it is known, the rate less the sum of l w log(1 + 1/w) over the growths.
        growths: the pairs l, w - k.
    """

    rate: Any
    lines: tuple[tuple[Fraction, Fraction, Fraction], ...] = ()
    exact: Fraction | None = None
    growths: tuple[tuple[Fraction, Fraction], ...] = ()

    def __mul__(self, other: Factors) -> Factors:
        exact = None if self.exact is None or other.exact is None else self.exact + other.exact
        return Factors(self.rate + other.rate, (*self.lines, *other.lines), exact, (*self.growths, *other.growths))

    def power(self, n: Fraction) -> Factors:
        """The n-th power."""
        lines = tuple((m, b, n * k) for m, b, k in self.lines)
        exact = None if self.exact is None else self.exact * n
        return Factors(self.rate * ball_of(n), lines, exact, tuple((n * y, beta) for y, beta in self.growths))

    def between(self, start: int) -> tuple[Any, Any]:
        """What it is at least and at most, for all k >= start; 0 or infinity where it falls or grows without end."""
        arb = flint().arb
        apart: dict[Fraction, Fraction] = {}  # of the factors (1 + a / k)^n
        low = high = self.rate + sum((ball_of(n) * ball_of(m or b).log() for m, b, n in self.lines), arb(0))
        for m, b, n in self.lines:
            if not m:
                continue
            apart[b / m] = apart.get(b / m, Fraction(0)) + n
        for a, n in apart.items():
            here = ball_of(n) * ball_of(1 + a / start).log()
            low, high = low + here.min(arb(0)), high + here.max(arb(0))
        degree = sum(apart.values(), Fraction(0))
        growth = ball_of(degree) * arb(start).log()
        return (
            (low + growth).exp().lower() if degree >= 0 else arb(0),
            (high + growth).exp().upper() if degree <= 0 else arb.pos_inf(),
        )


@dataclass(frozen=True, eq=False)
class Logarithm:
    """A value whose exp is multiplied by factors when k grows by 1; the logarithm of a line, if there is one."""

    step: Factors
    of: Line | None = None


@dataclass(frozen=True, eq=False)
class Ratio:
    """A value of one sign that is multiplied by factors when k grows by 1.

    Args:
        step: the factors.
        sign: 1 or -1.
        exact: otherwise the value is at least a positive number times a value with that step.
    """

    step: Factors
    sign: int = 1
    exact: bool = True


@final
class SuccessiveRatio(OneNumber):
    """Functions of one whole number k >= K > 0.

    >>> from jax.scipy.special import gammaln
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.successive_ratio import SuccessiveRatio
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda k: jnp.exp(gammaln(2 * k + 1) - 2 * gammaln(k + 1)), np.float64(0.5))
    >>> domain = SuccessiveRatio(8)
    >>> found = Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0]
    >>> [round(float(end), 6) for end in found.step.between(8)]
    [3.555556, 4.25]
    """

    name = "successive ratio"
    forms = (Line, Number, Logarithm, Ratio)

    def __init__(self, start: int, bits: int = 128) -> None:
        self.start, self.bits = start, bits

    def argument(self) -> Line:
        """k itself."""
        return Line(Fraction(1), Fraction(0))

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The forms of an equation's outputs; a comparison of lines that holds for all k, or for none, is known."""
        if equation.primitive in COMPARED and len(inputs) == 2:
            try:
                return (self._compared(equation.primitive, *map(line_of, inputs)),)
            except Undecided:
                return (self.unknown(equation, context),)
        return super().apply(equation, inputs, context)

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch is taken for all k."""
        return branch(value, count) if isinstance(value, Known) else None

    def _compared(self, name: str, x: Any, y: Any) -> Known:
        if not isinstance(x, Line) or not isinstance(y, Line):
            raise Undecided
        m, first = x.m - y.m, (x.m - y.m) * self.start + x.b - y.b
        if not ((m >= 0 and first > 0) or (m <= 0 and first < 0)):
            raise Undecided
        return Known(np.asarray(first > 0 if name in ("gt", "ge", "ne") else first < 0 and name != "eq"))

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """The form of an equation's output."""
        with precision(self.bits):
            return self._of(equation, [line_of(x) for x in inputs])

    def ratio(self, x: Any) -> Ratio:
        """A value of one sign as what is multiplied."""
        if isinstance(x, Ratio):
            return x
        if (number := _number(x)) is not None and (number > 0 or number < 0):
            return Ratio(Factors(flint().arb(0), (), Fraction(0)), 1 if number > 0 else -1)
        if isinstance(x, Line) and (x.m > 0 or x.m < 0):
            sign = 1 if x.m > 0 else -1
            return Ratio(self._moved(sign * x.m, sign * x.b, Fraction(1)), sign)
        raise Undecided

    def _of(self, equation: Equation, xs: Sequence[Any]) -> Any:
        name = equation.primitive
        if name in SAME:
            return xs[0]
        if name == "neg":
            return self._times(xs[0], Fraction(-1))
        if name in ALONE and (number := _number(xs[0])) is not None:
            return Number(ALONE[name](number))
        if name == "lgamma":
            return self._gamma(xs[0])
        if name in ("log", "log1p"):
            one = Line(Fraction(0), Fraction(1))
            inner = self._added(xs[0], one) if name == "log1p" else xs[0]
            return Logarithm(self._positive(inner), inner if isinstance(inner, Line) else None)
        if name == "exp":
            return self.exponential(xs[0])
        if name == "exp2":
            return self._power(Line(Fraction(0), Fraction(2)), xs[0])
        if name in ("integer_pow", "square"):
            return self._whole_power(xs[0], 2 if name == "square" else int(equation.params["y"]))
        if name == "sqrt":
            return Ratio(self._positive(xs[0]).power(Fraction(1, 2)))
        if len(xs) != 2:
            raise Undecided
        x, y = xs
        if name in ("add", "sub", "add_any"):
            return self._added(x, self._times(y, Fraction(-1)) if name == "sub" else y)
        if name == "mul":
            return self._product(x, y)
        if name == "div":
            return self._quotient(x, y)
        if name == "pow":
            return self._power(x, y)
        raise Undecided

    def _moved(self, m: Fraction, b: Fraction, n: Fraction) -> Factors:
        """The step of (m k + b)^n, m > 0."""
        if not m * self.start + b > 0:
            raise Undecided
        return Factors(flint().arb(0), ((m, b + m, n), (m, b, -n)), Fraction(0))

    def _positive(self, x: Any) -> Factors:
        """The step of an exact positive value."""
        found = self.ratio(x)
        if found.sign < 0 or not found.exact:
            raise Undecided
        return found.step

    def _gamma(self, x: Any) -> Logarithm:
        if not isinstance(x, Line) or x.m.denominator != 1 or not 0 < x.m <= LARGEST:
            raise Undecided
        if not x.m * self.start + x.b > 0:
            raise Undecided
        lines = tuple((x.m, x.b + j, Fraction(1)) for j in range(int(x.m)))
        return Logarithm(Factors(flint().arb(0), lines, Fraction(0)))

    def exponential(self, x: Any) -> Ratio:
        """exp of a value."""
        x = line_of(x)
        if isinstance(x, Line | Number):
            rate = x.m if isinstance(x, Line) else Fraction(0)
            return Ratio(Factors(ball_of(rate), (), rate))
        if isinstance(x, Logarithm):
            return Ratio(x.step)
        raise Undecided

    def _power(self, x: Any, y: Any) -> Ratio:
        if not isinstance(y, Line):
            raise Undecided
        if not y.m:
            return Ratio(self._positive(x).power(y.b))
        if (base := _number(x)) is not None:
            if not base > 0:
                raise Undecided
            if isinstance(x, Line):
                return Ratio(Factors(flint().arb(0), ((Fraction(0), x.b, y.m),), Fraction(0)))
            return Ratio(Factors(ball_of(y.m) * base.log()))
        if not isinstance(x, Line) or not x.m > 0 or not y.m:
            raise Undecided
        self._moved(x.m, x.b, Fraction(1))  # refuses what is not positive from K on
        return Ratio(self._grown(x, y))

    def _grown(self, x: Line, y: Line) -> Factors:
        """The step of x^y: (x + m)^l ((w + 1) / w)^(y - l w) exp(l w log(1 + 1/w)) with w = x / m."""
        beta = x.b / x.m
        rest = y.b - y.m * beta
        lines = ((x.m, x.b + x.m, y.m + rest), (x.m, x.b, -rest))
        first = ball_of(self.start + beta)
        growth = (first / (first + 1)).union(flint().arb(1))
        return Factors(ball_of(y.m) * growth, lines, Fraction(0), ((y.m, beta),))

    def _times(self, x: Any, by: Fraction) -> Any:
        if isinstance(x, Line):
            return Line(x.m * by, x.b * by)
        if isinstance(x, Number):
            return Number(x.ball * ball_of(by))
        if isinstance(x, Logarithm):
            return Logarithm(x.step.power(by))
        if not by:
            raise Undecided
        return replace(x, sign=x.sign if by > 0 else -x.sign)

    def _added(self, x: Any, y: Any) -> Any:
        if isinstance(x, Line) and isinstance(y, Line):
            return Line(x.m + y.m, x.b + y.b)
        numbers = _number(x), _number(y)
        if None not in numbers:
            return Number(sum(numbers))
        if isinstance(x, Line | Number) and isinstance(y, Line | Number):
            return Logarithm(self.exponential(x).step * self.exponential(y).step)
        if isinstance(x, Logarithm) or isinstance(y, Logarithm):
            logs = [z if isinstance(z, Logarithm) else Logarithm(self.exponential(z).step) for z in (x, y)]
            return Logarithm(logs[0].step * logs[1].step)
        one, other = self.ratio(x), self.ratio(y)
        if one.sign != other.sign:
            raise Undecided
        larger = max((one, other), key=lambda z: float(z.step.between(2 * self.start)[0]))
        return replace(larger, exact=False)

    def _product(self, x: Any, y: Any) -> Any:
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Line) and not one.m:
                return self._times(other, one.b)
        numbers = _number(x), _number(y)
        if None not in numbers:
            return Number(numbers[0] * numbers[1])
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Line) and isinstance(other, Logarithm) and other.of is not None and other.of.m > 0:
                return Logarithm(self._grown(other.of, one))
        for one, number in ((x, numbers[1]), (y, numbers[0])):
            if number is not None and isinstance(one, Line):
                return Logarithm(Factors(ball_of(one.m) * number))
        one, other = self.ratio(x), self.ratio(y)
        return Ratio(one.step * other.step, one.sign * other.sign, one.exact and other.exact)

    def _quotient(self, x: Any, y: Any) -> Any:
        if isinstance(y, Line) and not y.m:
            if not y.b:
                raise Undecided
            return self._times(x, 1 / y.b)
        one, other = self.ratio(x), self.ratio(y)
        if not other.exact:
            raise Undecided
        return Ratio(one.step * other.step.power(Fraction(-1)), one.sign * other.sign, one.exact)

    def _whole_power(self, x: Any, y: int) -> Ratio:
        one = self.ratio(x)
        if not 1 <= abs(y) <= LARGEST or (y < 0 and not one.exact):
            raise Undecided
        return Ratio(one.step.power(Fraction(y)), one.sign if y % 2 else 1, one.exact)


ALONE = {
    "exp": lambda x: x.exp(),
    "lgamma": lambda x: x.lgamma(),
    "log": lambda x: x.log(),
    "log1p": lambda x: (1 + x).log(),
    "sqrt": lambda x: x.sqrt(),
}
"""What is known of numbers that are the same for all k."""


COMPARED = frozenset({"eq", "ge", "gt", "le", "lt", "ne"})
"""Comparisons."""


def _number(x: Any) -> Any:
    """The ball of what is the same for all k; None for what is not."""
    if isinstance(x, Number):
        return x.ball
    return ball_of(x.b) if isinstance(x, Line) and not x.m else None


def _poisson(rate: Fraction) -> Factors:
    return Factors(ball_of(rate).log(), ((Fraction(1), Fraction(1), Fraction(-1)),))


def _negative_binomial(n: Fraction, p: Fraction) -> Factors:
    one = Fraction(1)
    return Factors(ball_of(1 - p).log(), ((one, n, one), (one, one, -one)))


def _geometric(p: Fraction) -> Factors:
    return Factors(ball_of(1 - p).log())


LAWS: Mapping[str, Callable[..., Factors]] = {
    "Geometric": _geometric,
    "NegativeBinomial": _negative_binomial,
    "Poisson": _poisson,
}
"""What a step makes of the masses of the named laws that have no last place, of their parameters."""
