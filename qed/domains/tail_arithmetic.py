"""The arithmetic of functions of one variable for all x beyond R > 1, put under their dominant terms.

A value is one of three forms, valid for every x >= R, where b, m and c are balls (a number of the ball, for each x):

    b x^p (log x)^k exp(c x^q)             a term
    b + m log x + k log log x + c x^q      a logarithm of terms
    a + term                               near an exact number a, so that what takes a away again cancels nothing

A sum is put under its dominant term: low + high = (b_high + b_low r) high, where the ratio r of the two without their
balls is enclosed for all x >= R. It falls from R on where p + k / log R + c q R^q < 0; of x^p (log x)^k with p < 0 the
largest value at all is (k / (-p e))^k. A product adds exponents; of two exponentials of unequal powers the higher
stays. A smooth function near a is f(a) + f'(s) t (mean value theorem), or f(a) + f''(s) t^2 / 2 where f'(a) = 0.

For the integral of a term from R on, let c <= 0 be the upper end of its ball and r = -(p + 1 + k / log R + c q R^q),
k only where it is positive. If r > 0, then x^(p+1) (log x)^k exp(c x^q) falls at least as fast as x^(-r), so that

    int_R^inf x^p (log x)^k exp(c x^q) dx  <=  R^(p+1) (log R)^k exp(c R^q) / r;

without an exponential, and with p < -1, it is Gamma(k + 1, d log R) / d^(k+1), d = -p - 1, exactly, and for p = -1
and k < -1 it is (log R)^(k+1) / (-k-1). Reference: de Bruijn, *Asymptotic Methods in Analysis*, Dover 1981, chapter 4.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail_forms import (
    Logarithm,
    Near,
    NoOrder,
    Term,
    ball_of,
    fraction_of,
    power_of,
    power_of_ball,
)
from qed.domains.tail_growth import Above, steep

ONE = Fraction(1)
ZERO = Fraction(0)
CONSTANT = (ZERO, ZERO)
"""The exponents p and k of what does not change."""


class Arithmetic:
    """Sums, products, powers, exponentials, logarithms and integrals of the forms, for all x >= start."""

    def __init__(self, start: Any, bits: int) -> None:
        self.start, self.bits = start, bits

    # --- forms ---

    def fixed(self, ball: Any) -> Term:
        """A value that is the same ball for all x."""
        return Term(ball, ZERO, flint().arb(0))

    def near(self, a: Any, rest: Term) -> Any:
        """The value a + rest, a exact."""
        if a.is_zero():
            return rest
        return self.fixed(a) if rest.b.is_zero() else Near(a, rest)

    def apart(self, x: Any) -> tuple[Any, Term] | None:
        """A value as an exact number and a rest that goes to 0; None where it is no such value."""
        arb = flint().arb
        if isinstance(x, Near):
            return x.a, x.rest
        if not isinstance(x, Term) or not x.b.is_finite():
            return None
        if x.constant:
            return (x.b, self.fixed(arb(0))) if x.b.is_exact() else None
        falls = x.c < 0 if x.q else (x.p, x.k) < CONSTANT
        return (arb(0), x) if falls else None

    def as_term(self, x: Any) -> Term:
        """A value as a term."""
        if isinstance(x, Term):
            return x
        if isinstance(x, Near):
            return self.fixed(self.ball(x))
        if not isinstance(x, Logarithm):
            raise NoOrder
        zero = flint().arb(0)
        found: Any = self.fixed(x.b)
        if x.m or x.k:
            rate = ball_of(x.m) + (ball_of(x.k) * self._twice() if x.k else 0)
            found = self.under(Term(rate, ZERO, zero, k=ONE), found)
        return self.under(Term(x.c, x.q, zero), found) if x.q else found

    def _twice(self) -> Any:
        """A ball of log log x / log x for all x >= R: from e on, between 0 and 1 / e, and it falls beyond e^e."""
        log, arb = self.log_start(), flint().arb
        if not log > 1:
            raise NoOrder
        return arb(0).union(log.log() / log if log.log() >= 1 else arb(-1).exp())

    def as_logarithm(self, x: Any) -> Logarithm:
        """A value as b + m log x + c x^q."""
        if isinstance(x, Logarithm):
            return x
        zero = flint().arb(0)
        if isinstance(x, Term) and not x.q:
            if x.p > 0 and not x.k:
                return Logarithm(zero, ZERO, x.b, x.p)
            if x.p == 0 and x.k == 1:
                return Logarithm(zero, fraction_of(x.b), zero, ZERO)
        return Logarithm(self.ball(x), ZERO, zero, ZERO)

    def without_logarithm(self, x: Term) -> Term:
        """A term that holds the value without a power of log x, of which x^(1/4) stands for one that grows."""
        if not x.k:
            return x
        quarter = Fraction(1, 4) if x.k > 0 else ZERO
        return Term(x.b * self.beyond(-quarter, x.k), x.p + quarter, x.c, x.q)

    # --- balls ---

    def log_start(self) -> Any:
        """A ball of log R."""
        return flint().arb(self.start).log()

    def beyond(self, p: Fraction, k: Fraction = ZERO) -> Any:
        """A ball of x^p (log x)^k for all x >= R, where it does not grow."""
        arb = flint().arb
        if (p, k) == CONSTANT:
            return arb(1)
        if (p, k) > CONSTANT:
            raise NoOrder
        log = self.log_start()
        if k > 0 and not log * ball_of(-p) >= ball_of(k):
            return arb(0).union((ball_of(k / -p) / arb(1).exp()) ** ball_of(k))
        return arb(0).union(power_of(arb(self.start), p) * power_of(log, k))

    def ball(self, x: Any) -> Any:
        """A ball of all values in the tail."""
        if isinstance(x, Near):
            return x.a + self.ball(x.rest)
        if isinstance(x, Logarithm):
            x = self.as_term(x)
        if not isinstance(x, Term) or not x.b.is_finite():
            raise NoOrder
        return x.b * (self._decayed(x) if x.q else self.beyond(x.p, x.k))

    def _decayed(self, x: Term) -> Any:
        """A ball of x^p (log x)^k exp(c x^q), which falls from R on."""
        arb = flint().arb
        start, c, log = arb(self.start), x.c.upper(), self.log_start()
        power = power_of(start, x.q)
        if not (c < 0 and ball_of(x.p) + ball_of(max(x.k, ZERO)) / log + c * ball_of(x.q) * power < 0):
            raise NoOrder
        return arb(0).union(power_of(start, x.p) * power_of(log, x.k) * (c * power).exp())

    # --- arithmetic ---

    def add(self, x: Any, y: Any) -> Any:
        """The sum."""
        for one, other in ((x, y), (y, x)):
            if isinstance(one, Term) and one.b.is_zero():
                return other
        if (found := self._apart(x, y)) is not None:
            return found
        x, y = (self.fixed(self.ball(v)) if isinstance(v, Near) else v for v in (x, y))
        if isinstance(x, Term) and isinstance(y, Term) and not self._power_and_number(x, y):
            return self._ordered(x, y)
        try:
            x, y = self.as_logarithm(x), self.as_logarithm(y)
        except NoOrder:
            return self._ordered(self.as_term(x), self.as_term(y))
        c, q = self._exponents((x.c, x.q), (y.c, y.q))
        return Logarithm(x.b + y.b, x.m + y.m, c, q, x.k + y.k)

    def _power_and_number(self, x: Term, y: Term) -> bool:
        """Whether one term is a growing power and the other stays bounded: kept apart, for an exponential to come."""
        high, low = (x, y) if (not x.q, x.p, x.k) >= (not y.q, y.p, y.k) else (y, x)
        grows = high.p > 0 and not high.k and not high.q
        bounded = low.c < 0 if low.q else (low.p, low.k) <= CONSTANT
        return grows and bool(bounded) and not (high.b.is_zero() or low.b.is_zero())

    def _apart(self, x: Any, y: Any) -> Any:
        """The sum where each is an exact number and a rest, and one of the numbers is not 0."""
        one, two = self.apart(x), self.apart(y)
        if one is None or two is None or (one[0].is_zero() and two[0].is_zero()):
            return None
        a = one[0] + two[0]
        return self.near(a, self._ordered(one[1], two[1])) if a.is_exact() else None

    def _ordered(self, x: Term, y: Term) -> Term:
        """The sum of two terms under the one that dominates."""
        if x.b.is_zero() or y.b.is_zero():
            return y if x.b.is_zero() else x
        for high, low in ((x, y), (y, x)):
            try:
                return self.under(high, low)
            except NoOrder:
                continue
        return self.fixed(self.ball(x) + self.ball(y))

    def under(self, high: Term, low: Term) -> Term:
        """The sum of two terms, the first of which dominates."""
        if high.b.is_zero() or low.b.is_zero():
            return low if high.b.is_zero() else high
        return replace(high, b=high.b + low.b * self.ratio(low, high))

    def ratio(self, low: Term, high: Term) -> Any:
        """A ball of one term divided by another that dominates it, both without their first factors."""
        c, q = self._exponents((low.c, low.q), (-high.c if high.q else high.c, high.q))
        return self.ball(Term(flint().arb(1), low.p - high.p, c, q, low.k - high.k))

    def _exponents(self, one: tuple[Any, Fraction], two: tuple[Any, Fraction]) -> tuple[Any, Fraction]:
        """The sum of two c x^q with q > 0, or q = 0 for none."""
        (c, q), (d, r) = (one, two) if one[1] >= two[1] else (two, one)
        if not r:
            return (c, q) if q else (flint().arb(0), q)
        total = c + d * self.beyond(r - q)
        return (total, ZERO) if total.is_zero() else (total, q)

    def scaled(self, x: Any, by: Any) -> Any:
        """The value times a ball."""
        if isinstance(x, Near):
            a = x.a * by
            if not a.is_exact():
                return self.fixed(self.ball(x) * by)
            return self.near(a, replace(x.rest, b=x.rest.b * by))
        if isinstance(x, Term):
            return replace(x, b=x.b * by)
        if not isinstance(x, Logarithm):
            raise NoOrder
        if not x.m and not x.k:
            return replace(x, b=x.b * by, c=x.c * by)
        if not by.is_exact():
            return self.scaled(self.as_term(x), by)
        exact = fraction_of(by)
        return Logarithm(x.b * by, x.m * exact, x.c * by, x.q, x.k * exact)

    def mul(self, x: Any, y: Any) -> Any:
        """The product."""
        if isinstance(x, Near) or isinstance(y, Near):
            return self._product(x, y)
        if isinstance(x, Term) and isinstance(y, Term):
            c, q = self._exponents((x.c, x.q), (y.c, y.q))
            return Term(x.b * y.b, x.p + y.p, c, q, x.k + y.k)
        constant, other = (x, y) if isinstance(y, Logarithm) else (y, x)
        if not isinstance(constant, Term) or not constant.constant:
            return self.mul(self.as_term(x), self.as_term(y))
        return self.scaled(other, constant.b)

    def _product(self, x: Any, y: Any) -> Any:
        """(a + s)(b + t) = ab + (at + bs + st), where ab is exact."""
        one, two = self.apart(x), self.apart(y)
        if one is not None and two is not None and not (one[0].is_zero() or two[0].is_zero()):
            (a, s), (b, t) = one, two
            if (a * b).is_exact():
                rest = self._ordered(self.scaled(t, a), self.scaled(s, b))
                return self.near(a * b, self._ordered(rest, self.mul(s, t)))
        return self.mul(self.as_term(x), self.as_term(y))

    def power(self, x: Any, exponent: Fraction) -> Any:
        """The value to an exact power: of a positive value, or to an integer."""
        if isinstance(x, Near) and (found := self._power_near(x, exponent)) is not None:
            return found
        x = self.as_term(x)
        whole = exponent.denominator == 1
        if not (x.b > 0 or (whole and (exponent > 0 or x.b < 0))):
            raise NoOrder
        c = x.c * ball_of(exponent) if x.q else flint().arb(0)
        return Term(power_of_ball(x.b, exponent), x.p * exponent, c, x.q, x.k * exponent)

    def _power_near(self, x: Near, exponent: Fraction) -> Any:
        hull = self.ball(x)
        whole = exponent.denominator == 1
        if not (hull > 0 or (whole and (exponent > 0 or hull < 0))):
            return None
        value = power_of_ball(x.a, exponent)
        if not value.is_exact():
            return None
        slope = ball_of(exponent) * power_of_ball(hull, exponent - 1)
        return self.near(value, replace(x.rest, b=x.rest.b * slope))

    def exp(self, x: Any) -> Any:
        """The exponential."""
        arb = flint().arb
        if isinstance(x, Term) and x.b.is_zero():
            return self.fixed(arb(1))
        if not isinstance(x, Near) and (parts := self.apart(x)) is not None and parts[0].is_zero():
            return self.near(arb(1), replace(parts[1], b=parts[1].b * self.ball(parts[1]).exp()))
        if isinstance(x, Term) and x.k > 0 and not x.q and x.p >= 0 and (x.p > 0 or x.k > 1):
            return self._with_logarithm(x)
        if isinstance(x, Term) and (found := steep(self, x)) is not None:
            return found
        x = self.as_logarithm(x)
        return Term(x.b.exp(), x.m, x.c, x.q, x.k)

    def _with_logarithm(self, x: Term) -> Any:
        """exp(b x^p (log x)^k), k > 0: one logarithm stays, or the power, the others are at least log R.

        For b < 0 it lies between 0 and exp(b (log R)^(k-1) log x), or exp(b (log R)^k x^p); for b > 0 it is at least
        that.
        """
        arb = flint().arb
        if not (x.b < 0 or x.b > 0):
            raise NoOrder
        falls = bool(x.b < 0)
        unit = arb(0).union(arb(1)) if falls else arb(1)
        rate = x.b * power_of(self.log_start(), x.k if x.p > 0 else x.k - 1)
        rate = rate.upper() if falls else rate.lower()
        if x.p > 0:
            found = Term(unit, ZERO, rate, x.p)
        else:
            found = Term(unit, Fraction(math.nextafter(float(rate), math.inf if falls else -math.inf)), arb(0))
        return found if falls else Above(found)

    def softplus(self, x: Any) -> Any:
        """log(1 + b exp(c x^q)), from 0 to log(1 + b) + max(c, 0) x^q, where the sign of c is not known."""
        arb = flint().arb
        if not isinstance(x, Term) or x.p or x.k or not x.b > 0 or not x.c.is_finite():
            raise NoOrder
        growth = arb(0).union(x.c.upper()) if x.c.upper() > 0 else arb(0)
        return Logarithm(arb(0).union((1 + x.b.upper()).log()), Fraction(0), growth, x.q)

    def log(self, x: Any) -> Any:
        """The logarithm of what is positive."""
        hull = self.ball(x) if isinstance(x, Near) else None
        if isinstance(x, Near) and x.a == 1 and hull is not None and hull > 0:
            return replace(x.rest, b=x.rest.b / hull)
        x = self.as_term(x)
        if not x.b > 0:
            raise NoOrder
        return Logarithm(x.b.log(), x.p, x.c, x.q, x.k)

    # --- order ---

    def sign(self, x: Any) -> int:
        """The sign of a value in the whole tail."""
        x = self.as_term(x)
        if x.b > 0:
            return 1
        if x.b < 0:
            return -1
        raise NoOrder

    # --- integrals ---

    def integral(self, x: Term) -> Any:
        """A ball of the integral from R to infinity; infinite where it is proved to be so.

        Raises NoOrder where neither is proved.
        """
        arb = flint().arb
        start, log = arb(self.start), self.log_start()
        if not x.b.is_finite():
            raise NoOrder
        if x.b.is_zero():
            return arb(0)
        p = x.p + 1
        free = not x.q or x.c.is_zero()
        if x.q and x.c < 0:
            c, power = x.c.upper(), power_of(start, x.q)
            rate = -(ball_of(p) + ball_of(max(x.k, ZERO)) / log + c * ball_of(x.q) * power)
            if not rate > 0:
                raise NoOrder
            return x.b * arb(0).union(power_of(start, p) * power_of(log, x.k) * (c * power).exp() / rate)
        if free and p < 0:
            found = x.b * self._gamma(-p, x.k)
        elif free and p == 0 and x.k < -1:
            found = x.b * power_of(log, x.k + 1) / ball_of(-x.k - 1)
        elif (x.q and x.c > 0) or ((free or x.c >= 0) and (p > 0 or (p == 0 and x.k >= -1))):
            found = arb.pos_inf() if x.b > 0 else arb.neg_inf() if x.b < 0 else arb.nan()
        else:
            raise NoOrder
        if found.is_nan():
            raise NoOrder
        return found

    def _gamma(self, d: Fraction, k: Fraction) -> Any:
        """The integral of x^(-d-1) (log x)^k from R on."""
        if not k:
            return power_of(flint().arb(self.start), -d) / ball_of(d)
        found = (ball_of(d) * self.log_start()).gamma_upper(ball_of(k + 1)) / power_of(ball_of(d), k + 1)
        if not found.is_finite():
            raise NoOrder
        return found
