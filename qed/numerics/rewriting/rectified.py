"""Roots and powers of what is cut off at 0: max(x, 0)^p, whose derivative is 0 where x < 0.

JAX multiplies the infinite slope of the root at 0 by the slope 0 of the maximum and gets NaN. Here

    d max(x, 0)^p = p x^(p - 1) dx   where x > 0,   0   elsewhere,        0 < p < 1.

At x = 0 there is no derivative; it is taken to be 0, one of those that a convex function of it would have. (The double
where of `guards` does the same for what stands in a branch.)
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def rectified_power(x: Any, p: float) -> Any:
    """max(x, 0)^p.

    Example:
        >>> import jax
        >>> jax.vmap(jax.value_and_grad(lambda x: rectified_power(x, 0.5)))(jnp.array([4.0, -4.0, 0.0]))[1].tolist()
        [0.25, 0.0, 0.0]
    """
    cut = jnp.maximum(x, 0)
    return (jnp.sqrt(cut) if p == 0.5 else cut ** jnp.asarray(p, cut.dtype)).astype(x.dtype)


@rectified_power.defjvp
def _slope(p: float, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    inside = x > 0
    safe = jnp.where(inside, x, 1).astype(x.dtype)
    slope = 0.5 / jnp.sqrt(safe) if p == 0.5 else p * safe ** jnp.asarray(p - 1, x.dtype)
    return rectified_power(x, p), jnp.where(inside, slope * t, 0).astype(x.dtype)


RECTIFIED = Operation("rectified_power", lambda x, p: rectified_power(x, p), whole=True)
AT_THE_CUT = "the derivative of max(x, 0)^p at 0 is 0"


__all__ = ["AT_THE_CUT", "RECTIFIED", "rectified_power"]
