r"""The logarithm of a softplus: of a rate or a scale that is kept positive by log(1 + exp x).

::

    log softplus(x) = x + log(log1p(y)/y),   y = exp x        far below 0, where y and log1p(y) vanish
                    = log1p(log1p(c expm1(x - a)))            near a = log(e - 1), where softplus is 1;   c = 1 - 1/e
    d log softplus(x) / dx = sigmoid(x)/softplus(x) = y/log1p(y) / (1 + y)

log1p(y)/y lies in (0, 1] for y > 0 and tends to 1 with y, where log1p(y) itself becomes 0 and its logarithm -inf.

Reference: Kahan, *How futile are mindless assessments of roundoff in floating-point computation?*, 2006, for log1p.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

LOG_SOFTPLUS_LAW = Law("log(log(1 + exp(a))) = log softplus(a)", "always")

_ONE_AT = 0.5413248546129181  # log(e - 1)
_ONE_AT_REST = -1.8138570925507326e-17
_SLOPE = 0.6321205588285577  # 1 - 1/e


def _share(x: Any) -> Any:
    """log1p(y)/y for y = exp x, 1 where y vanishes."""
    y = jnp.exp(x)
    usable = y > jnp.finfo(y.dtype).tiny
    safe = jnp.where(usable, y, 1)
    return jnp.where(usable, logspace.log1p(safe) / safe, 1).astype(y.dtype)


@jax.custom_jvp
def log_softplus(x: Any) -> Any:
    """log(log(1 + exp(x))).

    Example:
        >>> import jax.numpy as jnp
        >>> print(log_softplus(jnp.float32(-200.0)), log_softplus(jnp.float32(100.0)))
        -200.0 4.6051702
    """
    dtype = jnp.result_type(x)
    high = jnp.asarray(_ONE_AT, dtype)
    low = jnp.asarray((_ONE_AT - float(dtype.type(_ONE_AT))) + _ONE_AT_REST, dtype)
    near = jnp.abs(x - high) < 0.5
    gap = jnp.where(near, jax.lax.optimization_barrier(x - high) - low, 0).astype(dtype)
    beside_one = logspace.log1p(logspace.log1p(_SLOPE * jnp.expm1(gap)))
    below = jnp.minimum(x, 0)
    far_below = below + jnp.log(_share(below))
    above = jnp.log(jax.nn.softplus(jnp.maximum(x, 0)))
    return jnp.where(near, beside_one, jnp.where(x < 0, far_below, above)).astype(dtype)


@log_softplus.defjvp
def _log_softplus_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,) = primals
    below, above = jnp.minimum(x, 0), jnp.maximum(x, 0)
    slope = jnp.where(x < 0, jax.nn.sigmoid(-below) / _share(below), jax.nn.sigmoid(above) / jax.nn.softplus(above))
    return log_softplus(x), slope.astype(jnp.result_type(x)) * tangents[0]


LOG_SOFTPLUS = Operation("log_softplus", log_softplus, whole=True)


def softplus_of(log: Logarithm, node: Node) -> Node | None:
    """u, where a node is log(1 + exp(u)), as a library's, as what was emitted, or as it is written."""
    while node.operation == "neg" and node.children[0].operation == "neg":
        node = node.children[0].children[0]
    call = node.equation.call if node.equation is not None else None
    if node.operation == "softplus":
        return node.children[0]
    if node.operation == "logaddexp" or getattr(call, "name", "") == "logaddexp":
        for u, zero in (node.children, node.children[::-1]):
            if constant_of(zero) == 0 and u.shape == node.shape:
                return u
        return None
    if node.operation != "log1p" or node.equation is None:
        return None
    (v,) = node.children
    form = log.gained(v)
    if form is None or form.fragile or log.sign(v) == Sign.UNKNOWN:
        return None
    return log.algebra.filled(log.whole(form, v), node.shape)


__all__ = ["LOG_SOFTPLUS", "LOG_SOFTPLUS_LAW", "log_softplus", "softplus_of"]
