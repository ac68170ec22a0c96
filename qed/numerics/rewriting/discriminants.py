"""The root of b^2 + q a, a discriminant, where its products over- or underflow and it does not.

Each factor is split as m 2^e. The products of the m are near 1, those of the powers of two are sums of integers, and
the larger of both products decides by which power of four the sum is scaled. Where the plain sum is an ordinary number
its root is taken as it stands. The derivative is

    dr = (b/r) db + (q/r) da/2 + (a/r) dq/2

in which nothing is squared.

Reference: Kahan, *On the cost of floating-point computation without extra-precise arithmetic*, 2004 (discriminants);
Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.8 and problem 27.5 (scaling).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent, power_of_two_of

NOTHING = -(1 << 14)
"""The exponent of a product that is 0."""


@jax.custom_jvp
def root_of_discriminant(total: Any, b: Any, q: Any, a: Any) -> Any:
    """sqrt(b^2 + q a) for total = b^2 + q a as it stands; NaN where it is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> b, q, a = map(jnp.float32, (3e25, -4e30, 1e20))
        >>> print(f"{jnp.sqrt(b * b + q * a)} {root_of_discriminant(b * b + q * a, b, q, a):.5g}")
        nan 2.2361e+25
    """
    info = jnp.finfo(total.dtype)
    usable = (jnp.abs(total) <= info.max) & (jnp.abs(total) >= float(info.tiny) / float(info.eps) ** 2)
    (mb, eb), (mq, eq), (ma, ea) = (mantissa_and_exponent(x) for x in (b, q, a))
    first = jnp.where(mb == 0, NOTHING, 2 * eb)
    second = jnp.where((mq == 0) | (ma == 0), NOTHING, eq + ea)
    half = (jnp.maximum(first, second) + 1) // 2
    parts = zip((mb * mb, mq * ma), (first, second), strict=True)
    inside = sum(m * _power(e - 2 * half, total.dtype) for m, e in parts)
    return jnp.where(usable, jnp.sqrt(jnp.where(usable, total, 1)), _scaled(jnp.sqrt(inside), half)).astype(total.dtype)


@root_of_discriminant.defjvp
def _root_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    _, b, q, a = primals
    _, in_b, in_q, in_a = tangents
    root = root_of_discriminant(*primals)
    return root, (b / root) * in_b + (0.5 * (a / root) * in_q + 0.5 * (q / root) * in_a)


def _power(e: Any, dtype: Any) -> Any:
    """2^e for e <= 1; 0 where that is no normal number."""
    least = int(jnp.finfo(dtype).minexp)
    return jnp.where(e < least, 0, power_of_two_of(jnp.clip(e, least, 1), dtype)).astype(dtype)


def _scaled(x: Any, e: Any) -> Any:
    """x 2^e, in two steps, of which neither leaves the range where the product does not."""
    info = jnp.finfo(x.dtype)
    first = jnp.clip(e, int(info.minexp), int(info.maxexp) - 1)
    rest = jnp.clip(e - first, int(info.minexp), int(info.maxexp) - 1)
    return (x * power_of_two_of(first, x.dtype)) * power_of_two_of(rest, x.dtype)


DISCRIMINANT = Operation("root_of_discriminant", root_of_discriminant, whole=True)

__all__ = ["DISCRIMINANT", "root_of_discriminant"]
