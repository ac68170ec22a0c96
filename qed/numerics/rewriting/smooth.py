"""Elementary functions with derivatives that do not cancel.

JAX differentiates by the computed result: sigmoid' = s (1 - s), tanh' = 1 - t^2, expm1' = e + 1. Where s is near 1, t
near +-1 or e near -1 these lose all digits of the derivative. A rewriting that puts sigmoid(-x) in the place of
1 - sigmoid(x) must not pay with the derivative what it gains in the value::

    sigmoid' x = sigmoid(x) sigmoid(-x)     tanh' x = 4 sigmoid(2x) sigmoid(-2x)     expm1' x = exp x
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation

Function = Callable[..., Any]


def smooth(function: Function, slope: Function) -> Function:
    """A function with its derivative, written so that the derivative cannot cancel either."""

    def named(x: Any) -> Any:
        return function(x)

    named.__name__ = getattr(function, "__name__", "smooth")
    found = jax.custom_jvp(named)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        return found(primals[0]), slope(primals[0]) * tangents[0]

    return found


def logistic(x: Any) -> Any:
    """1/(1 + exp(-x)), whose exponential overflows in float16 where the value has not vanished.

    Example:
        >>> x = jnp.float16(-12)
        >>> print(logistic(x), jax.nn.sigmoid(jnp.float32(x)).astype(x.dtype))
        6.14e-06 6.14e-06
    """
    found = jax.nn.sigmoid(x)
    return jnp.where(x < -10, jnp.exp(x), found) if found.dtype == jnp.float16 else found


def _sinh_value(x: Any) -> Any:
    t = jnp.expm1(x)
    return jnp.where(jnp.abs(x) < 1, 0.5 * (t + t / (t + 1)), 0.5 * jnp.exp(x) - 0.5 * jnp.exp(-x))


expm1 = smooth(jnp.expm1, jnp.exp)
sigmoid = smooth(logistic, lambda x: sigmoid(x) * sigmoid(-x))
hyperbolic_sine = smooth(_sinh_value, lambda x: 0.5 * (jnp.exp(x) + jnp.exp(-x)))
hyperbolic_tangent = smooth(jnp.tanh, lambda x: sech2(x))
sech2 = smooth(lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x), lambda x: -2 * jnp.tanh(x) * sech2(x))

EXPM1 = Operation("expm1", expm1)
LOGISTIC = Operation("logistic", sigmoid)
SINH = Operation("sinh", hyperbolic_sine)
TANH = Operation("tanh", hyperbolic_tangent)
SECH2 = Operation("sech2", sech2, whole=True)
