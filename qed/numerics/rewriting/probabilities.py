"""Probabilities of intervals by their logarithms: log(erfc x - erfc y) for x < y, of the tail where both are small.

erfc x - erfc y is also erfc(-y) - erfc(-x): of the two pairs (a, b) the one with a + b > 0 keeps its digits, in

    log erfc a + log(1 - p),        p = erfc b / erfc a,

and in its derivatives -h(a)/(1 - p) in a and h(b) p/(1 - p) in b, where h(x) = 2/sqrt(pi) exp(-x^2) / erfc x. Where a
and b are near each other, 1 - p is h(a) times the integral of exp(a^2 - t^2) from a to b; elsewhere p is exp of the
difference of logarithms. The complement of one tail is the other: 1 - erfc(x)/2 = erfc(-x)/2.

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 7.1.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting.difference_inverses import bell_integral
from qed.numerics.rewriting.kernels import log_erfc
from qed.numerics.rewriting.laws import Law

BETWEEN = Law("log(erfc(a) - erfc(b)) = log(erfc(-b) - erfc(-a)) = log(erfc(a)) + log(1 - erfc(b)/erfc(a))", "a < b")
OTHER_TAIL = Law("log(1 - erfc(a)/2) = log(erfc(-a)/2)", "always")


def _density(x: Any) -> Any:
    """2/sqrt(pi) exp(-x^2) / erfc(x)."""
    return -jax.jvp(log_erfc, (x,), (jnp.ones_like(x),))[1]


def _pair(x: Any, y: Any, d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The pair of the right tail, whether it was mirrored, p and 1 - p."""
    mirrored = x + y < 0
    a, b = jnp.where(mirrored, -y, x), jnp.where(mirrored, -x, y)
    near = jnp.abs(d) * (1 + jnp.abs(a) + jnp.abs(b)) < 1
    inner_a, inner_d = (jnp.where(near, each, 0).astype(x.dtype) for each in (a, d))
    small = _density(inner_a) * bell_integral(inner_a, inner_d)
    ratio = jnp.where(near, -1, log_erfc(b) - log_erfc(a)).astype(x.dtype)
    rest = jnp.where(near, small, -jnp.expm1(ratio))
    return a, b, mirrored, jnp.where(near, 1 - small, jnp.exp(ratio)), rest


@jax.custom_jvp
def log_erfc_between(x: Any, y: Any, d: Any) -> Any:
    """log(erfc x - erfc y) from d = y - x; NaN where y < x.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_erfc_between(jnp.float32(-9.0), jnp.float32(-8.0), jnp.float32(1.0)):.5g}")  # erfc 8 - erfc 9
        -66.659
    """
    a, _, _, _, rest = _pair(x, y, d)
    return log_erfc(a) + jnp.log(rest)


@log_erfc_between.defjvp
def _log_erfc_between_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, mirrored, p, rest = _pair(*primals)
    in_a, in_b = -_density(a) / rest, _density(b) * p / rest
    in_x, in_y = jnp.where(mirrored, -in_b, in_a), jnp.where(mirrored, -in_a, in_b)
    return log_erfc_between(*primals), in_x * tangents[0] + in_y * tangents[1]


LOG_ERFC_BETWEEN = Operation("log_erfc_between", log_erfc_between, whole=True)
