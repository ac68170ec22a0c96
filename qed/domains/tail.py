"""The tail domain: enclosures of a function of one variable for all x beyond R at once.

A value is one of two forms, valid for every x >= R > 1, where b, m and c are balls (a number of the ball, for each x):

    b x^p exp(c x^q)               a term
    b + m log x + c x^q            a logarithm of terms

A sum is put under its dominant term: for p <= P, a x^p = a x^(p - P) x^P, and x^(p - P) lies in [0, R^(p - P)]. A
product adds exponents; of two exponents of unequal powers the higher stays. What cannot be ordered is `Unknown`. For
the integral of a term from R on, let c <= 0 be the upper end of its ball and k = -(p + 1 + c q R^q). If k > 0, then
x^(p+1) exp(c x^q) falls at least as fast as x^(-k), so that

    int_R^inf x^p exp(c x^q) dx  <=  R^(p+1) exp(c R^q) / k;

without an exponential, and with p < -1, it is R^(p+1) / (-p-1) exactly. Reference: de Bruijn, *Asymptotic Methods in
Analysis*, Dover 1981, chapter 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.ball import inside
from qed.domains.forward import Forward
from qed.domains.known import Known
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import (
    Logarithm,
    NoOrder,
    Term,
    Truth,
    ball_of,
    exact_on_numbers,
    fraction_of,
    power_of,
    power_of_ball,
    raised,
)
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation
from qed.graph.walk import Context, Unknown

SAME = frozenset({"convert_element_type", "stop_gradient", "copy", "squeeze", "reshape"})
"""Operations that leave a number as it is."""


@final
class Tail(Forward):
    """Functions of one number x >= R.

    >>> from qed.domains.tail import Tail
    >>> from qed.domains.tail_forms import Term
    >>> from qed.domains.precision import precision
    >>> from fractions import Fraction
    >>> domain = Tail(8.0)
    >>> with precision(128) as flint:
    ...     print(domain.integral(Term(flint.arb(1), Fraction(-2))).str(10))
    0.1250000000
    """

    name = "tail"

    def __init__(self, start: float, bits: int = 128) -> None:
        self.start, self.bits = start, bits

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The forms of an equation's outputs."""
        if all(isinstance(x, Known) for x in inputs) and exact_on_numbers(equation):
            found = Value().apply(equation, [x.array for x in inputs], context)
            return tuple(self.constant(v, array) for v, array in zip(equation.outputs, found, strict=True))
        inputs = [self._scalar(x) if isinstance(x, Known) else x for x in inputs]
        if any(v.shape != () for v in (*equation.inputs, *equation.outputs)):
            return (self.unknown(equation, context),) * len(equation.outputs)
        try:
            with precision(self.bits):
                return (self._one(equation, inputs),)
        except NoOrder:
            return (self.unknown(equation, context),) * len(equation.outputs)

    def constant(self, atom: Atom, array: Any) -> Any:
        """A number; a form is itself."""
        if isinstance(array, Term | Logarithm):
            return array
        if is_real(atom.dtype) and np.shape(array) == ():
            return self._scalar(Known(np.asarray(array)))
        return Known(np.asarray(array))

    def _scalar(self, x: Known) -> Any:
        """A number or a truth value, if it is one."""
        if x.array.shape != ():
            return x
        if x.array.dtype.kind == "b":
            return Truth(bool(x.array))
        with precision(self.bits) as library:
            if x.array.dtype.kind in "iu":
                return self.fixed(library.arb(int(x.array)))
            value = float(x.array.astype(np.float64))
            return self.fixed(library.arb(value) if np.isfinite(value) else library.arb.nan())

    def fixed(self, ball: Any) -> Term:
        """A value that is the same ball for all x."""
        return Term(ball, Fraction(0), flint().arb(0))

    def take(self, value: Any, index: int) -> Any:
        """Row `index` of known numbers."""
        if not isinstance(value, Known):
            return Unknown(self.name, "scan", None)
        return Known(value.array[index])

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds in the whole tail."""
        value = self._scalar(value) if isinstance(value, Known) else value
        return value.holds if isinstance(value, Truth) else None

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch is taken in the whole tail."""
        if isinstance(value, Known):
            return int(np.clip(int(value.array), 0, count - 1))
        return min(int(value.holds), count - 1) if isinstance(value, Truth) else None

    # --- arithmetic ---

    def _one(self, equation: Equation, xs: Sequence[Any]) -> Any:
        name, params = equation.primitive, equation.params
        if name in SAME:
            if isinstance(xs[0], Truth) and is_real(equation.outputs[0].dtype):
                return self.fixed(flint().arb(int(xs[0].holds)))
            if not is_real(equation.outputs[0].dtype) and not isinstance(xs[0], Truth):
                raise NoOrder
            return xs[0]
        if any(not is_real(v.dtype) and np.dtype(v.dtype).kind != "b" for v in equation.outputs):
            raise NoOrder  # integers are rounded and wrap around
        if name in ("lt", "le", "gt", "ge", "eq", "ne"):
            return self._compare(name, *xs)
        if name == "select_n":
            return self._select(*xs)
        if not all(isinstance(x, Term | Logarithm) for x in xs):
            return self._logic(name, xs)
        if name == "add":
            return self.add(*xs)
        if name == "sub":
            return self.add(xs[0], self.scaled(xs[1], flint().arb(-1)))
        if name == "mul":
            return self.mul(*xs)
        if name == "div":
            return self.mul(xs[0], self.power(xs[1], Fraction(-1)))
        if name in ("max", "min"):
            return self._larger(name, *xs)
        if name == "pow":
            return raised(self, *xs)
        if len(xs) != 1:
            raise NoOrder
        return self._unary(name, xs[0], params)

    def _unary(self, name: str, x: Any, params: Any) -> Any:
        one = self.fixed(flint().arb(1))
        if name == "integer_pow":
            return self.power(x, Fraction(int(params["y"])))
        if name == "neg":
            return self.scaled(x, flint().arb(-1))
        if name in ("square", "sqrt", "rsqrt"):
            return self.power(x, {"square": Fraction(2), "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}[name])
        if name == "exp":
            return self.exp(x)
        if name == "log":
            return self.log(x)
        if name == "log1p":
            return self.log(self.add(one, x))
        if name == "abs":
            return self._size(x)
        if name == "sign":
            return self.fixed(flint().arb(self.sign(x)))
        return self._bounded(name, x, params)

    def _size(self, x: Any) -> Any:
        """The absolute value."""
        try:
            return self.scaled(x, flint().arb(-1)) if self.sign(x) < 0 else x
        except NoOrder:
            x = self.as_term(x)
            size = abs(x.b).upper()
            return replace(x, b=flint().arb(0).union(size))

    def _bounded(self, name: str, x: Any, params: Any) -> Term:
        """A function with a card, of a bounded value; or of any value, where its range is bounded."""
        card = facts.card(name, **params) if name in {*facts.CARDS, *facts.FAMILIES} else None
        if card is None:
            raise NoOrder
        try:
            ball = self.ball(x)
        except NoOrder:
            low, high = card.range.lower.lower, card.range.upper.upper
            whole = card.domain.lower.infinite and card.domain.upper.infinite and not card.poles
            if not whole or not (abs(low) < np.inf and abs(high) < np.inf):
                raise
            return self.fixed(flint().arb(low).union(flint().arb(high)))
        value = card.ball(ball) if inside(card, ball) else flint().arb.nan()
        if not value.is_finite():
            raise NoOrder
        return self.fixed(value)

    def beyond(self, p: Fraction) -> Any:
        """A ball of x^p for all x >= R, where p <= 0: 1 or [0, R^p]."""
        arb = flint().arb
        if p == 0:
            return arb(1)
        return arb(0).union(power_of(arb(self.start), p))

    def ball(self, x: Any) -> Any:
        """A ball of all values in the tail."""
        if not isinstance(x, Term) or not x.b.is_finite():
            raise NoOrder
        if x.q:
            return x.b * self._decayed(x)
        if x.p > 0:
            raise NoOrder
        return x.b * self.beyond(x.p)

    def _decayed(self, x: Term) -> Any:
        """A ball of x^p exp(c x^q), which falls from R on."""
        arb = flint().arb
        start, c = arb(self.start), x.c.upper()
        if not (c < 0 and ball_of(x.p) + c * ball_of(x.q) * power_of(start, x.q) < 0):
            raise NoOrder
        return arb(0).union(power_of(start, x.p) * (c * power_of(start, x.q)).exp())

    def plain(self, x: Term) -> Term:
        """The value without an exponential."""
        return self.fixed(self.ball(x)) if x.q else x

    def add(self, x: Any, y: Any) -> Any:
        """The sum."""
        if isinstance(x, Term) and isinstance(y, Term):
            x, y = self.plain(x), self.plain(y)
            high, low = (x, y) if x.p >= y.p else (y, x)
            if high.b.is_zero():
                return low
            if low.b.is_zero():
                return high
            b = high.b + low.b * self.beyond(low.p - high.p)
            return Term(b, high.p, flint().arb(0))
        x, y = self.as_logarithm(x), self.as_logarithm(y)
        c, q = self._exponents((x.c, x.q), (y.c, y.q))
        return Logarithm(x.b + y.b, x.m + y.m, c, q)

    def as_logarithm(self, x: Any) -> Logarithm:
        """A value as b + m log x + c x^q."""
        if isinstance(x, Logarithm):
            return x
        x = self.plain(x)
        if x.p > 0:
            return Logarithm(flint().arb(0), Fraction(0), x.b, x.p)
        return Logarithm(self.ball(x), Fraction(0), flint().arb(0), Fraction(0))

    def _exponents(self, one: tuple[Any, Fraction], two: tuple[Any, Fraction]) -> tuple[Any, Fraction]:
        """The sum of two c x^q with q > 0, or q = 0 for none."""
        (c, q), (d, r) = (one, two) if one[1] >= two[1] else (two, one)
        if not r:
            return c, q
        return c + d * self.beyond(r - q), q

    def scaled(self, x: Any, by: Any) -> Any:
        """The value times a ball; the factor of a logarithm must be exact."""
        if isinstance(x, Term):
            return replace(x, b=x.b * by)
        return Logarithm(x.b * by, x.m * fraction_of(by), x.c * by, x.q)

    def mul(self, x: Any, y: Any) -> Any:
        """The product."""
        if isinstance(x, Term) and isinstance(y, Term):
            c, q = self._exponents((x.c, x.q), (y.c, y.q))
            return Term(x.b * y.b, x.p + y.p, c, q)
        constant, other = (x, y) if isinstance(y, Logarithm) else (y, x)
        if not isinstance(constant, Term) or constant.p or constant.q or not constant.b.is_exact():
            return self.mul(self.as_term(x), self.as_term(y))
        return self.scaled(other, constant.b)

    def as_term(self, x: Any) -> Term:
        """A value as a term; log x lies between 0 and x^(1/2) (log R) / R^(1/2): log x / x^(1/2) falls from e^2 on."""
        if isinstance(x, Term):
            return x
        if not isinstance(x, Logarithm) or self.start < 8:
            raise NoOrder
        arb = flint().arb
        root, start = Fraction(1, 2), arb(self.start)
        found = self.fixed(x.b)
        if x.m:
            found = self.add(found, Term(ball_of(x.m) * arb(0).union(start.log() / start.sqrt()), root, arb(0)))
        return self.add(found, Term(x.c, x.q, arb(0)))

    def power(self, x: Any, exponent: Fraction) -> Term:
        """The value to an exact power: of a positive value, or to an integer."""
        if not isinstance(x, Term):
            raise NoOrder
        whole = exponent.denominator == 1
        if not (x.b > 0 or (whole and (exponent > 0 or x.b < 0))):
            raise NoOrder
        return Term(power_of_ball(x.b, exponent), x.p * exponent, x.c * ball_of(exponent), x.q)

    def exp(self, x: Any) -> Term:
        """The exponential."""
        x = self.as_logarithm(x)
        return Term(x.b.exp(), x.m, x.c, x.q)

    def log(self, x: Any) -> Logarithm:
        """The logarithm of what is positive."""
        if not isinstance(x, Term) or not x.b > 0:
            raise NoOrder
        return Logarithm(x.b.log(), x.p, x.c, x.q)

    # --- order ---

    def sign(self, x: Any) -> int:
        """The sign of a value in the whole tail."""
        if isinstance(x, Logarithm):
            if x.m == 0 and not x.q:
                x = self.fixed(x.b)
            elif x.q and x.m == 0:
                x = Term(x.c + x.b * self.beyond(-x.q), x.q, flint().arb(0))
            else:
                raise NoOrder
        if x.b > 0:
            return 1
        if x.b < 0:
            return -1
        raise NoOrder

    def _compare(self, name: str, x: Any, y: Any) -> Truth:
        if not all(isinstance(v, Term | Logarithm) for v in (x, y)):
            raise NoOrder
        if x is y and x.b.is_finite() and x.c.is_finite():
            return Truth(name in ("le", "ge", "eq"))  # one real number, whatever it is
        sign = self.sign(self.add(x, self.scaled(y, flint().arb(-1))))
        return Truth({"eq": False, "ne": True}.get(name, sign > 0 if name in ("gt", "ge") else sign < 0))

    def _larger(self, name: str, x: Any, y: Any) -> Any:
        try:
            first = self._compare("gt" if name == "max" else "lt", x, y).holds
        except NoOrder:
            return self.fixed(self.ball(x).union(self.ball(y)))
        return x if first else y

    def _select(self, which: Any, *cases: Any) -> Any:
        if isinstance(which, Truth):
            return cases[int(which.holds)]
        raise NoOrder

    def _logic(self, name: str, xs: Sequence[Any]) -> Truth:
        if not all(isinstance(x, Truth) for x in xs):
            raise NoOrder
        held = [x.holds for x in xs]
        if name == "and":
            return Truth(all(held))
        if name == "or":
            return Truth(any(held))
        if name == "not":
            return Truth(not held[0])
        raise NoOrder

    # --- integrals ---

    def integral(self, x: Term) -> Any:
        """A ball of the integral from R to infinity; infinite where it is proved to be so.

        Raises NoOrder where neither is proved.
        """
        arb = flint().arb
        start = arb(self.start)
        if not x.b.is_finite():
            raise NoOrder
        if x.b.is_zero():
            return arb(0)
        p = ball_of(x.p) + 1
        if x.q and x.c < 0:
            c = x.c.upper()
            rate = -(p + c * ball_of(x.q) * power_of(start, x.q))
            if not rate > 0:
                raise NoOrder
            return x.b * arb(0).union(power_of(start, x.p + 1) * (c * power_of(start, x.q)).exp() / rate)
        if (not x.q or x.c.is_zero()) and p < 0:
            return x.b * power_of(start, x.p + 1) / -p
        if (x.q and x.c > 0) or (p >= 0 and (not x.q or x.c >= 0)):
            if x.b > 0:
                return arb.pos_inf()
            if x.b < 0:
                return arb.neg_inf()
        raise NoOrder
