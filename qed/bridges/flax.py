"""flax nnx: a loss of a model object as a loss of the model's parameters.

An nnx model is a mutable object; ``nnx.value_and_grad(loss)(model, batch)`` differentiates in its `nnx.Param` leaves
and keeps the rest (batch statistics, random keys) aside. `pure_loss` does the same split in the open.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any


def nnx_if_imported() -> Any:
    """The module `flax.nnx` if the program uses it, else None; it is never imported from here."""
    return sys.modules.get("flax.nnx")


def pure_loss(
    loss: Callable[..., Any], argnums: Any, args: Sequence[Any]
) -> tuple[Callable[..., Any], Any, tuple[Any, ...]]:
    """The loss as a function of the parameters of the models that it is differentiated in.

    Args:
        loss: ``loss(*args)``.
        argnums: as `nnx.grad` takes them: positions, or `nnx.DiffState` with a filter, or a tuple of such.
        args: its arguments; models have concrete arrays.

    Returns:
        (fun, argnums, arguments) with ``fun(*arguments) == loss(*args)``, plain positions, and each model that is
        differentiated in replaced by its parameters.
    """
    import jax
    from flax import nnx

    def kept(tree: Any) -> Any:
        """Copies: the variables in it are the model's own, which the next update changes in place."""
        return jax.tree.map(lambda leaf: leaf, tree)

    several = isinstance(argnums, Sequence)
    wanted = [
        (n.argnum, n.filter) if hasattr(n, "argnum") else (n, nnx.Param) for n in (argnums if several else (argnums,))
    ]
    arguments, parts = list(args), {}
    for n, chosen in wanted:
        position = n + len(args) if n < 0 else n
        if 0 <= position < len(args) and isinstance(args[position], nnx.Module):
            definition, parameters, rest = nnx.split(args[position], chosen, ...)
            arguments[position], parts[position] = kept(parameters), (definition, kept(rest))

    @functools.wraps(loss)
    def fun(*given: Any, **kwargs: Any) -> Any:
        whole = list(given)
        for position, (definition, rest) in parts.items():
            whole[position] = nnx.merge(definition, given[position], rest, copy=True)
        return loss(*whole, **kwargs)

    positions = tuple(n for n, _ in wanted)
    return fun, positions if several else positions[0], tuple(arguments)
