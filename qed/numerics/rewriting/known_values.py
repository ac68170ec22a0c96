"""The value of a node where the values of what it reads are known.

To compile a program for every step costs more than the steps. What cannot differ is therefore computed by NumPy
(`qed.domains.exact`), as the constant masks of attention are, and the rest by JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from qed.domains.exact import arrays, kept, on_host
from qed.graph.build import Builder, Node, reachable
from qed.graph.nodes import Bound, extended
from qed.numerics.rewriting import stable

_MOVED: Mapping[Callable[..., Any], Callable[..., np.ndarray]] = {
    stable.FILL.evaluate: lambda x, to: np.broadcast_to(x, to),
    stable.KEPT.evaluate: lambda x, to: np.reshape(x, to),
    stable.SPREAD.evaluate: lambda x, order, to: np.transpose(x, order).reshape(to),
}
"""Emitted operations that only move elements."""


def value_of(builder: Builder, node: Node) -> np.ndarray:
    """A node's value, all inputs being 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> builder, graph = Builder(), trace(lambda x: x + jnp.tril(jnp.ones((2, 2))), jnp.zeros((2, 2))).graph
        >>> value_of(builder, builder.inline(graph, builder.inputs(graph))[0]).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    known: dict[int, np.ndarray] = {}
    for each in reachable([node]):
        found = _zeros(each) if each.operation == "input" else _constant(each)
        if found is None and each.operation != "constant" and all(child.number in known for child in each.children):
            found = moved(each, [known[child.number] for child in each.children])
        if found is None:
            return _by_jax(builder, node)
        known[each.number] = found
    return known[node.number]


def moved(node: Node, values: Sequence[np.ndarray]) -> np.ndarray | None:
    """The value of a node whose children have these, by NumPy; None where that may differ from JAX's."""
    equation = node.equation
    if equation is None:
        inner = node.evaluate
        how = _MOVED.get(inner.evaluate) if isinstance(inner, Bound) else None
        return None if how is None else how(*values, **node.params)
    if equation.native is None or len(equation.outputs) != 1 or node.params is not equation.params:
        return None
    found = arrays(equation, values)
    return None if found is None else found[0]


def _zeros(node: Node) -> np.ndarray | None:
    return None if extended(node.dtype) else on_host(np.zeros(node.shape, node.dtype))


def _constant(node: Node) -> np.ndarray | None:
    if node.operation != "constant" or extended(node.dtype):
        return None
    found = on_host(node.value)
    return found if found is not None and kept(found) else None


def _by_jax(builder: Builder, node: Node) -> np.ndarray:
    inputs = [each for each in reachable([node]) if each.operation == "input"]
    with jax.ensure_compile_time_eval():
        zeros = [jax.numpy.zeros(each.shape, each.dtype) for each in inputs]
        return np.asarray(builder.function([node], inputs, effects=False)(*zeros)[0])


__all__ = ["moved", "value_of"]
