"""Powers whose exponent varies: x^k - y^k, and (1 + v)^k where a factor of k is the inverse of one of v.

With d = x - y and t = k log(x/y), the logarithm being log1p(d/y) where x and y are near each other,

    x^k - y^k = y^k expm1(t)        its derivative in k:  (x^k - y^k) log x + y^k log(x/y)

where in x^k log x - y^k log y two large terms cancel. With s = k v, from which the common factor is gone,

    (1 + v)^k = exp(s R(v)),        R(v) = log1p(v)/v

whose derivative (1 + v)^k (R ds + s R' dv) has no terms that cancel, while that of exp(log1p(a x)/a) in a has
-log1p(a x)/a^2 + x/(a (1 + a x)): the inverse of Box and Cox's transformation, extreme value distributions.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting.difference_series import remainder
from qed.numerics.rewriting.difference_terms import ONE, product
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

APART = Law("a**k - b**k = b**k expm1(k log1p((a - b)/b))", "a, b > 0; elsewhere as it is")
GROWN = Law("(1 + v)**k = exp(k v (log1p(v)/v))", "1 + v > 0; where |v| is not small it stays")

ALIKE = 0.4
"""Up to which |(k - 1) log(x/y)| the slopes k x^(k-1) and k y^(k-1) are so alike that their difference is formed."""


def _near(x: Any, y: Any, d: Any, k: Any) -> tuple[Any, Any, Any]:
    """Whether x^k and y^k are near each other; then y and log(x/y), else 1 and 0."""
    positive = (y > 0) & (x > 0)
    above, below = jnp.where(positive, x, 1), jnp.where(positive, y, 1)
    close = positive & (jnp.abs(d) < 0.5 * y)
    ratio = above / below
    usual = jnp.isfinite(ratio) & (ratio >= jnp.finfo(ratio.dtype).tiny)
    apart = jnp.where(usual, jnp.log(jnp.where(usual, ratio, 1)), jnp.log(above) - jnp.log(below))
    log = jnp.where(close, logspace.log1p(jnp.where(close, d, 0) / below), apart)
    near = positive & (jnp.abs(k * log) <= 1)
    return near, jnp.where(near, below, 1), jnp.where(near, log, 0)


@jax.custom_jvp
def powers_apart(x: Any, y: Any, d: Any, k: Any) -> Any:
    """x^k - y^k from d = x - y.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.float32(1.0), jnp.float32(0.99999)
        >>> print(f"{powers_apart(x, y, jnp.float32(1e-5), jnp.float32(1.5)):.4g}")
        1.5e-05
    """
    near, below, log = _near(x, y, d, k)
    inside = below**k * jnp.expm1(k * log)
    return jnp.where(near, inside, jnp.where(near, 1, x) ** k - jnp.where(near, 1, y) ** k).astype(x.dtype)


@powers_apart.defjvp
def _powers_apart_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, y, d, k = primals
    along_x, along_y, along_d, along_k = tangents
    near, below, log = _near(x, y, d, k)
    value = powers_apart(x, y, d, k)
    at_x, at_y = k * x ** (k - 1), k * y ** (k - 1)
    inner = value * jnp.log(jnp.where(near, x, 1)) + below**k * log
    high, low = jnp.where(near, 1, x), jnp.where(near, 1, y)
    outer = _times_log(high, k) - _times_log(low, k)
    steps = near & jnp.isfinite(at_x) & jnp.isfinite(at_y)
    steps &= (jnp.abs(d) < 0.5 * y) & (jnp.abs((k - 1) * log) <= ALIKE)
    steep = jnp.where(steps, k * powers_apart(x, y, d, k - 1), -at_y)
    tangent = at_x * jnp.where(steps, along_d, along_x) + steep * along_y + jnp.where(near, inner, outer) * along_k
    return value, tangent.astype(value.dtype)


def _times_log(x: Any, k: Any) -> Any:
    """x^k log x, 0 where x is 0."""
    safe = jnp.where(x > 0, x, 1)
    return jnp.where(x > 0, safe**k * jnp.log(safe), jnp.where(x == 0, 0, jnp.nan)).astype(safe.dtype)


@jax.custom_jvp
def grown_by(base: Any, v: Any, k: Any, s: Any) -> Any:
    """base^k for base = 1 + v and s = k v.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> grown = lambda a: grown_by(1 + 3 * a, 3 * a, 1 / a, jnp.float32(3.0))  # (1 + 3 a)^(1/a)
        >>> print(f"{jax.grad(grown)(jnp.float32(1e-6)):.4g}")  # -9/2 e^3
        -90.38
    """
    near = jnp.abs(v) < 0.25
    inside = jnp.exp(s * remainder("log1p", 1)(jnp.where(near, v, 0).astype(base.dtype)))
    return jnp.where(near, inside, jnp.where(near, 1, base) ** jnp.where(near, 1, k)).astype(base.dtype)


@grown_by.defjvp
def _grown_by_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    _, v, _, s = primals
    value = grown_by(*primals)
    rest, slope = jax.jvp(remainder("log1p", 1), (v,), (jnp.ones_like(v),))
    return value, value * (rest * tangents[3] + s * slope * tangents[1])


POWERS_APART = Operation("powers_apart", powers_apart, whole=True)
GROWN_BY = Operation("grown_by", grown_by, whole=True)


def of_one_exponent(difference: Difference, g: Node, h: Node) -> Found | None:
    """x^k - y^k for a k that varies."""
    (x, k), (y, other) = g.children, h.children
    if k is not other:
        return None
    gap = difference.sharp(difference.minus(x, y), x)
    if gap is None:
        return None
    parts = (difference.algebra.filled(each, g.shape) for each in (x, y, gap[0], k))
    return difference.emit(POWERS_APART, *parts), (APART, *gap[1])


def with_common_factor(difference: Difference, node: Node, rest: Any) -> Found | None:
    """(1 + v)^k, v one term, where a variable divides one of k and v and multiplies the other."""
    base, exponent = node.children
    read = difference.terms(exponent)
    if len(read) != 1 or len(rest) != 1 or ONE in rest:
        return None
    (v,), (k,) = rest, read
    powers = dict(v)
    if not any(powers.get(number, 0) * power < 0 for number, power in k):
        return None
    parts = (difference.plain(rest, base), exponent, difference.plain(product(rest, read), base))
    v_node, k_node, s = (difference.algebra.filled(each, node.shape) for each in parts)
    return difference.emit(GROWN_BY, difference.algebra.filled(base, node.shape), v_node, k_node, s), (GROWN,)
