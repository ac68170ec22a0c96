"""The forms of the tail domain: a term, a logarithm of terms, a value near a number; exact exponents beside balls.

The forms and what may be done with them are explained in `qed.domains.tail_arithmetic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.known import Known
from qed.domains.precision import flint
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Equation

MOVES = frozenset("slice dynamic_slice squeeze reshape broadcast_in_dim transpose rev gather".split())
"""Operations that only move numbers."""


class NoOrder(Exception):
    """Two values cannot be put in order, or an operation has no rule."""


@dataclass(frozen=True, eq=False)
class Term:
    """b x^p (log x)^k exp(c x^q) for all x >= R; q = 0 and c = 0 where there is no exponential."""

    b: Any
    p: Fraction
    c: Any = None
    q: Fraction = Fraction(0)
    k: Fraction = Fraction(0)

    @property
    def constant(self) -> bool:
        """Whether it is one ball for all x."""
        return not (self.p or self.q or self.k)


@dataclass(frozen=True, eq=False)
class Near:
    """a + rest, with an exact number a that is not 0, and a rest that goes to 0."""

    a: Any
    rest: Term


@dataclass(frozen=True, eq=False)
class Logarithm:
    """b + m log x + k log log x + c x^q for all x >= R."""

    b: Any
    m: Fraction
    c: Any
    q: Fraction
    k: Fraction = Fraction(0)


@dataclass(frozen=True)
class Truth:
    """A comparison that holds for all x >= R, or for none; None where that is not decided."""

    holds: bool | None


def holds(value: Any) -> bool | None:
    """Whether a condition holds for all x, or for none; None where that is not decided."""
    if isinstance(value, Known) and value.array.dtype.kind == "b" and value.array.shape == ():
        return bool(value.array)
    return value.holds if isinstance(value, Truth) else None


def logic(name: str, xs: Sequence[Any]) -> Truth:
    """Comparisons put together by and, or, not."""
    if not all(isinstance(x, Truth) for x in xs):
        raise NoOrder
    held = [x.holds for x in xs]
    if name in ("and", "or"):
        decisive = name == "or"
        return Truth(decisive if decisive in held else None if None in held else not decisive)
    if name == "not":
        return Truth(None if held[0] is None else not held[0])
    raise NoOrder


def indicator(x: Truth) -> Any:
    """A ball of 1 where a condition holds, and of 0 where it does not."""
    arb = flint().arb
    return arb(0).union(arb(1)) if x.holds is None else arb(int(x.holds))


def branch(value: Any, count: int) -> int | None:
    """Which of so many branches is taken for all x; None where that is not decided."""
    if isinstance(value, Known):
        return int(np.clip(int(value.array), 0, count - 1))
    return min(int(value.holds), count - 1) if isinstance(value, Truth) and value.holds is not None else None


def ball_of(x: Fraction) -> Any:
    """A ball of a fraction."""
    library = flint()
    return library.arb(library.fmpq(x.numerator, x.denominator))


def power_of(x: Any, p: Fraction) -> Any:
    """A ball of x^p for a positive ball x."""
    return x ** int(p) if p.denominator == 1 else x ** ball_of(p)


def power_of_ball(b: Any, exponent: Fraction) -> Any:
    """A ball of b^exponent, of either sign for whole exponents."""
    if exponent.denominator != 1:
        return b ** ball_of(exponent)
    from qed.facts.balls import integer_pow

    return integer_pow(b, int(exponent))


def fraction_of(ball: Any) -> Fraction:
    """An exact ball as a fraction; anything else is no exact exponent."""
    if not ball.is_exact() or not ball.is_finite():
        raise NoOrder
    mantissa, exponent = (int(part) for part in ball.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def line_of(x: Any) -> tuple[Any, Any] | None:
    """The balls of m and b of a value m x + b; None where it is no line."""
    if isinstance(x, Logarithm) and not (x.m or x.k) and x.q == 1:
        return x.c, x.b
    if isinstance(x, Term) and x.p == 1 and not (x.k or x.q):
        return x.b, flint().arb(0)
    return None


def remainder_of_line(x: Any, y: Any) -> int | None:
    """The remainder of m x + b for every whole x > 0 by a whole number that divides m; None where it is not known.

    It has the sign of m x + b, which is that of m and b: they must be of one sign.
    """
    line = line_of(x)
    if line is None:
        return None
    try:
        m, b, n = (fraction_of(ball) for ball in (*line, y.b if isinstance(y, Term) and y.constant else None))
    except (AttributeError, NoOrder):
        return None
    if not n or any(number.denominator != 1 for number in (m, b, n)) or m % n or m * b < 0:
        return None
    left = int(abs(b) % abs(n))
    return left if b >= 0 else -left


def grown(domain: Any, x: Any, y: Any) -> int:
    """The sign of x - y for all x >= R in the tail domain, where one of them is an exponential that grows.

    From R on it is above, or below, whatever is bounded there and smaller than it at R.
    """
    for one, other, sign in ((x, y, 1), (y, x, -1)):
        if not isinstance(one, Term) or one.k or not (one.q and one.c > 0 and (one.b > 0 or one.b < 0)):
            continue
        start = flint().arb(domain.start)
        exponent = one.c.lower() * power_of(start, one.q)
        if not ball_of(one.p) + exponent * ball_of(one.q) >= 0:
            continue
        if abs(one.b).lower() * power_of(start, one.p) * exponent.exp() > abs(domain.ball(other)).upper():
            return sign if one.b > 0 else -sign
    raise NoOrder


def exact_on_numbers(equation: Equation) -> bool:
    """Whether JAX does to known numbers exactly what the real function does: it moves them, or they are integers."""
    return equation.primitive in MOVES or not any(is_inexact(v.dtype) for v in (*equation.inputs, *equation.outputs))
