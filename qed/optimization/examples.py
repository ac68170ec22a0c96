"""A loss that is the mean over the examples of its data, and its gradients by single examples and by batches.

    f(w) = (1/n) sum_i f_i(w),      g_B(w) = the gradient of the mean over a batch B

The examples are the rows of the arrays of the arguments, which have their first axis in common: `fun(w, X, y)`. That f
is the mean of what it gives for single rows is not believed, it is tried: a loss that is a sum over the rows, or that
looks at several rows at once (batch normalisation, a contrast between rows), is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph.trace import is_array, is_float

Array = np.ndarray
AT_ONCE = 256
"""How many rows are looked at side by side."""
NEAR = 1e-4
"""Up to which relative difference the mean over single rows is that of the whole."""


class Examples:
    """The rows of the data of a call fun(x, *args).

    Args:
        fun: the loss.
        x: the tree of parameters; the floating-point leaves are differentiated.
        args: the data.

    Raises:
        QedError: QED007, where the arrays of args have no first axis in common.

    Example:
        >>> import jax.numpy as jnp
        >>> X = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> rows = Examples(lambda w, X: jnp.mean((X @ w) ** 2), jnp.ones(2), (X,))
        >>> rows.count, rows.is_mean(), rows.each((jnp.ones(2),)).tolist()
        (2, True, [[2.0, 0.0], [0.0, 8.0]])
        >>> Examples(lambda w, X: jnp.sum((X @ w) ** 2), jnp.ones(2), (X,)).is_mean()
        False
    """

    def __init__(self, fun: Callable[..., Any], x: Any, args: Sequence[Any]) -> None:
        counts = {int(np.shape(leaf)[0]) if np.ndim(leaf) else 0 for leaf in jax.tree.leaves(args) if is_array(leaf)}
        if len(counts) != 1 or 0 in counts:
            because = "rows are drawn from the arrays of args, which must have one first axis in common"
            instead = "pass the data as arguments: fun(x, X, y)"
            raise QedError("QED007", "batch= without rows", because, instead)
        self.count, self.fun, self.args = counts.pop(), fun, tuple(args)
        self._leaves, self._tree = jax.tree.flatten(x)
        self._free = [i for i, leaf in enumerate(self._leaves) if is_float(leaf)]

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The floating-point arrays of x."""
        return tuple(jnp.asarray(self._leaves[i]) for i in self._free)

    def loss(self, parameters: Sequence[Any], chosen: Any) -> Any:
        """The loss over some rows; traceable."""
        full = list(self._leaves)
        for i, part in zip(self._free, parameters, strict=True):
            full[i] = part
        picked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen] if is_array(leaf) else leaf, self.args)
        return self.fun(jax.tree.unflatten(self._tree, full), *picked)

    @cached_property
    def slope(self) -> Callable[..., Any]:
        """(parameters, rows) -> the gradient of the loss over these rows, compiled."""
        return jax.jit(jax.grad(self.loss))

    @cached_property
    def _each(self) -> Callable[..., Any]:
        def one(parameters: Any, row: Any) -> Any:
            value, slopes = jax.value_and_grad(self.loss)(parameters, row[None])
            return value, jnp.concatenate([jnp.ravel(part) for part in slopes])

        return jax.jit(lambda parameters, rows: jax.lax.map(lambda row: one(parameters, row), rows, batch_size=AT_ONCE))

    def each(self, parameters: Sequence[Any], rows: Any = None) -> Array:
        """(rows, n) gradients of single rows, in float64; of all rows where none are given."""
        chosen = jnp.arange(self.count) if rows is None else jnp.asarray(rows)
        return np.asarray(self._each(tuple(parameters), chosen)[1], np.float64)

    def is_mean(self) -> bool:
        """Whether the loss is the mean of what it is for single rows: values at x and beside it, gradient at x."""
        rng, rows = np.random.default_rng(0), jnp.arange(self.count)
        whole = jax.jit(jax.value_and_grad(lambda p: self.loss(p, rows)))
        for step in (0.0, 0.01):
            at = tuple(jnp.asarray(p + step * rng.standard_normal(p.shape), p.dtype) for p in self.parameters)
            try:
                values, slopes = (np.asarray(part, np.float64) for part in self._each(at, rows))
            except (TypeError, ValueError, IndexError):  # a loss that needs several rows
                return False
            f, g = whole(at)
            slope = np.concatenate([np.ravel(np.asarray(part, np.float64)) for part in g])
            size, length = float(np.mean(np.abs(values))), float(np.mean(np.linalg.norm(slopes, axis=1)))
            if not abs(float(f) - values.mean()) <= NEAR * max(size, 1e-30):
                return False
            if not float(np.linalg.norm(slope - slopes.mean(0))) <= NEAR * max(length, 1e-30):
                return False
        return True


def examples_of(fun: Callable[..., Any], x: Any, args: Sequence[Any], most: int) -> Examples | None:
    """The examples of a call whose loss is their mean; None where it is not, or has fewer than 2 or more than `most`.

    Example:
        >>> import jax.numpy as jnp
        >>> examples_of(lambda w: jnp.sum(w**2), jnp.ones(2), (), 1000) is None
        True
    """
    try:
        found = Examples(fun, x, args)
    except QedError:
        return None
    return found if 2 <= found.count <= most and found.is_mean() else None
