"""The derivative of a flat function as a graph: reverse, inputs -> (outputs, gradient of the first); or forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.collector import at_rest
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Graph
from qed.graph.jaxpr import Reader

Flat = Callable[..., Sequence[Any]]


@at_rest()
def reverse_graph(function: Flat, graph: Graph, moving: Sequence[int]) -> Graph | None:
    """The graph inputs -> (outputs, gradient of the first output); None where there is no reverse mode.

    Args:
        function: a function of the inputs of a graph.
        graph: that graph.
        moving: positions of the inputs that it is differentiated in.
    """

    def both(*inputs: Any) -> list[Any]:
        value, pull, *_ = jax.vjp(of_moving(function, moving, inputs), *(inputs[i] for i in moving))
        seeds = [jnp.ones(v.shape, v.dtype) if i == 0 else no_tangent(v.shape) for i, v in enumerate(value)]
        return [*value, *pull(tuple(seeds))]

    try:
        jaxpr = jax.make_jaxpr(both)(*_avals(graph))
    except (ValueError, NotImplementedError, TypeError):  # no reverse mode: a while loop, a callback
        return None
    return Reader().graph(jaxpr, names=_named(graph))


@at_rest()
def forward_graph(function: Flat, graph: Graph, moving: Sequence[int]) -> Graph:
    """The graph (inputs, tangents) -> (outputs, tangents of the outputs); arguments as for `reverse_graph`."""
    count = len(graph.inputs)

    def both(*inputs: Any) -> list[Any]:
        primals, tangents = inputs[:count], inputs[count:]
        outs, slopes = jax.jvp(of_moving(function, moving, primals), [primals[i] for i in moving], list(tangents))
        return [*outs, *(slope for out, slope in zip(outs, slopes, strict=True) if is_inexact(out.dtype))]

    avals = _avals(graph)
    return Reader().graph(jax.make_jaxpr(both)(*avals, *(avals[i] for i in moving)), names=_named(graph))


def of_moving(function: Flat, moving: Sequence[int], primals: Sequence[Any]) -> Callable[..., tuple[Any, ...]]:
    """A function of the inputs at some positions, the others as they are."""

    def chosen(*values: Any) -> tuple[Any, ...]:
        full = list(primals)
        for position, value in zip(moving, values, strict=True):
            full[position] = value
        return tuple(function(*full))

    return chosen


def no_tangent(shape: tuple[int, ...]) -> Any:
    """The tangent of an array of integers."""
    return np.zeros(shape, jax.dtypes.float0)


def _avals(graph: Graph) -> list[jax.ShapeDtypeStruct]:
    return [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in graph.inputs]


def _named(graph: Graph) -> list[str]:
    return [variable.name or "" for variable in graph.inputs]


__all__ = ["forward_graph", "no_tangent", "of_moving", "reverse_graph"]
