"""The tail domain: enclosures of a function of one variable for all x beyond R at once.

The graph is walked with forms that hold for every x >= R (`qed.domains.tail_arithmetic`): where x itself is the form
x, -x or 1/x the far ends of the line and 0 are seen, and s + 1/x shows what a function does beside the number s. What
cannot be put in order is `Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.ball import inside
from qed.domains.ball_functions import rule_of
from qed.domains.ball_series import BallSeries, SeriesOfBalls
from qed.domains.forward import Forward
from qed.domains.known import Known
from qed.domains.one_number import SAME
from qed.domains.precision import flint, precision
from qed.domains.tail_arithmetic import Arithmetic
from qed.domains.tail_arrays import FOLDS, LARGEST, Forms, applied, entries, packed
from qed.domains.tail_bessel import BESSEL, far_bessel
from qed.domains.tail_forms import (
    Logarithm,
    Near,
    NoOrder,
    Term,
    Truth,
    branch,
    exact_on_numbers,
    fraction_of,
    grown,
    holds,
    indicator,
    logic,
    remainder_of_line,
)
from qed.domains.tail_gamma import GAMMA, far_gamma
from qed.domains.tail_growth import Above, above
from qed.domains.tail_infinite import Infinite, with_infinities
from qed.domains.tail_inverse import INVERSE, far_inverse
from qed.domains.value import Value
from qed.graph.dtypes import is_real
from qed.graph.graph import Atom, Equation, Variable
from qed.graph.walk import Context, Unknown

FORMS = (Term, Logarithm, Near)
ROOTS = {"square": Fraction(2), "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2)}
ROUNDED = frozenset({"floor", "ceil", "round"})
"""Operations that give whole numbers."""


Instead = Callable[[Context, Sequence[Any]], Term | Near | None]
"""What stands in the place of an equation's output, by its inputs."""


@final
class Tail(Arithmetic, Forward):
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

    def __init__(
        self, start: Any, bits: int = 128, instead: Instead | None = None, counting: bool = False, slow: bool = False
    ) -> None:
        super().__init__(start, bits)
        self.instead = instead
        self.counting = counting  # whether x is a whole number
        self.slow = slow  # whether x is the logarithm of what goes out

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The forms of an equation's outputs; what stands `instead` of one, if that says so."""
        if self.instead is not None and (found := self.instead(context, inputs)) is not None:
            return (found,)
        if all(isinstance(x, Known) for x in inputs) and exact_on_numbers(equation):
            found = Value().apply(equation, [x.array for x in inputs], context)
            return tuple(self.constant(v, array) for v, array in zip(equation.outputs, found, strict=True))
        if equation.primitive == "select_n" and (held := holds(inputs[0])) is not None:
            return (inputs[1 + int(held)],)  # as it is: it may be an index
        try:
            with precision(self.bits):
                if equation.primitive in FOLDS or any(v.shape for v in (*equation.inputs, *equation.outputs)):
                    return (applied(equation, inputs, self._scalar, self._each(equation)),)
                inputs = [self._scalar(x) if isinstance(x, Known) else x for x in inputs]
                return (self._one(equation, inputs),)
        except NoOrder:
            return (self.unknown(equation, context),) * len(equation.outputs)

    def constant(self, atom: Atom, array: Any) -> Any:
        """A number; a form is itself, and of a series it is the ball of its values."""
        if isinstance(array, SeriesOfBalls):
            return self.fixed(array.leading.item())
        if isinstance(array, Term | Logarithm | Near | Forms | Truth | Infinite | Above):
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
            if np.isinf(value):
                return Infinite(int(np.sign(value)))
            return self.fixed(library.arb(value) if np.isfinite(value) else library.arb.nan())

    def take(self, value: Any, index: int) -> Any:
        """Row `index` of an array."""
        if isinstance(value, Forms):
            return packed(value.array[index : index + 1].reshape(value.array.shape[1:]))
        return Known(value.array[index]) if isinstance(value, Known) else Unknown(self.name, "scan", None)

    def stack(self, values: Sequence[Any], variable: Variable) -> Any:
        """Rows on top of each other."""
        if all(isinstance(value, Known) for value in values):
            return Known(np.asarray([value.array for value in values]))
        if not values or int(np.prod(variable.shape)) > LARGEST:
            return Unknown(self.name, "scan", None)
        with precision(self.bits):
            return Forms(np.stack([entries(value, self._scalar) for value in values]))

    def truth(self, value: Any) -> bool | None:
        """Whether a condition holds in the whole tail."""
        return holds(value)

    def choose(self, value: Any, count: int) -> int | None:
        """Which branch is taken in the whole tail."""
        return branch(value, count)

    # --- operations ---

    def _each(self, equation: Equation) -> Callable[[str, Sequence[Any]], Any]:
        """What an elementwise operation of this name makes of forms."""
        return lambda name, xs: self._one(
            equation if name == equation.primitive else replace(equation, primitive=name, params={}), xs
        )

    def _one(self, equation: Equation, xs: Sequence[Any]) -> Any:
        name, params = equation.primitive.removesuffix("_to"), equation.params
        if name in SAME:
            if isinstance(xs[0], Truth) and is_real(equation.outputs[0].dtype):
                return self.fixed(indicator(xs[0]))
            kind = np.dtype(equation.outputs[0].dtype) if not is_real(equation.outputs[0].dtype) else None
            if kind is not None and not isinstance(xs[0], Truth):
                return self._whole(kind, xs[0]) if name == "convert_element_type" else xs[0]
            if kind is not None and kind.kind in "iu" and xs[0].holds is not None:
                return Known(np.asarray(xs[0].holds, kind))
            return xs[0]
        if any(not is_real(v.dtype) and np.dtype(v.dtype).kind != "b" for v in equation.outputs):
            raise NoOrder  # integers are rounded and wrap around
        if name != "select_n" and any(isinstance(x, Above) for x in xs):
            return above(self, name, xs, params)
        if name != "select_n" and any(isinstance(x, Infinite) for x in xs):
            return with_infinities(self, name, xs)
        if name in ("lt", "le", "gt", "ge", "eq", "ne"):
            return self._compare(name, *xs)
        if name == "select_n":
            return self._select(*xs)
        if name == "is_finite" and isinstance(xs[0], FORMS) and _finite(xs[0]):
            return Truth(True)  # a real number, for every x
        if not all(isinstance(x, FORMS) for x in xs):
            return logic(name, xs)
        if name == "add":
            return self.add(*xs)
        if name == "sub":
            return self.add(xs[0], self._negated(xs[1]))
        if name == "mul":
            return self.mul(*xs)
        if name == "div":
            return self.mul(xs[0], self.power(xs[1], Fraction(-1)))
        if name in ("max", "min"):
            return self._larger(name, *xs)
        if name == "rem":
            return self._remainder(*xs)
        if name == "pow":
            return self._power(*xs)
        if len(xs) != 1:
            raise NoOrder
        return self._unary(name, xs[0], params)

    def real(self, x: Any) -> bool:
        """Whether a value is a form, and a real number for every x."""
        return isinstance(x, FORMS) and _finite(x)

    def exp(self, x: Any) -> Any:
        """The exponential, of -inf too."""
        return with_infinities(self, "exp", (x,)) if isinstance(x, Infinite) else super().exp(x)

    def _both(self, name: str, x: Any, y: Any) -> Any:
        """The sum, difference or product of two values, of which one may only be bounded from below."""
        if isinstance(x, Above) or isinstance(y, Above):
            return above(self, name, (x, y), {})
        return self.mul(x, y) if name == "mul" else self.add(x, y if name == "add" else self._negated(y))

    def _negated(self, x: Any) -> Any:
        return self.scaled(x, flint().arb(-1))

    def _power(self, x: Any, y: Any) -> Any:
        """x to the power y: an exact number, or of a positive x by exp(y log x); of a negative number its size."""
        try:
            return self.power(x, self._exact(y))
        except NoOrder:
            if isinstance(x, Term) and x.constant and x.b < 0 and self._counts(y):
                left = remainder_of_line(y, self.fixed(flint().arb(2)))
                if left is not None and x.b == -1:
                    return self.fixed(flint().arb(1 - 2 * abs(left)))
                size = self.exp(self.mul(y, self.log(self._negated(x))))
                return self.mul(self.fixed(flint().arb(0, 1) if left is None else flint().arb(1 - 2 * abs(left))), size)
            return self.exp(self.mul(y, self.log(x)))

    def _counts(self, y: Any) -> bool:
        """Whether a form is a whole number for every whole x: m x^p, or n + m x^p, with whole n, m and p > 0."""
        if isinstance(y, Logarithm) and not (y.m or y.k):
            balls, p = (y.b, y.c), y.q
        elif isinstance(y, Term) and not (y.q or y.k):
            balls, p = (y.b,), y.p
        else:
            return False
        whole = p > 0 and p.denominator == 1
        return self.counting and whole and all(one.is_exact() and one.is_integer() for one in balls)

    def _unary(self, name: str, x: Any, params: Any) -> Any:
        arb = flint().arb
        one = self.fixed(arb(1))
        if name == "integer_pow":
            return self.power(x, Fraction(int(params["y"])))
        if name == "neg":
            return self._negated(x)
        if name in ROOTS:
            return self.power(x, ROOTS[name])
        if name == "exp":
            return self.exp(x)
        if name == "log":
            return self.log(x)
        if name == "log1p":
            try:
                return self.log(self.add(one, x))
            except NoOrder:
                return self.softplus(x)
        if name == "expm1":
            return self._both("add", self.exp(x), self.fixed(arb(-1)))
        if name in ("cosh", "sinh"):
            half = [self._both("mul", self.exp(self.scaled(x, arb(sign))), self.fixed(arb(0.5))) for sign in (1, -1)]
            return self._both("add" if name == "cosh" else "sub", *half)
        if name == "abs":
            return self._size(x)
        if name == "sign":
            return self._sign(x)
        if name in ROUNDED:
            return self._rounded(name, x)
        if name in ("logistic", "tanh") or name in GAMMA or name in BESSEL or name in INVERSE:
            try:
                if name in INVERSE:
                    return far_inverse(self, name, x, lambda other, value: self._unary(other, value, {}))
                if name in BESSEL:
                    return far_bessel(self, name, x)
                return far_gamma(self, name, x) if name in GAMMA else self._sigmoid(name, x)
            except NoOrder:
                pass
        return self._bounded(name, x, params)

    def _sigmoid(self, name: str, x: Any) -> Any:
        """1 / (1 + exp(-x)), or 1 - 2 / (1 + exp(2x))."""
        arb = flint().arb
        one, factor = self.fixed(arb(1)), -1 if name == "logistic" else 2
        quotient = self.power(self.add(one, self.exp(self.scaled(x, arb(factor)))), Fraction(-1))
        return quotient if name == "logistic" else self.add(one, self.scaled(quotient, arb(-2)))

    def _rounded(self, name: str, x: Any) -> Any:
        """A number rounded: the same number where that is one for all x, else off by less than 1."""
        arb = flint().arb
        try:
            ball = self.ball(x)
        except NoOrder:
            ball = arb.nan()
        if ball.is_finite():
            ends = [getattr(end, "ceil" if name == "ceil" else "floor")() for end in (ball.lower(), ball.upper())]
            if name != "round" and ends[0] == ends[1] and ends[0].is_exact():
                return self.fixed(ends[0])
        off = {"floor": (-1, 0), "ceil": (0, 1), "round": (-1, 1)}[name]
        return self.add(x, self.fixed(arb(off[0]).union(arb(off[1]))))

    def _sign(self, x: Any) -> Term:
        """-1, 0 or 1; any of them where the sign is not known."""
        try:
            return self.fixed(flint().arb(self.sign(x)))
        except NoOrder:
            if not self.real(x):
                raise
            return self.fixed(flint().arb(-1).union(flint().arb(1)))

    def _whole(self, kind: np.dtype, x: Any) -> Any:
        """A number made an integer: what is before its point, or, where that has too many bits, some integer."""
        if kind.kind not in "iu" or not self.real(x):
            raise NoOrder
        arb, most = flint().arb, np.iinfo(kind)
        try:
            ball = self.ball(x)
            if abs(ball).upper() < 1:
                return self.fixed(arb(0))
        except NoOrder:
            pass
        cut = self.add(x, self.fixed(arb(-1).union(arb(1))))
        return self._hull(cut, self.fixed(arb(int(most.min)).union(arb(int(most.max)))))

    def _size(self, x: Any) -> Any:
        """The absolute value."""
        try:
            return self._negated(x) if self.sign(x) < 0 else x
        except NoOrder:
            x = self.as_term(x)
            return replace(x, b=flint().arb(0).union(abs(x.b).upper()))

    def _bounded(self, name: str, x: Any, params: Any) -> Any:
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
        near = self._smooth(card, x, ball)
        return self.fixed(value) if near is None else near

    def _smooth(self, card: facts.Card, x: Any, hull: Any) -> Any:
        """f(a) + f'(s) t, or f(a) + f''(s) t^2 / 2 where f'(a) = 0, of x = a + t, where f(a) is exact; else None."""
        parts, rule = self.apart(x), rule_of(card)
        if parts is None or rule is None or not inside(card, parts[0]):
            return None
        a, rest = parts
        domain = BallSeries(2, self.bits)
        if rest.b.is_zero() or domain.rough(card, np.array([hull], object))[0]:
            return None
        value = card.ball(a)
        with precision(self.bits, 3) as library:
            at, over = (rule(library.arb_series([ball, 1])) for ball in (a, hull))
        if not value.is_exact() or not over[1].is_finite():
            return None
        if at[1].is_zero() and over[2].is_finite():
            return self.near(value, self.scaled(self.mul(rest, rest), over[2]))
        return self.near(value, self.scaled(rest, over[1]))

    # --- order ---

    def _compare(self, name: str, x: Any, y: Any) -> Truth:
        if name in ("eq", "ne") and isinstance(x, Truth) and isinstance(y, Truth):
            return Truth(None if None in (x.holds, y.holds) else (x.holds == y.holds) == (name == "eq"))
        if not all(isinstance(v, FORMS) for v in (x, y)):
            raise NoOrder
        if x is y and _finite(x):
            return Truth(name in ("le", "ge", "eq"))  # one real number, whatever it is
        try:
            sign = self._order(x, y)
        except NoOrder:
            return Truth(None)
        held = {"eq": sign == 0, "ne": sign != 0, "ge": sign >= 0, "gt": sign > 0, "le": sign <= 0, "lt": sign < 0}
        return Truth(held[name])

    def _order(self, x: Any, y: Any) -> int:
        """The sign of x - y: 0 where both are one number."""
        try:
            found = self.add(x, self._negated(y))
            return 0 if isinstance(found, Term) and found.b.is_zero() else self.sign(found)
        except NoOrder:
            return grown(self, x, y)

    def _larger(self, name: str, x: Any, y: Any) -> Any:
        first = self._compare("gt" if name == "max" else "lt", x, y).holds
        if first is None:
            return self._hull(x, y)
        return x if first else y

    def _hull(self, x: Any, y: Any) -> Any:
        """What holds both of two values: two terms of the same exponents, or balls."""
        one, two = (self.as_term(v) for v in (x, y))
        if not (_finite(one) and _finite(two)):
            raise NoOrder
        if (one.p, one.k, one.q) == (two.p, two.k, two.q) and (one.p, one.k, one.q) != (0, 0, 0):
            return replace(one, b=one.b.union(two.b), c=one.c.union(two.c) if one.q else one.c)
        for high, low in ((one, two), (two, one)):
            try:
                ratio = self.ratio(low, high)
            except NoOrder:
                continue
            return replace(high, b=high.b.union(low.b * ratio))
        return self.fixed(self.ball(x).union(self.ball(y)))

    def _select(self, which: Any, *cases: Any) -> Any:
        """The chosen case; what holds both where that is not decided, each of them a number for every x."""
        if not isinstance(which, Truth):
            raise NoOrder
        if which.holds is not None:
            return cases[int(which.holds)]
        if len(cases) != 2 or any(isinstance(case, Infinite) for case in cases):
            raise NoOrder
        if all(isinstance(case, Truth) for case in cases):
            return Truth(None)
        return self._hull(*cases)

    def _remainder(self, x: Any, y: Any) -> Any:
        """The remainder of a division by one number, of the sign of what is divided and smaller than the divisor."""
        arb = flint().arb
        size = abs(self.ball(y))
        if not size > 0:
            raise NoOrder
        if self.counting and (left := remainder_of_line(x, y)) is not None:
            return self.fixed(arb(left))
        whole = arb(0).union(size.upper())
        try:
            return self.fixed(whole * self.sign(x))
        except NoOrder:
            return self.fixed(whole.union(-whole))

    def _exact(self, x: Any) -> Fraction:
        if not isinstance(x, Term) or not x.constant:
            raise NoOrder
        return fraction_of(x.b)


def _finite(x: Any) -> bool:
    """Whether no ball of a form is infinite or NaN."""
    balls = (x.a, x.rest.b) if isinstance(x, Near) else (x.b, x.c)
    return all(ball.is_finite() for ball in balls)
