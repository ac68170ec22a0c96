"""What bounds the tail of a sum: ratios of neighbouring terms, and integrals of what falls.

Terms x^p exp(c x^q) m(x) have ratios between `down` and `up`; for g convex and falling (Graham, Knuth and Patashnik,
*Concrete Mathematics*, section 9.5)

    int_K^inf g dx + g(K) / 2  <=  sum_{k >= K} g(k)  <=  int_{K - 1/2}^inf g dx.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term, ball_of, power_of


def unit() -> Term:
    """The number 1."""
    return Term(flint().arb(1), Fraction(0), flint().arb(0))


def exponential(end: Any) -> Any:
    """exp of an end of an interval, which may be infinite."""
    if end.is_finite():
        return end.exp()
    return flint().arb(0) if end < 0 else flint().arb.pos_inf()


def up(f: Term, start: int) -> Any:
    """A bound of (k+1)^p exp(c (k+1)^q) / (k^p exp(c k^q)) for all k >= start."""
    found = power_of(1 + 1 / flint().arb(start), f.p) if f.p > 0 else flint().arb(1)
    if not f.q or f.c <= 0:
        return found
    if f.q > 1:
        return flint().arb.pos_inf()
    c = f.c.upper()
    return found * (c * (power_of(flint().arb(start + 1), f.q) - power_of(flint().arb(start), f.q))).exp()


def down(f: Term, start: int) -> Any:
    """The same from below."""
    arb = flint().arb
    found = power_of(1 + 1 / arb(start), f.p) if f.p < 0 else arb(1)
    if not f.q:
        return found
    c, here = f.c.lower(), power_of(arb(start), f.q)
    if c >= 0:
        return found if f.q < 1 else found * (c * ball_of(f.q) * here / start).exp()
    if f.q > 1:
        return arb(0)
    return found * (c * (power_of(arb(start + 1), f.q) - here)).exp()


def outgrows(f: Term, start: int, rate: Any) -> bool:
    """Whether rate / (k + 1) times `_down` is at least 1 for all k >= start: its logarithm is, and does not fall.

    Its derivative is at least c q (q - 1) k^(q - 2) - 1 / (k + 1), where k^(q - 1) grows.
    """
    c, q = f.c.lower(), ball_of(f.q)
    slope = c * q * (q - 1) * power_of(flint().arb(start), f.q) / start
    return bool(rate / (start + 1) * down(f, start) >= 1 and slope >= 1)


def compared(domain: Tail, g: Term) -> Any:
    """A ball of sum g(k) from domain.start on, by the integral; infinite where that is."""
    arb, start = flint().arb, flint().arb(domain.start)
    if g.b.is_zero():
        return arb(0)
    whole = domain.integral(g)
    if not whole.is_finite():
        return whole
    free, log = not g.q or g.c.is_zero(), domain.log_start()
    if free and not g.k:  # x^p with p < -1
        power = ball_of(g.p) + 1
        least = power_of(start, g.p + 1) / -power + power_of(start, g.p) / 2
        most = power_of(start - arb(0.5), g.p + 1) / -power
        return g.b * least.union(most)
    c, q = (arb(0), Fraction(0)) if free else (g.c.upper(), g.q)
    power = c * power_of(start, q)
    if not ball_of(g.p) + ball_of(max(g.k, Fraction(0))) / log + ball_of(q) * power <= 0:
        raise NoOrder
    first = power_of(start, g.p) * power_of(log, g.k) * power.exp()
    rest = domain.integral(Term(arb(1), g.p, c, q, g.k))
    return g.b * (rest if free else arb(0)).union(first + rest)
