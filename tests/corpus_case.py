"""One function of the corpus: its name, the function, its arguments; and what they are made of.

Every function returns a scalar: a library function is followed by a fixed linear functional of its outputs. Shapes
are small, points lie away from ties and ends of domains; what happens there is tested by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

X = np.array([[-1.7, 0.3, 1.1], [0.9, -0.4, 2.3]], np.float32)
Y = np.array([[0.2, 1.3, -0.7], [-1.1, 0.6, 0.8]], np.float32)
POSITIVE = np.array([0.3, 1.7, 2.6], np.float32)
UNIT = np.array([0.2, 0.55, 0.9], np.float32)
P = np.array([[0.2, 0.5, 0.3], [0.1, 0.3, 0.6]], np.float32)
Q = np.array([[0.3, 0.3, 0.4], [0.2, 0.7, 0.1]], np.float32)
SIGNS = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]], np.float32)
HOT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], np.float32)
LABELS = np.array([1, 0])
SQUARE = np.array([[2.0, -0.3, 0.5], [0.4, 1.5, -0.2], [-0.6, 0.1, 1.2]], np.float32)
SYMMETRIC = np.array([[3.0, 0.4, -0.2], [0.4, 2.0, 0.3], [-0.2, 0.3, 1.1]], np.float32)
V = np.array([0.4, -1.2, 0.7, 1.5], np.float32)
RECTANGLE = np.array([[1.3, -0.4], [0.2, 0.9], [0.7, 0.5]], np.float32)


@dataclass(frozen=True)
class Case:
    """One function and how to make its arguments.

    Args:
        name: ``group.function``.
        fun: scalar function of its arguments; derivatives are in the first.
        make: the arguments, new at every call.
        derivative: False where JAX itself has no reverse mode for it.
        slow: left to the slow part.
        same_x64: False where the float64 run is not comparable (dtypes fixed inside).
        eager: False where JAX cannot evaluate it without jit, or evaluates another program then.
    """

    name: str
    fun: Callable[..., Any]
    make: Callable[[], tuple[Any, ...]]
    derivative: bool = True
    slow: bool = False
    same_x64: bool = True
    eager: bool = True

    @property
    def group(self) -> str:
        """What stands before the first dot."""
        return self.name.split(".")[0]


def functional(tree: Any) -> jax.Array:
    """A fixed linear functional of all floating outputs: sum of cos(k) times the k-th number."""
    total = jnp.zeros(())
    for leaf in jax.tree.leaves(tree):
        leaf = jnp.asarray(leaf)
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        weights = np.cos(1.0 + np.arange(leaf.size)).reshape(leaf.shape)
        if jnp.iscomplexobj(leaf):
            leaf = jnp.real(leaf) + 0.5 * jnp.imag(leaf)
        total = total + jnp.sum(leaf * weights.astype(leaf.dtype)).astype(total.dtype)
    return total


def scalar(fun: Callable[..., Any], **keywords: Any) -> Callable[..., Any]:
    """The function followed by `functional`."""

    def reduced(*args: Any) -> Any:
        return functional(fun(*args, **keywords))

    reduced.__name__ = getattr(fun, "__name__", "fun")
    return reduced


TABLE: dict[str, Case] = {}
"""The programs written by hand, by their function's name."""


def program(*arguments: Any, **flags: Any) -> Any:
    """Put the decorated function into the table under its own name."""

    def keep(fun: Any) -> Any:
        def make() -> tuple[Any, ...]:
            return tuple(jax.tree.map(jnp.asarray, a) for a in arguments)

        TABLE[fun.__name__] = Case(f"program.{fun.__name__}", fun, make, **flags)
        return fun

    return keep
