"""1 + cos x, 1 - sin x and 1 + sin x near their zeros, for an x that is not exact; and pi/2 - atan x far out.

::

    1 + cos x = 2 sin(b/2)^2,   b = x - pi           1 - sin x = 2 sin(b/2)^2,   b = x - pi/2

The zero is at no number of the format, so that x has to come with more digits than it has: b = c (v - (pi - d)/c) for
x = c v + d with an exact v, as in the half cosine (1 + cos(pi t))/2 of schedules and windows near t = 1. Beyond
`NEAR` the sum stays as it is, as does its derivative: there it is cos(b/2) that is small.

The quarter turn that atan x falls short of, pi/2 - atan x = atan2(1, x), is the tail of Cauchy's distribution; a number
that is pi/2 but for its rounding stays that number.

Reference: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, for the example.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation

NEAR = 1.0

_FAR = {"cos": (jnp.cos, lambda x: -jnp.sin(x)), "sin": (jnp.sin, jnp.cos)}


def _turned(x: Any, b: Any, f: str, sign: float) -> Any:
    """1 + sign f(x), b being the distance to its zero.

    Example:
        >>> import jax.numpy as jnp
        >>> t = jnp.float32(0.9999)
        >>> print(f"{_turned(jnp.pi * t, jnp.pi * (t - 1), 'cos', 1.0):.2g}")
        4.9e-08
    """
    function, slope = _FAR[f]

    def value_of(x: Any, b: Any) -> Any:
        half = jnp.sin(0.5 * b)
        return jnp.where(jnp.abs(b) < NEAR, 2 * half * half, 1 + sign * function(x)).astype(x.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (x, b), (along_x, along_b) = primals, tangents
        near = jnp.abs(b) < NEAR
        at_b, at_x = jnp.where(near, jnp.sin(b), 0), jnp.where(near, 0, sign * slope(x))
        return found(x, b), at_b.astype(x.dtype) * along_b + at_x.astype(x.dtype) * along_x

    return found(x, b)


def _beside_quarter(x: Any, left: float) -> Any:
    """(pi/2 - left) - atan x."""
    value_of = jax.custom_jvp(lambda x: (jnp.arctan2(jnp.ones_like(x), x) - left).astype(x.dtype))
    value_of.defjvp(lambda p, t: (value_of(p[0]), -t[0] / (1 + p[0] * p[0])))
    return value_of(x)


BESIDE_QUARTER = Operation("beside_quarter_turn", _beside_quarter, whole=True)
TURNED = Operation("one_plus_turn", _turned, whole=True)
