"""Hessian-vector products: curvature along a direction without forming the Hessian.

The Hessian H of a loss with n parameters has n^2 entries; a product H v costs about as much as two gradients
(Pearlmutter, *Fast exact multiplication by the Hessian*, 1994). It is the derivative of the gradient along v,

    H v = d/dt grad f(w + t v) at t = 0,

computed forward over reverse: `jax.jvp` of `jax.grad`, compiled once. Where a function in the loss has a reverse rule
only (`jax.custom_vjp`, called in its own forward rule), it is the gradient of grad f . v, reverse over reverse; where
a loop does not know its length, and there are few parameters, it is forward over forward.

Compiling takes longer than in proportion to the number of equations. Where there are many, the derivative of the
gradient is *linearized* at the point instead: a list of linear equations, applied to each direction one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import OFTEN, quickly
from qed.calculus.gradient.either import is_small

MANY = 500
"""From so many equations on (of the loss, calls entered) a Hessian product is not compiled as a whole."""


def hessian_product(
    loss: Callable[..., Any], *, equations: int = 0, operations: float = math.inf, calls: int = OFTEN
) -> Callable[..., Any]:
    """A ``(parameters, data, direction) -> H direction`` for ``loss(parameters, data)``, compiled unless it is long.

    Parameters and direction are tuples of arrays of the same shapes and dtypes. `equations` is how many the loss has,
    where that is known; with `operations`, those of value and gradient, it is called from outside of every trace,
    `calls` times or so.

    Raises:
        NotImplementedError: when called, where the gradient can be differentiated in neither way.
    """
    fast = partial(quickly, equations=0, operations=2 * operations, calls=calls)

    @fast
    def forward(parameters: Any, data: Any, direction: Any) -> Any:
        return jax.jvp(lambda p: jax.grad(loss)(p, data), (parameters,), (direction,))[1]

    @fast
    def reverse(parameters: Any, data: Any, direction: Any) -> Any:
        def along(p: Any) -> Any:
            slopes = jax.grad(loss)(p, data)
            return sum(jnp.vdot(g, d) for g, d in zip(slopes, direction, strict=True))

        return jax.grad(along)(parameters)

    @fast
    def twice(parameters: Any, data: Any, direction: Any) -> Any:
        if not is_small(parameters):
            raise NotImplementedError
        return jax.jacfwd(lambda p: jax.jvp(lambda q: loss(q, data), (p,), (direction,))[1])(parameters)

    ways = [linearized(loss) if equations > MANY else forward, reverse, twice]

    def product(parameters: Any, data: Any, direction: Any) -> Any:
        while ways:
            try:
                return ways[0](parameters, data, direction)
            except (TypeError, ValueError, NotImplementedError):  # what JAX raises where a rule is missing
                del ways[0]
        raise NotImplementedError("the gradient has no derivative")  # noqa: EM101

    return product


def linearized(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The same product, not compiled as a whole; the linear equations of the point asked last are kept.

    Example:
        >>> product = linearized(lambda p, d: jnp.sum(d[0] * p[0] ** 3))
        >>> [v.tolist() for v in product((jnp.array([1.0, 2.0]),), (jnp.ones(2),), (jnp.ones(2),))]
        [[6.0, 12.0]]
    """
    known: list[Any] = [None, None, None]

    def product(parameters: Any, data: Any, direction: Any) -> Any:
        point = [id(array) for array in (*parameters, *data)]
        if known[0] != point:
            _, tangent = jax.linearize(lambda p: jax.grad(loss)(p, data), parameters)
            known[:] = [point, tangent, (parameters, data)]  # the arrays live as long as their ids are compared
        return known[1](direction)

    return product


def flatten(arrays: Sequence[Any], dtype: type = np.float64) -> np.ndarray:
    """Arrays as one vector on the host, of float64 unless said otherwise."""
    found = np.empty(sum(math.prod(np.shape(a)) for a in arrays), dtype)
    start = 0
    for array in arrays:
        part = np.asarray(array).ravel()
        np.copyto(found[start : start + part.size], part, casting="unsafe")
        start += part.size
    return found


def cut(vector: np.ndarray, like: Sequence[Any], copy: bool = True) -> tuple[np.ndarray, ...]:
    """A vector cut into arrays of NumPy of the given shapes and dtypes; without `copy` they may be parts of it."""
    parts, start = [], 0
    for array in like:
        size = math.prod(array.shape)
        part = vector[start : start + size].reshape(array.shape)
        with np.errstate(over="ignore"):  # what a smaller dtype does not hold is infinite there
            parts.append(part.astype(array.dtype, copy=copy))
        start += size
    return tuple(parts)


def shaped(vector: np.ndarray, like: Sequence[Any]) -> list[np.ndarray]:
    """A vector cut into arrays of the given shapes, of its own dtype: ends of a box, say.

    Example:
        >>> [part.tolist() for part in shaped(np.arange(3.0), (np.zeros(()), np.zeros((2, 1))))]
        [0.0, [[1.0], [2.0]]]
    """
    ends = np.cumsum([math.prod(np.shape(array)) for array in like])
    return [part.reshape(np.shape(a)) for part, a in zip(np.split(vector, ends[:-1]), like, strict=True)]


def unflatten(vector: np.ndarray, like: Sequence[Any]) -> tuple[Any, ...]:
    """The same as arrays of JAX."""
    return tuple(jnp.asarray(part) for part in cut(vector, like))
