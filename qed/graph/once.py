"""Operations that JAX differentiates once, however often a graph applies them.

A model repeats its layers: one primitive with the same parameters and shapes occurs a hundred times, and JAX derives
the linear map of each of them anew. A function that is compiled on its own has a trace, a linearization and a transpose
that JAX keeps. So to differentiate a graph, each operation is called as such a function (`once`); the calls have a
name of their own, and what reads the derivative (`qed.graph.jaxpr.Reader`) writes in their place what they call, on
the line of the call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from qed.graph.jaxpr import ONCE
from qed.graph.nodes import Bound, Node, extended

KEPT = 1024
"""How many operations are kept."""
LARGEST = 16
"""The size of an array up to which it is part of a function."""

_AS_THEY_ARE = frozenset(["item", "add", "sub", "copy", "stop_gradient", "pow"])
"""What passes a tangent on as it is, which JAX does without an equation; and x**k, whose rule computes with k."""
_KNOWN: OrderedDict[Hashable, Callable[..., Any]] = OrderedDict()


def once(node: Node) -> Callable[..., Any]:
    """What evaluates a node from the values of its children, as a call that JAX knows again.

    Calls of other graphs, what has an effect and what is made for one place are evaluated as they are. Numbers among
    the children are part of the function, as JAX's rules look at them. The arguments are handed over last first:
    JAX sums what flows back to them in the order in which it does so without the call.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> builder, graph = Builder(), trace(lambda x: jnp.exp(jnp.exp(x)), 1.0).graph
        >>> (out,) = builder.inline(graph, builder.inputs(graph))
        >>> once(out) is once(out.children[0]), float(once(out)(0.0))
        (True, 1.0)
    """
    key = None if node.operation in _AS_THEY_ARE else key_of(node)
    if key is None:
        return node.evaluate
    found = _KNOWN.get(key)
    if found is not None:
        _KNOWN.move_to_end(key)
        return found
    made = _KNOWN[key] = _called(node)
    if len(_KNOWN) > KEPT:
        _KNOWN.popitem(last=False)
    return made


def _called(node: Node) -> Callable[..., Any]:
    evaluate = node.evaluate
    fixed = {i: child.value for i, child in enumerate(node.children) if is_number(child)}

    def operation(*values: Any) -> Any:
        given = iter(values[::-1])
        return evaluate(*(fixed[i] if i in fixed else next(given) for i in range(len(values) + len(fixed))))

    operation.__name__ = operation.__qualname__ = ONCE
    compiled = jax.jit(operation)
    return lambda *values: compiled(*(v for i, v in reversed([*enumerate(values)]) if i not in fixed))


def is_number(node: Node) -> bool:
    """Whether a node is a constant of few elements, which is part of an operation."""
    return node.operation == "constant" and not isinstance(node.value, jax.Array) and np.size(node.value) <= LARGEST


def key_of(node: Node) -> Hashable | None:
    """What a trace of an operation depends on but for shapes and dtypes; None where it is not to be called."""
    equation = node.equation
    if node.operation == "item" or extended(node.dtype):
        return None
    numbers = tuple(_number(child) if is_number(child) else None for child in node.children)
    key: Hashable
    if equation is None:
        inner = node.evaluate
        function, params = (inner.evaluate, inner.params) if isinstance(inner, Bound) else (inner, {})
        made_here = "<locals>" in getattr(function, "__qualname__", "<locals>") or any(map(callable, params.values()))
        if made_here or any(map(_is_large, node.children)):
            return None
        key = (function, tuple(sorted(params.items())), numbers)
    elif equation.call is not None or equation.native is None or getattr(equation.native, "effects", ()):
        return None
    else:
        key = (equation.primitive, tuple(sorted(node.params.items())), equation.native.ctx, numbers)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _is_large(node: Node) -> bool:
    return node.operation == "constant" and not is_number(node)


def _number(node: Node) -> Hashable:
    array = np.asarray(node.value)
    return array.tobytes(), str(array.dtype), array.shape


__all__ = ["is_number", "key_of", "once"]
