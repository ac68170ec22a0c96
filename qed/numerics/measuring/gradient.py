"""The gradient of a function as a graph of its own, with the user's lines.

JAX's reverse mode is traced once, of the user's own function: each of its equations keeps the line that it belongs to,
so that a digit lost on the way back is found where it is lost. What this graph means in real numbers is the gradient
that JAX returns, the rules of custom derivatives included; the truth is the derivative of the function itself, and
where the two differ the difference is no rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.graph import Graph
from qed.graph.trace import Traced, trace


def gradient_graph(
    fun: Callable[..., Any], traced: Traced, output: int, index: tuple[int, ...]
) -> tuple[Graph, list[Any]]:
    """The graph of the gradient of one element of a function's value, and its inputs.

    Args:
        fun: the function.
        traced: its trace at the point.
        output: which of its outputs.
        index: which element of it.

    Raises:
        whatever JAX raises where it has no reverse derivative.

    Example:
        >>> from qed.graph.trace import trace
        >>> fun = lambda x: jnp.sin(x) * x
        >>> graph, inputs = gradient_graph(fun, trace(fun, jnp.float32(1.0)), 0, ())
        >>> [equation.primitive for equation in graph.equations][:2], [atom.shape for atom in graph.outputs]
        (['sin', 'cos'], [()])
    """
    free = set(traced.free)
    rest = [leaf for i, leaf in enumerate(traced.leaves) if i not in free]

    def value(parameters: Sequence[Any], data: Sequence[Any]) -> Any:
        first, second = iter(parameters), iter(data)
        full = [next(first) if i in free else next(second) for i in range(len(traced.leaves))]
        arguments, keywords = traced.rebuild(full)
        found = jax.tree.leaves(fun(*arguments, **keywords))[output]
        return jnp.asarray(found)[index]

    parameters = [jnp.asarray(leaf) for leaf in traced.parameters]
    derived = trace(jax.grad(value), parameters, [x if hasattr(x, "dtype") else np.asarray(x) for x in rest])
    return derived.graph, list(derived.leaves)
