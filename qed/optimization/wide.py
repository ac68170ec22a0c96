"""A loss in float64, whatever the dtype of its parameters: value, gradient and Hessian of the same graph.

Rates of convergence are seen over many powers of ten, more than float32 has digits, and the Hessian decides them. The
graph is the user's, traced once; only the arithmetic is wider. The derivative rules of JAX's own library stay: they are
right where the bodies of its functions have ties (softplus at 0). A rule of the user's does not.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import numpy as np

from qed.calculus.gradient.kept import Kept
from qed.calculus.hessian import flatten, unflatten
from qed.domains.widened import Widened
from qed.graph.function import Function

Array = np.ndarray


class Wide:
    """A function that was read, to be evaluated at float64 vectors."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._kept = Kept(function.graph)
        self._like = tuple(np.zeros(np.shape(p)) for p in function.parameters)

    def _value(self, arrays: Any) -> Any:
        return Widened(self._kept)(self.function.graph, self.function.join(arrays))[0]

    @cached_property
    def _compiled(self) -> Any:
        return jax.jit(jax.value_and_grad(self._value))

    @cached_property
    def _product(self) -> Any:
        return jax.jit(lambda p, v: jax.jvp(jax.grad(self._value), (p,), (v,))[1])

    @property
    def start(self) -> Array:
        """The point at which the function was read."""
        return np.concatenate([np.ravel(np.asarray(p).astype(np.float64)) for p in self.function.parameters])

    def at(self, x: Array) -> tuple[float, Array]:
        """Value and gradient."""
        with jax.enable_x64(True):
            f, g = self._compiled(unflatten(x, self._like))
            return float(f), flatten(g)

    def hessian(self, x: Array) -> Array:
        """The matrix of second derivatives, a column a product."""
        with jax.enable_x64(True):
            at = unflatten(x, self._like)
            rows = [flatten(self._product(at, unflatten(e, self._like))) for e in np.eye(len(x))]
        matrix = np.array(rows).reshape(len(x), len(x))
        return (matrix + matrix.T) / 2
