"""Hessian products of a graph: linearised once at a point and applied to many vectors, compiled once for many points.

The derivative of the gradient at a point is a linear map; all that depends on the point alone, the *residuals*, may be
computed once and kept (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., 2008, section 5.4). With V the work of
the function and L that of its local derivatives (`qed.domains.cost`), a gradient takes V + L, a product afresh about
V + 4 L - V, and one that is linearised 4 L - 2 V: for a deep net 6 V against 3 V of its gradient. It pays where work is
large beside the two compilations, and takes the memory of the residuals, which the compiler states before anything
runs.

Programs are kept for the function they belong to, by the fingerprint of its graph, so that asking at a second point
compiles nothing. A graph that calls back to Python is not kept: its callbacks may change.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

import jax

from qed import facts
from qed.calculus.compiling import of_products, quickly
from qed.calculus.gradient.kept import differentiable
from qed.calculus.hessian import hessian_product
from qed.calculus.spectra.convolutions import unfolded
from qed.calculus.spectra.diagonals import multiplied_out
from qed.calculus.spectra.flattened import Flattened, is_stacked
from qed.calculus.spectra.layouts import laid_out
from qed.calculus.stopped import Opened, WideOpened
from qed.certificates.fingerprint import fingerprint
from qed.domains.cost import count
from qed.domains.widened import widen
from qed.graph.function import Function
from qed.graph.graph import Graph
from qed.graph.trace import trace

KEPT = 16
"""How many programs are kept."""
PRODUCTS, FEW = 100, 10
"""How many products are expected, and how many values or gradients."""
LONG = 3000
"""From so many equations on a product is not linearised as a whole: compiling it would take longer than asking."""


@dataclass(frozen=True)
class Room:
    """What the linearised product takes.

    Args:
        kept: bytes of the residuals, from one product to the next.
        beside: bytes that one product takes beside them.
    """

    kept: int
    beside: int


class Programs:
    """Compiled derivatives of value(parameters, data) -> scalar, both tuples of arrays.

    Args:
        value: the function.
        moved: (parameters, data, by) -> value, where what stands behind a stop_gradient is changed by so much; several
            at once are one program, which computes what comes before it once.
        equations: how many it has, calls entered.
        convolutions: whether some of them are convolutions.
        unfold: whether the linearised product keeps copies for those.
        operations: how many value and gradient take, where that is known.
    """

    def __init__(
        self,
        value: Callable[[Any, Any], Any],
        moved: Callable[[Any, Any, Any], Any],
        equations: int,
        convolutions: bool = False,
        unfold: bool = False,
        operations: float = math.inf,
    ) -> None:
        gradient = jax.grad(value)
        valued = jax.value_and_grad(value)
        slopes = unfolded(valued) if unfold else valued
        self.gradient = quickly(gradient, 0, operations, FEW)
        self.value = quickly(value, 0, operations, FEW)
        self.moved = quickly(lambda p, d, by: tuple(moved(p, d, each) for each in by), 0, operations, FEW)
        self.afresh = hessian_product(value, equations=equations, operations=operations, calls=PRODUCTS)
        self._rooms: dict[Any, Room | None] = {}
        self._linearize = jax.jit(lambda p, d: _linearized(slopes, p, d))
        self._apply = (jax.jit if convolutions else of_products)(lambda tangent, v: tangent(v))

    def room(self, parameters: Any, data: Any) -> Room | None:
        """What a linearised product will take; compiled, not run. None where the compiler does not say."""
        key = tuple((a.shape, str(a.dtype), getattr(a, "sharding", None)) for a in (*parameters, *data))
        if key not in self._rooms:
            self._rooms[key] = self._room(parameters, data)
        return self._rooms[key]

    def _room(self, parameters: Any, data: Any) -> Room | None:
        lowered = self._linearize.lower(parameters, data)
        first = lowered.compile().memory_analysis()
        *_, tangent = jax.eval_shape(self._linearize, parameters, data)
        second = self._apply.lower(tangent, parameters).compile().memory_analysis()
        if first is None or second is None:
            return None
        kept = int(first.output_size_in_bytes)
        return Room(kept, int(max(first.temp_size_in_bytes, second.temp_size_in_bytes)))

    def linearized(self, parameters: Any, data: Any) -> Any:
        """The value at a point, the gradient, and its derivative there: a tree with its residuals."""
        return self._linearize(parameters, data)

    def apply(self, tangent: Any, vector: Any) -> Any:
        """The product with one direction."""
        return self._apply(tangent, vector)


def _linearized(slopes: Callable[[Any, Any], Any], parameters: Any, data: Any) -> tuple[Any, Any, Any]:
    def last(p: Any) -> tuple[tuple[Any, ...], Any]:
        value, *found = jax.tree.leaves(slopes(p, data))
        return tuple(found), value

    found, tangent, value = jax.linearize(last, parameters, has_aux=True)
    return value, found, laid_out(multiplied_out(tangent, parameters), parameters)


_PROGRAMS: OrderedDict[Any, tuple[Any, Programs]] = OrderedDict()


def programs(function: Function, *, wide: bool, unfold: bool = False) -> Programs:
    """The programs of a function, in float64 or in its own arithmetic; the same for the same function again.

    With `unfold` the linearised product keeps copies for faster convolutions (`qed.calculus.spectra.convolutions`).

    >>> import jax.numpy as jnp
    >>> from qed.graph.function import read
    >>> f = lambda x: jnp.sum(x**3)
    >>> one, two = (programs(read(f, at), wide=False) for at in (jnp.ones(2), jnp.zeros(2)))
    >>> one is two, programs(read(f, jnp.ones(3)), wide=False) is one
    (True, False)
    """
    graph, free = function.graph, function.traced.free
    fun = function.fun
    owner, method = (fun.__self__, fun.__func__) if isinstance(fun, MethodType) else (fun, None)
    try:
        held = weakref.ref(owner)
    except TypeError:
        return _made(graph, free, wide, unfold)
    if calls_back(graph):
        return _made(graph, free, wide, unfold)
    key = (id(owner), id(method), fingerprint(graph), tuple(free), wide, unfold)
    found = _PROGRAMS.get(key)
    if found is None or found[0]() is not owner:
        found = (held, _made(graph, free, wide, unfold))
        _PROGRAMS[key] = found
        while len(_PROGRAMS) > KEPT:
            _PROGRAMS.popitem(last=False)
    _PROGRAMS.move_to_end(key)
    return found[1]


def calls_back(graph: Graph) -> bool:
    """Whether a graph calls what is no mathematics."""
    return any(
        equation.call is None and facts.classify(equation.primitive) in (facts.Class.EFFECT, None)
        for equation in graph.walk()
    )


def convolves(graph: Graph) -> bool:
    """Whether a graph has a convolution, which XLA's CPU does twenty times slower inside a loop."""
    return any(equation.primitive == "conv_general_dilated" for equation in graph.walk())


def _made(graph: Graph, free: Sequence[int], wide: bool, unfold: bool) -> Programs:
    places = set(free)
    run = _wide(graph) if wide else Flattened()

    def joined(parameters: Any, data: Any) -> list[Any]:
        first, second = iter(parameters), iter(data)
        return [next(first) if i in places else next(second) for i in range(len(graph.inputs))]

    def value(parameters: Any, data: Any) -> Any:
        return run(graph, joined(parameters, data))[0]

    def moved(parameters: Any, data: Any, by: Any) -> Any:
        return (WideOpened(by) if wide else Opened(by))(graph, joined(parameters, data))[0]

    return Programs(value, moved, graph.count(), convolves(graph), unfold, count(graph, free).bounded)


def _wide(graph: Graph) -> Callable[[Graph, Sequence[Any]], list[Any]]:
    """The graph in float64; where it has products of more than two dimensions, these in two as well."""
    if not any(is_stacked(equation) for equation in graph.walk()):
        return differentiable(graph)

    def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        wide = [widen(value) for value in inputs]
        return Flattened()(trace(lambda *given: differentiable(graph)(graph, given), *wide).graph, wide)

    return run
