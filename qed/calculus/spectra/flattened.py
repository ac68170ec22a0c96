"""A program whose products of matrices are written in two dimensions, which XLA's CPU computes faster.

A linear layer on a batch of sequences contracts (rows, tokens, features) with (features, units). Its derivative by the
weights contracts over rows *and* tokens, and XLA's CPU then computes what stands before it, such as an error function,
again where it is used: the gradient of a transformer took 1.7 times as long as with (rows tokens, features). Here each
such product is reshaped, which moves nothing:

    sum_k A[i, j, k] B[k, l] = (sum_k A'[(i j), k] B[k, l])[i, j, l].

Everything else is done as the program does it: its own derivative rules, branches and loops are untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from qed.graph.calls import Inline
from qed.graph.graph import Equation, Graph
from qed.graph.jaxpr import bind
from qed.graph.replay import Place, Replay

JITTED = frozenset({"jit", "pjit", "closed_call", "core_call"})
"""Calls that are entered."""


@final
class Flattened(Replay):
    """A graph with its products of matrices in two dimensions.

    >>> import jax, jax.numpy as jnp
    >>> from qed.graph.trace import trace
    >>> graph = trace(lambda a, b: a @ b, jnp.ones((2, 3, 4)), jnp.ones((4, 5))).graph
    >>> text = str(jax.make_jaxpr(lambda *given: Flattened()(graph, given))(jnp.ones((2, 3, 4)), jnp.ones((4, 5))))
    >>> "f32[6,5]" in text, "f32[2,3,5]" in text
    (True, True)
    """

    def __call__(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of a graph."""
        return self.run(graph, inputs)[0]

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Only jitted calls are entered."""
        call = equation.call
        return not (isinstance(call, Inline) and not call.custom and equation.primitive in JITTED)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation as it is, or a product of matrices."""
        if equation.primitive == "dot_general":
            found = _in_two_dimensions(equation, *values)
            if found is not None:
                return (found,)
        return bind(equation.native, values)


def _in_two_dimensions(equation: Equation, left: Any, right: Any) -> Any:
    (over, under), (batch, _) = equation.params["dimension_numbers"]
    over, under = tuple(over), tuple(under)
    m, n, k = np.ndim(left), np.ndim(right), len(over)
    if batch or not k or (m <= 2 and n <= 2) or over != tuple(range(m - k, m)) or not left.size or not right.size:
        return None
    if under not in (tuple(range(k)), tuple(range(n - k, n))):
        return None
    free = (*left.shape[: m - k], *(s for i, s in enumerate(right.shape) if i not in under))
    inner = int(np.prod(left.shape[m - k :], dtype=np.int64))
    first = under == tuple(range(k))
    a, b = left.reshape(-1, inner), right.reshape((inner, -1) if first else (-1, inner))
    numbers = (((1,), (0 if first else 1,)), ((), ()))
    return bind(equation.native, [a, b], dimension_numbers=numbers)[0].reshape(free)


def is_stacked(equation: Equation) -> bool:
    """Whether an equation is a product of matrices with more than two dimensions."""
    return equation.primitive == "dot_general" and any(len(atom.shape) > 2 for atom in equation.inputs)
