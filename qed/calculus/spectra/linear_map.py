"""What a linear map is: the arrays that belong to its point, and the graph of what it does to a vector."""

from __future__ import annotations

from typing import Any

import jax
from jax.core import Tracer

from qed.graph.graph import Graph
from qed.graph.splice import splice
from qed.graph.trace import trace


def opened(tangent: Any, like: Any) -> tuple[list[Any], Graph] | None:
    """The known arrays and the graph, which has these first among its inputs; None where it holds traced arrays.

    Args:
        tangent: a linear map as `jax.linearize` gives it.
        like: what it is applied to, a tuple of arrays.

    >>> import jax.numpy as jnp
    >>> x = (jnp.ones(3),)
    >>> known, graph = opened(jax.linearize(lambda p: jnp.sin(p[0]), x)[1], x)
    >>> len(known), len(graph.inputs)
    (1, 2)
    """
    known, structure = jax.tree.flatten(tangent)
    count = len(known)
    apply = lambda *given: jax.tree.unflatten(structure, given[:count])(given[count:])  # noqa: E731
    graph = splice(trace(apply, *known, *like).graph)
    return None if any(isinstance(array, Tracer) for _, array in graph.constants) else (known, graph)
