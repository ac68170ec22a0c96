"""`qed.surrogate`: a derivative that is meant not to be the derivative of its function.

A straight-through estimator passes the gradient of a rounding through unchanged (Bengio, Léonard and Courville 2013),
a clipped backward pass bounds it, a target network stops it. Such gradients are wrong on purpose, and a check should
say so without calling them a fault. The mark is a call with a telling name around the function, so that it stays
visible in the graph under jit, vmap, scan, grad and remat.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, final

import jax

from qed.errors import QedError
from qed.graph.trace import is_array

_MARK = "qed_surrogate_"


def is_marked(name: str) -> bool:
    """Whether a call of this name was made by `surrogate`."""
    return _MARK in name


@final
class Surrogate:
    """A function that was marked; it is called like the function, and has its attributes."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        self._rule = rule
        functools.update_wrapper(self, rule, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function, inside a call that carries the mark."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays = [leaf for leaf in leaves if is_array(leaf)]

        def marked(*values: Any) -> Any:
            given = iter(values)
            full = [next(given) if is_array(leaf) else leaf for leaf in leaves]
            positional, named = jax.tree.unflatten(tree, full)
            return self._rule(*positional, **named)

        marked.__name__ = marked.__qualname__ = _MARK + getattr(self._rule, "__name__", "function")
        return jax.jit(marked)(*arrays)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_rule"), name)


def surrogate(rule: Callable[..., Any]) -> Surrogate:
    """Mark a function whose derivative is meant to differ from that of its value.

    Args:
        rule: a function made with `jax.custom_jvp` or `jax.custom_vjp`, or a function that uses `stop_gradient` so.
            As a decorator it stands above theirs; ``defjvp`` and ``defvjp`` are called on the result as before.

    Returns:
        The same function: same values, same derivative. `qed.check_gradient` reports it as a surrogate, never as a
        fault, and compares everything around it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> @surrogate
        ... def quantize(x):
        ...     return x + jax.lax.stop_gradient(jnp.round(x) - x)
        >>> float(quantize(1.2)), float(jax.grad(quantize)(1.2))
        (1.0, 1.0)
    """
    if not callable(rule):
        raise QedError("QED007", f"a {type(rule).__name__} is no function", "it cannot be marked", "mark a function")
    return Surrogate(rule)
