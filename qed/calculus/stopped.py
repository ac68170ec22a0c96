"""Functions in which a stop_gradient stands: what their values say, whatever the program's gradient leaves out.

The second derivatives of f are those of its values, in which stop_gradient is the identity. A program's gradient leaves
a part of the chain rule out where it holds one, and a product of its derivative with a vector is of another matrix. In
x - stop_gradient(max x), of which log-sum-exp is made, nothing is left out, since the value does not depend on what is
stopped: that is seen by changing it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.sites import Site, find_sites
from qed.domains.widened import Widened
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.graph import Equation, Graph
from qed.graph.jaxpr import at_line, bind
from qed.graph.replay import Place, Replay
from qed.graph.trace import trace

STOP = "stop_gradient"
MOVED = 0.01
"""By which part of its size, and of 1, what is stopped is changed; the point too."""
ROUNDINGS = 64
"""How many roundings of the value are no change of it."""


def stops(function: Function) -> tuple[Site, ...]:
    """The stop_gradients at which something that depends on the parameters is stopped.

    >>> import jax, jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x, y: jnp.sum(x**2) + jax.lax.stop_gradient(y)
    >>> len(stops(read(f, jnp.ones(2), 1.0))), len(stops(read(lambda y, x: f(x, y), 1.0, jnp.ones(2))))
    (0, 1)
    """
    if not _holds(function.graph):
        return ()
    return tuple(site for site in find_sites(function.graph, function.traced.free) if site.kind == "stop")


def of_values(function: Function) -> Function:
    """The same function without its stop_gradients; it itself, where it has none.

    >>> import jax, jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = read(lambda x: x * jax.lax.stop_gradient(x), 3.0)
    >>> [float(jax.grad(lambda x: f.value((x,)))(3.0)) for f in (f, of_values(f))]
    [3.0, 6.0]
    """
    if not _holds(function.graph):
        return function
    graph = function.graph
    opened = trace(lambda *given: Opened()(graph, given), *function.traced.leaves).graph
    return replace(function, traced=replace(function.traced, graph=opened))


def cuts(function: Function, moved: Callable[..., Any]) -> bool:
    """Whether the value depends on what is stopped, near the point: not surely, where it does not.

    Args:
        function: it.
        moved: (parameters, data, by) -> its values, where what is stopped is changed by each of them (`Opened`).
    """
    rng = np.random.default_rng(0)
    at = [
        (p + MOVED * (1 + np.abs(p)) * rng.uniform(-1, 1, np.shape(p))).astype(p.dtype)
        for p in map(np.asarray, function.parameters)
    ]
    one, two = moved(tuple(map(jnp.asarray, at)), function.data, (0.0, MOVED))
    return not abs(float(one) - float(two)) <= ROUNDINGS * float(jnp.finfo(one.dtype).eps) * abs(float(one))


def _holds(graph: Graph) -> bool:
    return any(equation.primitive == STOP for equation in graph.walk())


@final
class Opened(Replay):
    """A graph in which stop_gradient is the identity, or adds to what it is given; calls that hold none are kept.

    Args:
        by: how much is added, in parts of the size of each number and of 1, up and down.
    """

    def __init__(self, by: Any = None) -> None:
        self.by = by

    def __call__(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of a graph."""
        return self.run(graph, inputs)[0]

    def opaque(self, equation: Equation, place: Place) -> bool:
        """Calls are entered where they hold a stop_gradient."""
        return not any(_holds(graph) for graph in equation.call.graphs)

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation as it is; what is stopped goes on."""
        if equation.primitive != STOP:
            with at_line(equation.native):
                return bind(equation.native, values)
        return [x if self.by is None or not is_real(x.dtype) else moved_by(x, self.by) for x in values]


@final
class WideOpened(Widened):
    """The same in float64, every call entered."""

    def __init__(self, by: Any) -> None:
        super().__init__()
        self.by = by

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """An equation in float64; what is stopped is changed, and goes on."""
        if equation.primitive != STOP:
            return super().leaf(equation, values, place)
        return [moved_by(x, self.by) if is_real(x.dtype) else x for x in values]


def moved_by(x: Any, by: Any) -> Any:
    """An array, each of its numbers moved by another part of its size and of 1, up or down.

    >>> [round(float(x), 2) for x in moved_by(jnp.ones(2), 0.5)]
    [1.54, 0.01]
    """
    ways = jnp.cos(1.0 + 2.0 * jax.lax.iota(x.dtype, max(1, x.size))[: x.size].reshape(x.shape))
    return x + ways * jnp.asarray(by, x.dtype) * (1 + jnp.abs(x))
