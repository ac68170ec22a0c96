"""flax nnx: a loss of a model object as a loss of the model's parameters.

An nnx model is a mutable object; ``nnx.value_and_grad(loss)(model, batch)`` differentiates in its `nnx.Param` leaves
and keeps the rest (batch statistics, random keys) aside. `pure_loss` does the same split in the open.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any


def nnx_if_imported() -> Any:
    """The module `flax.nnx` if the program uses it, else None; it is never imported from here."""
    return sys.modules.get("flax.nnx")


def pure_loss(loss: Callable[..., Any], model: Any) -> tuple[Callable[..., Any], Any]:
    """The loss as a function of the model's parameters, and the parameters.

    Args:
        loss: ``loss(model, *args)``.
        model: an nnx module with concrete arrays.

    Returns:
        (fun, parameters) with ``fun(parameters, *args) == loss(model, *args)``.
    """
    import jax
    from flax import nnx

    definition, parameters, rest = nnx.split(model, nnx.Param, ...)
    # the variables in it are the model's own, which the next update changes in place: keep copies
    parameters, rest = jax.tree.map(lambda leaf: leaf, (parameters, rest))

    @functools.wraps(loss)
    def fun(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        return loss(nnx.merge(definition, parameters, rest, copy=True), *args, **kwargs)

    return fun, parameters
