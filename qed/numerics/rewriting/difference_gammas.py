"""Differences of log-gamma and digamma functions, and the logarithms of Beta functions and binomial coefficients.

With x = y + d, d >= 0, and X = x + n, Y = y + n moved to where Stirling's series holds (n = 0 there)::

    lgamma(x) - lgamma(y) = d log X + (Y - 1/2) log1p(d/Y) - d + S(X) - S(Y) - log(prod_i (1 + d/(y + i)))
    psi(x) - psi(y)       = log1p(d/Y) + d / (2 X Y) - (T(X) - T(Y)) + sum_i d / ((x + i)(y + i))

    S(z) = sum_k B_2k / (2k (2k - 1) z^(2k - 1)),    T(z) = sum_k B_2k / (2k z^(2k)),    i = 0, ..., n - 1

S(X) - S(Y) is a polynomial difference in 1/X and 1/Y, taken by its divided difference. For three of them with
x = y + z - e (e = 0: a Beta function; e = 1: a binomial coefficient), b = max(y, z), s = min(y, z), g = x - b::

    lgamma(x) - lgamma(y) - lgamma(z) = (lgamma(x) - lgamma(b)) - lgamma(s)                                   s small
      = g log(x/s) + (b - 1/2) log1p(g/b) - (e - 1/2) log s + e - log(2 pi)/2 + S(x) - S(b) - S(s)            else

All hold for positive arguments; elsewhere, and where d is large, the functions are taken as they stand. The series is
cut where its rest is below the last digit of float64.

References: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 6.1.40, 6.3.18 and 6.4.12; DiDonato and Morris,
*Significant digit computation of the incomplete beta function ratios* (TOMS 708), 1992.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting.difference_factory import Function, kernel, within
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found


def stirling(dtype: Any) -> int:
    """From where on eight terms of the series are enough: the ninth is at most 1.8e-18 at 10 and 1.1e-11 at 4."""
    return 10 if jnp.finfo(dtype).eps < 1e-10 else 4


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_S = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1)]
_T = [b / (2 * k) for k, b in enumerate(_BERNOULLI, 1)]
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def near(x: Any, y: Any, d: Any) -> Any:
    """Where two arguments are positive and so near each other that the values may cancel."""
    return (x > 0) & (y > 0) & (jnp.abs(d) <= 1 + jnp.minimum(x, y))


def _kept(x: Any, y: Any, d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Both arguments, the smaller first, their distance, whether to shift, and the sign; harmless where not near."""
    close = near(x, y, d)
    low = jnp.where(close, jnp.minimum(x, y), 1)
    gap = jnp.where(close, jnp.abs(d), 0)
    high = jnp.where(close, jnp.maximum(x, y), 1)
    shifted = low < stirling(low.dtype)
    return low, high, gap, shifted, jnp.sign(d)


def _series(values: list[float], u: Any) -> Any:
    """sum_k values[k] u^(2k)."""
    square, total = u * u, jnp.zeros_like(u)
    for value in values[::-1]:
        total = total * square + value
    return total


def _divided(values: list[float], u: Any, v: Any) -> Any:
    """(q(u) - q(v)) / (u^2 - v^2) for q(u) = sum_k values[k] u^(2k), by Horner's scheme."""
    a, b = u * u, v * v
    at, slope = jnp.zeros_like(v), jnp.zeros_like(u)
    for value in values[::-1]:
        slope = slope * a + at
        at = at * b + value
    return slope


def _gap_of_s(u: Any, v: Any, between: Any) -> Any:
    """S(1/u) - S(1/v), where between = u - v: S = u q(u)."""
    return between * (_series(_S, u) + v * (u + v) * _divided(_S, u, v))


def _lgamma_formula(x: Any, y: Any, d: Any) -> Any:
    low, high, gap, shifted, sign = _kept(x, y, d)
    start, end = (jnp.where(shifted, each + stirling(each.dtype), each) for each in (low, high))
    u, v = 1 / end, 1 / start
    rest = gap * jnp.log(end) + (start - 0.5) * logspace.log1p(gap / start) - gap + _gap_of_s(u, v, -(gap * u) * v)
    growth = jnp.zeros_like(rest)
    for i in range(1, stirling(low.dtype)):
        ratio = gap / (low + i)
        growth = growth + ratio + growth * ratio
    product = logspace.log1p(jnp.where(shifted, growth, 0)) + jnp.where(shifted, logspace.log1p(gap / low), 0)
    return sign * (rest - product)


def _digamma_formula(x: Any, y: Any, d: Any) -> Any:
    low, high, gap, shifted, sign = _kept(x, y, d)
    start, end = (jnp.where(shifted, each + stirling(each.dtype), each) for each in (low, high))
    u, v = 1 / end, 1 / start
    between = -(gap * u) * v
    rest = logspace.log1p(gap / start) - between * (0.5 + (u + v) * _divided([0.0, *_T], u, v))
    small = sum(((gap / (high + i)) / (low + i) for i in range(stirling(low.dtype))), jnp.zeros_like(rest))
    return sign * (rest + jnp.where(shifted, small, 0))


def _trigamma_formula(x: Any, y: Any, d: Any) -> Any:
    low, high, gap, shifted, sign = _kept(x, y, d)
    start, end = (jnp.where(shifted, each + stirling(each.dtype), each) for each in (low, high))
    u, v = 1 / end, 1 / start
    values = [0.0, *_BERNOULLI]
    rest = -(gap * u) * v * (1 + 0.5 * (u + v) + _series(values, u) + v * (u + v) * _divided(values, u, v))
    small = jnp.zeros_like(rest)
    for i in range(stirling(low.dtype)):
        one, other = 1 / (high + i), 1 / (low + i)
        small = small + (gap * one) * other * (one + other)
    return sign * (rest - jnp.where(shifted, small, 0))


def _trigamma(x: Any) -> Any:
    return jax.scipy.special.polygamma(1, x)


def _close(x: Any, y: Any, d: Any) -> Any:
    return near(x, y, d) & within(x, y, d)


def _taken(formula: Function, plain: Function) -> Function:
    def value(x: Any, y: Any, d: Any) -> Any:
        far = ~near(x, y, d)
        return jnp.where(far, plain(x) - plain(y), formula(x, y, d)).astype(jnp.result_type(x, y))

    return value


digamma = kernel(
    "digamma_difference",
    _taken(_digamma_formula, jax.lax.digamma),
    _trigamma,
    _close,
    _taken(_trigamma_formula, _trigamma),
)
lgamma = kernel(
    "lgamma_difference",
    _taken(_lgamma_formula, jax.lax.lgamma),
    jax.lax.digamma,
    _close,
    lambda x, y, d: digamma(x, y, d),
)


def _large(x: Any, b: Any, s: Any, g: Any, e: float) -> Any:
    """lgamma(x) - lgamma(b) - lgamma(s) for s from `stirling` on."""
    series = _gap_of_s(1 / x, 1 / b, -(g / x) / b) - _series(_S, 1 / s) / s
    logs = g * jnp.log(x / s) + (b - 0.5) * logspace.log1p(g / b) - (e - 0.5) * jnp.log(s)
    return logs + ((e - _HALF_LOG_2PI) + series)


@cache
def beta(e: float) -> Function:
    """The function lgamma(x) - lgamma(y) - lgamma(z) of x, y, z, x - y and x - z, where x = y + z - e."""

    @jax.custom_jvp
    def value_of(x: Any, y: Any, z: Any, p: Any, q: Any) -> Any:
        plain = jax.lax.lgamma
        b, s, g = jnp.maximum(y, z), jnp.minimum(y, z), jnp.where(y >= z, p, q)
        inside = (s > 0) & (x > 0) & jnp.isfinite(x)
        large = inside & (s >= stirling(s.dtype))
        one, other, small, gap = (jnp.where(large, each, 20) for each in (x, b, s, g))
        close = inside & ~large
        first = lgamma(*(jnp.where(close, each, each.dtype.type(k)) for each, k in ((x, 1), (b, 1), (g, 0))))
        last = jnp.where(close & (s != 1) & (s != 2), s, 1)
        last = jnp.where(last == 1, 0, plain(last))
        value = jnp.where(large, _large(one, other, small, gap, e), first - last)
        return jnp.where(inside, value, plain(x) - plain(y) - plain(z)).astype(x.dtype)

    @value_of.defjvp
    def slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y, z, p, q = primals
        value = value_of(x, y, z, p, q)
        tangent = digamma(x, y, p) * tangents[1] + digamma(x, z, q) * tangents[2]
        return value, jnp.broadcast_to(tangent, value.shape).astype(value.dtype)

    return value_of


OPERATIONS = {
    "lgamma": Operation("lgamma_difference", lgamma, whole=True),
    "digamma": Operation("digamma_difference", digamma, whole=True),
}
LOG_BETA = Operation("lgamma_of_sum", lambda x, y, z, p, q, e: beta(e)(x, y, z, p, q), whole=True)


def three(difference: Difference, polynomial: Polynomial, like: Node) -> tuple[Polynomial, Found] | None:
    """c (lgamma(x) - lgamma(y) - lgamma(z)) among the terms, x - y - z a number: those terms and what they are."""
    found = {}
    for monomial, coefficient in polynomial.items():
        g = difference.single(monomial, 1)
        if g is not None and g.operation == "lgamma" and g.shape == like.shape:
            found[monomial] = (g.children[0], coefficient)
    if len(found) < 3:
        return None
    for (m, (x, c)), (n, (y, e)), (k, (z, f)) in permutations(found.items(), 3):
        if c != -e or c != -f or n > k:
            continue
        gaps = difference.minus(x, y), difference.minus(x, z)
        number = difference.multiplied(plus(difference.terms(z), gaps[0], -1))
        if set(number) - {ONE} or number.get(ONE, 0) not in (0, 1):
            continue
        p, q = (difference.sharp(gap, x) for gap in gaps)
        if p is None or q is None:
            continue
        operands = [difference.algebra.filled(each, like.shape) for each in (x, y, z, p[0], q[0])]
        value = difference.emit(LOG_BETA, *operands, e=float(number.get(ONE, 0)))
        value = difference.algebra.times(float(c), value)
        return {m: c, n: e, k: f}, (value, (laws.BETA, *p[1], *q[1]))
    return None


__all__ = ["LOG_BETA", "OPERATIONS", "beta", "digamma", "lgamma", "near", "stirling", "three"]
