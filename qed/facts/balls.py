"""The few functions of the tables that python-flint's balls lack, each an enclosure of all values on a ball.

A ball is `flint.arb`: a midpoint and a radius; the result contains f(t) for every t in the argument (Johansson 2017,
"Arb: efficient arbitrary-precision midpoint-radius interval arithmetic"). A ball not finite means: nothing is known.
The caller sets the precision.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint

arb = flint.arb


def absolute(x: arb) -> arb:
    """Return |x|.

    >>> import flint
    >>> from qed.facts.balls import absolute
    >>> absolute(flint.arb(-2))
    2.00000000000000
    """
    return abs(x)


def nearest(x: arb) -> arb:
    """Return x rounded to the nearest integer, ties to even; both neighbours where x is not decided."""
    if x.is_exact():
        low = x.floor()
        twice = 2 * (x - low)
        odd = (low / 2).floor() * 2 != low
        return low + 1 if twice > 1 or (twice == 1 and odd) else low
    return (x - 0.5).ceil().union((x + 0.5).floor())


def cbrt(x: arb) -> arb:
    """Return the real cube root.

    >>> import flint
    >>> from qed.facts.balls import cbrt
    >>> cbrt(flint.arb(-8)).contains(-2)
    True
    """
    return _increasing(x, lambda t: -(-t).root(3) if t < 0 else t.root(3) if t > 0 else t)


def integer_pow(x: arb, y: int) -> arb:
    """Return x**y for an integer y; an even power of a ball about 0 is not negative.

    >>> import flint
    >>> from qed.facts.balls import integer_pow
    >>> (integer_pow(flint.arb(3), -1) * 3).contains(1)
    True
    """
    if not x.is_exact() and not x.mid().is_finite():
        return arb.nan() if y else arb(1)  # flint ends the process at a power of inf +/- inf
    if x.is_exact() or not x.contains(0) or not x.is_finite():
        return x ** int(y)
    if y <= 0:
        return arb.nan() if y else arb(1)
    low, high = (x.abs_lower(), x.abs_upper()) if y % 2 == 0 else (x.lower(), x.upper())
    return (low ** int(y)).union(high ** int(y))


def power(x: arb, exponent: Fraction) -> arb:
    """Return x**exponent for a constant exponent and x > 0, or x = 0 and a positive exponent."""
    return x ** arb(flint.fmpq(exponent.numerator, exponent.denominator))


def bessel_i0e(x: arb) -> arb:
    """Return exp(-|x|) I_0(x), which falls as |x| grows."""
    low, high = _modulus(x)
    return _i_scaled(0, low).union(_i_scaled(0, high))


def bessel_i1e(x: arb) -> arb:
    """Return exp(-|x|) I_1(x): on an interval of positive numbers, I_1 grows and exp(-x) falls.

    >>> import flint
    >>> from qed.facts.balls import bessel_i1e
    >>> bessel_i1e(flint.arb(-1))
    [-0.207910415349708 +/- 4.72e-16]
    """
    low, high = _modulus(x)
    shrink = (low - high).exp()
    hull = (_i_scaled(1, low) * shrink).union(_i_scaled(1, high) / shrink)
    return hull if x > 0 else -hull if x < 0 else hull.union(-hull)


def erf_inv(x: arb) -> arb:
    """Return the t with erf(t) = x, for -1 < x < 1."""
    return _increasing(x, arb.erfinv)


def lgamma(x: arb) -> arb:
    """Return log |Gamma(x)|; left of zero by reflection (DLMF 5.5.3).

    >>> import flint
    >>> from qed.facts.balls import lgamma
    >>> lgamma(flint.arb(-0.5))
    [1.26551212348465 +/- 5.52e-15]
    """
    if x > 0:
        return x.lgamma()
    return (arb.pi() / abs(x.sin_pi())).log() - (1 - x).lgamma()


def real_pow(x: arb, y: arb) -> arb:
    """Return x**y: for x > 0, or for an exact integer y."""
    whole = y.unique_fmpz() if y.is_exact() else None
    return x**y if whole is None or not y.is_integer() else x ** int(whole)


def rem(x: arb, y: arb) -> arb:
    """Return the remainder with the sign of x, as C's fmod."""
    quotient = x / y
    whole = abs(quotient).floor()
    return x - y * (whole if quotient >= 0 else -whole if quotient < 0 else whole.union(-whole))


def first(x: arb, y: arb) -> arb:
    """Return x: the real meaning of nextafter."""
    return x


def igamma(a: arb, x: arb) -> arb:
    """Return the regularised lower incomplete gamma function P(a, x), a > 0, x >= 0 (DLMF 8.2.4)."""
    return x.gamma_lower(a, regularized=1)


def igammac(a: arb, x: arb) -> arb:
    """Return Q(a, x) = 1 - P(a, x)."""
    return x.gamma_upper(a, regularized=1)


def polygamma(m: arb, x: arb) -> arb:
    """Return the m-th derivative of digamma, m >= 0 an integer."""
    return flint.acb(x).polygamma(m).real


def incomplete_beta(a: arb, b: arb, x: arb) -> arb:
    """Return the regularised incomplete beta function I_x(a, b) (DLMF 8.17.2)."""
    return x.beta_lower(a, b, regularized=1)


def psi(m: int, x: arb) -> arb:
    """Return the m-th derivative of digamma, for an integer m >= 0."""
    return flint.acb(x).polygamma(int(m)).real


def _modulus(x: arb) -> tuple[arb, arb]:
    """The least and the greatest |t| on a ball, exact."""
    return x.abs_lower(), x.abs_upper()


def _i_scaled(order: int, x: arb) -> arb:
    """exp(-x) I_order(x) for an exact x >= 0."""
    return x.bessel_i(arb(order), scaled=True) if x > 0 else arb(1 - order)


def _increasing(x: arb, f: Callable[[Any], Any]) -> arb:
    """The hull of an increasing f over a ball, from its two ends."""
    if x.is_exact():
        return f(x)
    low, high = x.lower(), x.upper()
    return f(low).union(f(high))
