"""The one argument that a gradient is taken in; of several, as in `jax.grad(f, argnums=(0, 1))`, their tuple."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from qed.graph.arguments import together
from qed.graph.trace import parameter_names


def in_one(fun: Any, argnums: Any, args: Any) -> tuple[Any, int, Any] | None:
    """The function, the one argument that it is differentiated in, and its arguments: several argnums are one tuple.

    None where JAX refuses them.
    """
    several = isinstance(argnums, Sequence)
    moving = [n + len(args) if n < 0 else n for n in map(operator.index, argnums if several else (argnums,))]
    if len(set(moving)) < len(moving) or not moving or not set(moving) <= set(range(len(args))):
        return None
    if not several:
        return fun, moving[0], args
    packed, given = together(fun, moving, parameter_names(fun, len(args)), args)
    return packed, 0, given
