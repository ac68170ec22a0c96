"""Lower bounds a r^k k^-s of a function of whole numbers k >= K, with exact fractions r, for the edge of convergence.

Against masses p (1 - p)^k the sum of 2^k is infinite for p = 1/2: 2 (1 - p) is 1, which balls cannot tell from less.
Here the bases are fractions: c^(m k + b) grows by c^m exactly, products multiply the bases, of a sum of positive terms
one is a lower bound, and a division by m k + b takes one power of k. What may be negative has no such bound.
Reference: D. Bernoulli, "Specimen theoriae novae de mensura sortis", 1738 (the game of St. Petersburg).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

from qed.domains.line import Line, line_of
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.graph.graph import Equation

LARGEST = 64
"""Exponents m in c^(m k) up to this size are computed."""


@dataclass(frozen=True, eq=False)
class AtLeast:
    """At least a r^k k^-s for all k >= K, with some a > 0."""

    r: Fraction
    s: int = 0


@final
class ExactGrowth(OneNumber):
    """Functions of one whole number k >= K > 0.

    >>> import numpy as np
    >>> from qed.certificates.certificate import placed
    >>> from qed.domains.exact_growth import ExactGrowth
    >>> from qed.graph.trace import trace
    >>> from qed.graph.walk import Walker
    >>> traced = trace(lambda k: 3 * 2.0 ** (k + 1) / k, np.float64(0.5))
    >>> domain = ExactGrowth(8)
    >>> found = Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0]
    >>> found.r, found.s
    (Fraction(2, 1), 1)
    """

    name = "exact growth"
    forms = (Line, AtLeast)

    def __init__(self, start: int) -> None:
        self.start = start

    def argument(self) -> Line:
        """k itself."""
        return Line(Fraction(1), Fraction(0))

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Any:
        """The bound of an equation's output."""
        return self._of(equation, [line_of(x) for x in inputs])

    def _of(self, equation: Equation, xs: Sequence[Any]) -> Any:
        name = equation.primitive
        if name in SAME:
            return xs[0]
        if name == "neg":
            return _times(xs[0], Fraction(-1))
        if name == "exp2":
            return _power(Fraction(2), xs[0])
        if name in ("integer_pow", "square"):
            return self._whole_power(xs[0], 2 if name == "square" else int(equation.params["y"]))
        if len(xs) != 2:
            raise Undecided
        x, y = xs
        if name == "sub":
            y = _times(y, Fraction(-1))
        if name in ("add", "sub", "add_any", "max"):
            return self._sum(x, y, name == "max")
        if name == "mul":
            return self._product(x, y)
        if name == "div":
            return self._quotient(x, y)
        if name == "pow" and isinstance(x, Line) and not x.m and x.b > 0:
            return _power(x.b, y)
        raise Undecided

    def _least(self, x: Any) -> AtLeast:
        """A value that is positive from K on, as a bound."""
        if isinstance(x, AtLeast):
            return x
        if x.m >= 0 and x.m * self.start + x.b > 0:
            return AtLeast(Fraction(1), -1 if x.m else 0)
        raise Undecided

    def _sum(self, x: Any, y: Any, larger: bool) -> Any:
        if isinstance(x, Line) and isinstance(y, Line) and not larger:
            return Line(x.m + y.m, x.b + y.b)
        one, other = (x, y) if isinstance(x, AtLeast) else (y, x)
        if isinstance(other, Line) and not larger and not (other.m >= 0 and other.m * self.start + other.b >= 0):
            raise Undecided
        if not isinstance(one, AtLeast):
            raise Undecided
        if isinstance(other, AtLeast) and (other.r, -other.s) > (one.r, -one.s):
            return other
        return one

    def _product(self, x: Any, y: Any) -> Any:
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Line) and not one.m and isinstance(other, Line):
                return _times(other, one.b)
        one, other = self._least(x), self._least(y)
        return AtLeast(one.r * other.r, one.s + other.s)

    def _quotient(self, x: Any, y: Any) -> Any:
        if not isinstance(y, Line):
            raise Undecided
        if not y.m:
            if not y.b:
                raise Undecided
            return _times(x, 1 / y.b)
        if not (y.m > 0 and y.m * self.start + y.b > 0):
            raise Undecided
        one = self._least(x)
        return AtLeast(one.r, one.s + 1)

    def _whole_power(self, x: Any, y: int) -> AtLeast:
        if not 1 <= y <= LARGEST:
            raise Undecided
        one = self._least(x)
        return AtLeast(one.r**y, one.s * y)


def _times(x: Any, by: Fraction) -> Any:
    if isinstance(x, Line):
        return Line(x.m * by, x.b * by)
    if not by > 0:
        raise Undecided
    return x


def _power(base: Fraction, x: Any) -> AtLeast:
    if not isinstance(x, Line) or x.m.denominator != 1 or abs(x.m) > LARGEST:
        raise Undecided
    return AtLeast(base ** int(x.m))
