"""Several arguments of a function as one: what `jax.grad(f, argnums=(0, 2))` differentiates in.

::

    f(w, x, b)   with argnums (0, 2)   is   g((w, b), x)

A derivative in several arguments is the derivative in the tuple of them. `Arguments` is that tuple as a pytree whose
paths are the arguments' own names, so that what is said of a parameter is said of ``w['W']`` and of ``b``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True)
class ArgumentKey:
    """The first key of a path into `Arguments`: an argument by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@jax.tree_util.register_pytree_with_keys_class
@dataclass(frozen=True, eq=False)
class Arguments:
    """Values of several arguments, with the names of the arguments."""

    names: tuple[str, ...]
    values: tuple[Any, ...]

    def tree_flatten_with_keys(self) -> tuple[list[tuple[ArgumentKey, Any]], tuple[str, ...]]:
        """The values, each with its name as its key."""
        return [(ArgumentKey(name), value) for name, value in zip(self.names, self.values, strict=True)], self.names

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], values: Any) -> Arguments:
        """From names and values."""
        return cls(names, tuple(values))


def together(
    fun: Callable[..., Any], argnums: Sequence[int], names: Sequence[str], args: Sequence[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function of `Arguments` and the other arguments, and what to call it with.

    Args:
        fun: the function.
        argnums: which arguments become one, none of them negative.
        names: the names of the arguments.
        args: the arguments, all of them.

    Returns:
        (packed, arguments) with ``packed(*arguments) == fun(*args)``.

    Example:
        >>> packed, (moving, x) = together(lambda w, x, b: w * x + b, (0, 2), ("w", "x", "b"), (2.0, 3.0, 1.0))
        >>> packed(moving, x), moving.names, moving.values
        (7.0, ('w', 'b'), (2.0, 1.0))
    """
    moving = tuple(argnums)
    still = [i for i in range(len(args)) if i not in moving]

    @functools.wraps(fun)
    def packed(moved: Arguments, *others: Any, **kwargs: Any) -> Any:
        full = dict(zip(moving, moved.values, strict=True)) | dict(zip(still, others, strict=True))
        return fun(*(full[i] for i in range(len(full))), **kwargs)

    call_arguments(packed, ["_and_".join(names[i] for i in moving), *(names[i] for i in still)])
    found = Arguments(tuple(names[i] for i in moving), tuple(args[i] for i in moving))
    return packed, (found, *(args[i] for i in still))


def call_arguments(fun: Callable[..., Any], names: Sequence[str]) -> None:
    """Let a wrapper that takes its arguments in another order than what it wraps call them by these names."""
    plain = [name if name.isidentifier() else f"argument_{i}" for i, name in enumerate(names)]
    if len(set(plain)) == len(plain):
        kind = inspect.Parameter.POSITIONAL_ONLY
        fun.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in plain])  # type: ignore[attr-defined]
