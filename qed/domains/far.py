"""Expansions at infinity with enclosed remainders: what a function is for all x >= R, to high order.

A value is a finite sum of terms x^p (log x)^k s(1 / x), where s is a power series in y = 1 / x with two sets of
coefficients: those at y = 0, which are the expansion, and balls of s^(j)(y) / j! for all y of [0, 1 / R], so that
(Taylor's theorem with the remainder of Lagrange)

    s(y) = a_0 + a_1 y + ... + a_(n-1) y^(n-1) + c y^n,        c in the ball of s^(n) / n!.

Sums cancel exactly where the a_j do: sqrt(x + 1) - sqrt(x) is x^(-1/2) (1/2 - ...). If a_0 = ... = a_(m-1) = 0, then s
is y^m t, and t^(j) / j! is a mean of s^(m+j) / (m + j)!. Derivatives are values again:

    d/dx x^p (log x)^k s = x^(p-1) ((log x)^k (p s - y s') + k (log x)^(k-1) s).

Reference: de Bruijn, *Asymptotic Methods in Analysis*, Dover 1981, sections 1.5 and 1.6.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np

from qed import facts
from qed.domains.ball import inside
from qed.domains.ball_functions import rule_of
from qed.domains.ball_series import BallSeries
from qed.domains.known import Known
from qed.domains.one_number import SAME, OneNumber, Undecided
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import MOVES, Term, ball_of, fraction_of
from qed.graph.dtypes import is_real
from qed.graph.graph import Equation
from qed.graph.walk import Context

ORDER = 24
"""The highest coefficient."""
MOST = 6
"""How many terms a value has at most."""
ROOTS = {"sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "square": Fraction(2)}
COMPARED = {name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
"""Which of two known numbers is larger."""
Instead = Callable[[Context, Sequence[Any]], Known | None]
"""What is known of an equation's output, by its inputs."""
Key = tuple[Fraction, Fraction]
"""The powers of x and of log x."""


@dataclass(frozen=True, eq=False)
class Pair:
    """The coefficients of a power series in y at 0, and over the whole interval."""

    at: Any
    over: Any


@dataclass(frozen=True, eq=False)
class Expansion:
    """A sum of terms; and a multiple of log log x, which stands alone beside them."""

    terms: Mapping[Key, Pair]
    twice: Fraction = Fraction(0)


@final
class Far(OneNumber):
    """Functions of one number x >= start > 1.

    >>> import jax.numpy as jnp
    >>> from qed.certificates.cells import walked
    >>> from qed.domains.far import Far
    >>> from qed.domains.precision import precision
    >>> from qed.graph.trace import trace
    >>> domain = Far(64.0)
    >>> traced = trace(lambda x: jnp.sqrt(x + 1) - jnp.sqrt(x), 9.0)
    >>> found = walked(traced, domain, domain.argument(), 0, "f")
    >>> [(str(p), str(k), s.at[1].str(3)) for (p, k), s in found.terms.items()]
    [('-1/2', '0', '-0.125')]
    """

    name = "far"
    forms = (Expansion,)

    def __init__(self, start: float, bits: int = 128, instead: Instead | None = None) -> None:
        self.start, self.bits, self.instead = start, bits, instead
        with precision(bits, ORDER + 1) as library:
            y = library.arb(0).union(1 / library.arb(start))
            self.y = Pair(*(library.arb_series([middle, 1], prec=ORDER + 1) for middle in (library.arb(0), y)))

    def apply(self, equation: Equation, inputs: Sequence[Any], context: Context) -> Sequence[Any]:
        """The expansions of an equation's outputs, or what is known `instead`; a case that is known to be chosen."""
        if self.instead is not None and (found := self.instead(context, inputs)) is not None:
            return (found,)
        passed_on = equation.primitive in SAME - MOVES and isinstance(inputs[0], Known)
        if passed_on and is_real(equation.outputs[0].dtype):
            return (inputs[0],)
        if equation.primitive == "select_n" and isinstance(inputs[0], Known) and not inputs[0].array.shape:
            return (inputs[1 + int(inputs[0].array)],)
        if equation.primitive in COMPARED and all(isinstance(x, Known) and not x.array.shape for x in inputs):
            return (Known(np.asarray(COMPARED[equation.primitive](*(x.array for x in inputs)))),)
        return super().apply(equation, inputs, context)

    def argument(self) -> Expansion:
        """x itself."""
        return self.term(Fraction(1), Fraction(0), self.number(flint().arb(1)))

    def number(self, ball: Any) -> Pair:
        """A series that is a number."""
        one = flint().arb_series([ball], prec=ORDER + 1)
        return Pair(one, one)

    def fixed(self, ball: Any) -> Expansion:
        """A number."""
        return self.term(Fraction(0), Fraction(0), self.number(ball))

    def term(self, p: Fraction, k: Fraction, series: Pair) -> Expansion:
        """One term."""
        return Expansion({(p, k): series})

    def one(self, equation: Equation, inputs: Sequence[Any]) -> Expansion:
        """The expansion of an equation's output."""
        with precision(self.bits, ORDER + 1):
            return self._one(equation, [self.read(x) for x in inputs])

    def read(self, x: Any) -> Expansion:
        """A value, which may be a known number, as an expansion."""
        if not isinstance(x, Known):
            return x
        value = float(np.asarray(x.array).astype(np.float64))
        if not np.isfinite(value):
            raise Undecided
        return self.fixed(flint().arb(value))

    def _one(self, equation: Equation, xs: Sequence[Expansion]) -> Expansion:
        name = equation.primitive
        if name in SAME:
            return xs[0]
        if name in ("add", "add_any"):
            return self.add(*xs)
        if name == "sub":
            return self.add(xs[0], self.scaled(xs[1], Fraction(-1)))
        if name == "neg":
            return self.scaled(xs[0], Fraction(-1))
        if name == "mul":
            return self.mul(*xs)
        if name == "div":
            return self.mul(xs[0], self.power(xs[1], Fraction(-1)))
        if name in ROOTS:
            return self.power(xs[0], ROOTS[name])
        if name == "integer_pow":
            return self.power(xs[0], Fraction(int(equation.params["y"])))
        if name == "pow" and (exponent := _exact(xs[1])) is not None:
            return self.power(xs[0], exponent)
        if name == "exp":
            return self.exp(xs[0])
        if name == "log":
            return self.log(xs[0])
        if name == "log1p":
            one = self.add(self.fixed(flint().arb(1)), xs[0])
            return self.log(one)
        if name == "abs":
            return self._size(xs[0])
        if len(xs) != 1:
            raise Undecided
        return self._smooth(equation, xs[0])

    # --- arithmetic ---

    def shifted(self, s: Pair, m: int) -> Pair:
        """y^m s."""
        return Pair(self.y.at**m * s.at, self.y.over**m * s.over) if m else s

    def add(self, x: Expansion, y: Expansion) -> Expansion:
        """The sum."""
        terms = dict(x.terms)
        for (p, k), s in y.terms.items():
            near = next((key for key in terms if key[1] == k and (key[0] - p).denominator == 1), None)
            if near is None:
                terms[p, k] = s
                continue
            t, high = terms.pop(near), max(near[0], p)
            one, two = self.shifted(t, int(high - near[0])), self.shifted(s, int(high - p))
            terms[high, k] = Pair(one.at + two.at, one.over + two.over)
        return self._checked(terms, x.twice + y.twice)

    def _checked(self, terms: Mapping[Key, Pair], twice: Fraction = Fraction(0)) -> Expansion:
        """The terms that are not 0, each series with a first coefficient that is not 0, if it has such a one."""
        kept: dict[Key, Pair] = {}
        for (p, k), s in terms.items():
            if coefficient(s.over, 0).is_zero():
                continue
            m = next((j for j, c in enumerate(s.at.coeffs()) if not c.is_zero()), 0)
            if 0 < m < min(ORDER // 2, s.over.prec - 1):
                p, s = p - m, Pair(_divided(s.at, m), _divided(s.over, m))
            kept[p, k] = s
        if len(kept) > MOST:
            raise Undecided
        return Expansion(kept, twice)

    def scaled(self, x: Expansion, by: Fraction) -> Expansion:
        """An exact multiple."""
        factor = ball_of(by)
        return self._checked({key: Pair(s.at * factor, s.over * factor) for key, s in x.terms.items()}, x.twice * by)

    def mul(self, x: Expansion, y: Expansion) -> Expansion:
        """The product."""
        for one, other in ((x, y), (y, x)):
            if one.twice:
                exact = _exact(other)
                if exact is None:
                    raise Undecided
                return self.scaled(one, exact)
        found = Expansion({})
        for (p, k), s in x.terms.items():
            for (q, j), t in y.terms.items():
                found = self.add(found, self.term(p + q, k + j, Pair(s.at * t.at, s.over * t.over)))
        return found

    def single(self, x: Expansion) -> tuple[Fraction, Fraction, Pair]:
        """The powers and the series of a value of one term, the series not 0 at infinity; else Undecided."""
        if len(x.terms) != 1 or x.twice:
            raise Undecided
        (((p, k), s),) = x.terms.items()
        if coefficient(s.at, 0).is_zero():
            raise Undecided
        return p, k, s

    def power(self, x: Expansion, exponent: Fraction) -> Expansion:
        """An exact power."""
        if exponent.denominator == 1 and 0 <= exponent <= MOST:
            found = self.fixed(flint().arb(1))
            for _ in range(int(exponent)):
                found = self.mul(found, x)
            return found
        p, k, s = self.single(x)
        sign = self._sign(s)
        whole = exponent.denominator == 1
        if sign < 0 and not whole:
            raise Undecided
        odd = sign if whole and exponent % 2 else 1
        at, over = (((one * sign).log() * ball_of(exponent)).exp() * odd for one in (s.at, s.over))
        return self._checked({(p * exponent, k * exponent): Pair(at, over)})

    def _sign(self, s: Pair) -> int:
        """The sign of a series on the whole interval."""
        if coefficient(s.over, 0) > 0:
            return 1
        if coefficient(s.over, 0) < 0:
            return -1
        raise Undecided

    def _size(self, x: Expansion) -> Expansion:
        """The absolute value of a value of one term."""
        *_, s = self.single(x)
        return self.scaled(x, Fraction(self._sign(s)))

    def log(self, x: Expansion) -> Expansion:
        """The logarithm of a positive value of one term."""
        p, k, s = self.single(x)
        if self._sign(s) < 0:
            raise Undecided
        found = self._checked({(Fraction(0), Fraction(0)): Pair(s.at.log(), s.over.log())})
        found = self.add(found, self.term(Fraction(0), Fraction(1), self.number(ball_of(p))))
        return Expansion(found.terms, found.twice + k)

    def exp(self, x: Expansion) -> Expansion:
        """exp(a log x + b log log x + s(y)), a and b exact."""
        a, rest = Fraction(0), self.number(flint().arb(0))
        for (p, k), s in x.terms.items():
            if k == 0 and p <= 0 and p.denominator == 1:
                rest = self.shifted(s, int(-p))
                continue
            exact = _constant(s)
            if (p, k) != (0, 1) or exact is None:
                raise Undecided
            a = exact
        return self.term(a, x.twice, Pair(rest.at.exp(), rest.over.exp()))

    def _smooth(self, equation: Equation, x: Expansion) -> Expansion:
        """A smooth function of a power series."""
        name = equation.primitive
        card = facts.card(name, **equation.params) if name in {*facts.CARDS, *facts.FAMILIES} else None
        rule = None if card is None else rule_of(card)
        if card is None or rule is None or len(x.terms) != 1 or x.twice:
            raise Undecided
        (((p, k), s),) = x.terms.items()
        if k or p > 0 or p.denominator != 1:
            raise Undecided
        s = self.shifted(s, int(-p))
        hull = coefficient(s.over, 0)
        if not inside(card, hull) or BallSeries(1, self.bits).rough(card, np.array([hull], object))[0]:
            raise Undecided
        return self._checked({(Fraction(0), Fraction(0)): Pair(rule(s.at), rule(s.over))})

    # --- what is asked of a value ---

    def derivative(self, x: Expansion, order: int) -> list[Term]:
        """Terms whose sum encloses the derivative of an order for all x >= start."""
        if x.twice:
            raise Undecided
        found = []
        for (p, k), s in x.terms.items():
            by_logs = {k: s.over}
            for n in range(order):
                after: dict[Fraction, Any] = {}
                for j, series in by_logs.items():
                    one = series * ball_of(p - n) - self.y.over * series.derivative()
                    after[j] = after[j] + one if j in after else one
                    if j:
                        less = series * ball_of(j)
                        after[j - 1] = after[j - 1] + less if j - 1 in after else less
                by_logs = after
            found += [
                Term(coefficient(series, 0), p - order, flint().arb(0), Fraction(0), j) for j, series in by_logs.items()
            ]
        return found

    def parts(self, x: Expansion) -> list[Term]:
        """Terms whose sum is the value for all x >= start, the remainders among them."""
        if x.twice:
            raise Undecided
        found = []
        for (p, k), s in x.terms.items():
            last = min(s.at.prec, s.over.prec, ORDER + 1) - 1
            coefficients = [coefficient(s.at, j) for j in range(last)] + [coefficient(s.over, last)]
            found += [Term(c, p - j, flint().arb(0), Fraction(0), k) for j, c in enumerate(coefficients)
                      if not c.is_zero()]  # fmt: skip
        return found


def coefficient(series: Any, j: int) -> Any:
    """A coefficient that is known; Undecided where it is not, for which python-flint would give 0."""
    if j >= series.prec:
        raise Undecided
    return series[j]


def _divided(series: Any, m: int) -> Any:
    """A series divided by y^m."""
    return flint().arb_series(series.coeffs()[m:], prec=series.prec - m)


def _constant(s: Pair) -> Fraction | None:
    """The exact number that a series is, if it is one: its derivative is 0 on the whole interval."""
    value = coefficient(s.at, 0)
    if not coefficient(s.over, 1).is_zero() or not value.is_exact() or not value.is_finite():
        return None
    return fraction_of(value)


def _exact(x: Expansion) -> Fraction | None:
    """The exact number that a value is, if it is one."""
    if x.twice or any(key != (0, 0) for key in x.terms):
        return None
    return _constant(x.terms[Fraction(0), Fraction(0)]) if x.terms else Fraction(0)
