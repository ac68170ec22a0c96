"""Sums whose ratios of successive terms tend to 1: the tests of Raabe, Gauss and Kummer, as for central binomials.

Where t(k + 1) / t(k) is a product of factors (1 + a / k)^n and exp(l w log(1 + 1/w) - l), w = k + beta, and of a
constant that is exactly 1, its logarithm is, for all k >= K with K at least twice every |a| and |beta|,

    S / k + Q / k^2 + r / k^3,     S = sum n a - sum l / 2,     Q = - sum n a^2 / 2 + sum l (beta / 2 + 1/3),
    |r| <= R = 2/3 sum |n| |a|^3 + sum |l| (2 + beta^2 + 10 |beta| / 3),

from the series of log(1 + h) and their first terms left out. Terms that fall no faster than 1 / (k - d) from K on have
an infinite sum. Where S < -1, Kummer's test with D_k = k - d says what the rest is: with

    c <= D_k t(k) / t(k + 1) - D_(k+1) <= c',    0 < c,    the sum of t(k) over k > K lies in D_K t(K) / [c', c],

as D_n t(n) falls, to 0 since the sum is finite; for e = -S, f = -Q and d = f / e + e / 2 both are e - 1 + O(K^-2).
Reference: Knopp, *Theory and Application of Infinite Series*, Blackie 1951, sections 37 to 40.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qed.certificates.found import infinity
from qed.domains.precision import flint
from qed.domains.successive_ratio import Factors, Ratio
from qed.domains.tail_forms import ball_of

SHIFTS = tuple(map(Fraction, (1, 4, 16, 64, 256)))
"""The numbers d of the series 1 / (k - d) that terms are compared with."""
LARGEST = 64
"""Exponents beyond this are not multiplied out."""
CLOSE = 10**6
"""The denominator of d in Kummer's test is no larger."""


@dataclass(frozen=True)
class Expansion:
    """S / k + Q / k^2 + r / k^3 with |r| <= R for all k >= first."""

    s: Fraction
    q: Fraction
    r: Fraction
    first: Fraction


def expansion(step: Factors) -> Expansion | None:
    """The logarithm of a ratio that is known exactly and tends to 1; None of any other.

    >>> from fractions import Fraction as F
    >>> from qed.certificates.raabe import expansion
    >>> from qed.domains.successive_ratio import Factors
    >>> expansion(Factors(0, ((F(2), F(1), F(1)), (F(1), F(1), F(-1)), (F(0), F(2), F(-1))), F(0))).s
    Fraction(-1, 2)
    """
    if step.exact is None or step.exact + sum(n for n, _ in step.growths) != 0:
        return None
    apart = [(b / m, n) for m, b, n in step.lines if m]
    if sum(n for _, n in apart) != 0 or not _is_one([(m or b, n) for m, b, n in step.lines]):
        return None
    s = sum((n * a for a, n in apart), Fraction(0)) - sum((n for n, _ in step.growths), Fraction(0)) / 2
    q = -sum((n * a * a for a, n in apart), Fraction(0)) / 2
    q += sum((n * (beta / 2 + Fraction(1, 3)) for n, beta in step.growths), Fraction(0))
    r = sum((abs(n) * abs(a) ** 3 for a, n in apart), Fraction(0)) * Fraction(2, 3)
    r += sum((abs(n) * (2 + beta**2 + abs(beta) * Fraction(10, 3)) for n, beta in step.growths), Fraction(0))
    first = max(2 * abs(x) for x in (Fraction(2), *(a for a, _ in apart), *(b for _, b in step.growths)))
    return Expansion(s, q, r, first)


def from_first(terms: Ratio, start: int, first: Any) -> Any:
    """A ball of the sum of terms from `start` on, by their ratios alone; infinite where it is, None where not known.

    Args:
        terms: the ratios, and the sign of the terms.
        start: the first place.
        first: the ball of the first term.
    """
    least, most = terms.step.between(start)
    if least >= 1 or diverges(terms.step, start):
        return infinity(terms.sign)
    if not terms.exact or not first.is_finite():
        return None
    if most < 1:
        return flint().arb(0).union(first / (1 - most))
    share = rest(terms.step, start)
    return None if share is None else first * share


def _is_one(powers: list[tuple[Fraction, Fraction]]) -> bool:
    """Whether a product of powers of positive fractions is exactly 1."""
    together: dict[Fraction, Fraction] = {}
    for base, n in powers:
        if base != 1:
            together[base] = together.get(base, Fraction(0)) + n
    whole, found = math.lcm(*(n.denominator for n in together.values())), Fraction(1)
    for base, n in together.items():
        if base <= 0 or abs(n * whole) > LARGEST:
            return False
        found *= base ** int(n * whole)
    return found == 1


def diverges(step: Factors, start: int) -> bool:
    """Whether positive terms with this ratio have an infinite sum, by 1 / (k - d).

    Args:
        step: the ratio, or a lower bound of it.
        start: the first place.
    """
    for d in SHIFTS:
        compared = ((Fraction(1), 1 - d, Fraction(1)), (Fraction(1), -d, Fraction(-1)))
        one = expansion(Factors(step.rate, (*step.lines, *compared), step.exact, step.growths))
        if one is None or start < one.first or one.s < 0:
            continue
        if one.s > 0 and one.s + min(one.q, Fraction(0)) / start - one.r / start**2 >= 0:
            return True
        if one.s == 0 and one.q - one.r / start >= 0:
            return True
    return False


def rest(step: Factors, start: int) -> Any:
    """A ball of the sum of t(k) / t(start) over k >= start, where the ratio is exactly this; None if it is not known.

    Args:
        step: the ratio.
        start: the first place.
    """
    one = expansion(step)
    if one is None or start < one.first or not one.s < -1:
        return None
    arb = flint().arb
    e, f = -one.s, -one.q
    d = (f / e + e / 2).limit_denominator(CLOSE)
    if not start >= 2 * abs(d) + 1:
        return None
    u, rho = arb(0).union(arb(1) / start), ball_of(one.r).union(-ball_of(one.r))
    first = ball_of(f) + rho * u
    a = ball_of(e) + first * u  # log(t(k) / t(k + 1)) = a u, u = 1 / k
    exponential = arb(0).union((a * u).lower()).union((a * u).upper()).exp()
    middle = rho + ball_of(e) * first + u * first * first / 2 + a**3 * exponential / 6
    left = ball_of(f + e * e / 2 - d * e)
    c = ball_of(e) - 1 + u * left + u * u * (middle - ball_of(d * (f + e * e / 2)) - ball_of(d) * u * middle)
    if not c > 0:
        return None
    return 1 + ball_of(start - d) / c
