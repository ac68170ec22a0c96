"""The gradient of the whole program, three times in float64, and once as the program computes it.

    own        by `jax.grad`, in the program's arithmetic
    program    the graph that `jax.grad` made, rules and all, evaluated in float64
    chain      by the chain rule, the rules that were compared and agree stripped from the program
    freed      the same, with every stop_gradient letting the derivative through

`program` against `chain` sees what no single rule shows; `chain` against `freed` judges the stop_gradients, each by
what it takes away; the derivatives around the point tell kinks; `own` against `program` measures rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.gradient.directions import directions
from qed.calculus.gradient.kept import Kept
from qed.calculus.gradient.sites import Site
from qed.domains.widened import Widened, compiled, widen
from qed.graph.dtypes import is_inexact
from qed.graph.function import Function
from qed.graph.graph import Equation
from qed.graph.jaxpr import Reader
from qed.graph.replay import Place
from qed.graph.untraceable import not_differentiable

Vector = np.ndarray


@final
class Whole:
    """The gradients of a function at its point, as vectors over all parameters.

    Args:
        function: the function, read.
        kept: the rules that stay in `chain`.
        stops: the stop_gradients that can be opened, one number each.
        order: with 2 the vectors are gradient and Hessian-vector product, one behind the other.
        seed: of the direction of that product.

    Raises:
        QedError: QED010 where JAX has no gradient of the function.
    """

    def __init__(self, function: Function, kept: Kept, stops: Sequence[Site], order: int = 1, seed: int = 0) -> None:
        self.function = function
        self.kept = kept
        self.stops = {site.key: number for number, site in enumerate(stops)}
        self.order = order
        shapes = [parameter.shape for parameter in function.parameters]
        self.along = directions(shapes, 31 + seed, np)
        self.sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
        self._native = self._trace()
        self._chain = compiled(self._evaluate)
        self._program = compiled(lambda arrays: self._joined(Widened()(self._native, arrays)[1:]))

    def _trace(self) -> Any:
        """`jax.grad` of the program, as a graph in the program's dtypes."""
        function = self.function
        along = [np.asarray(v).astype(p.dtype) for v, p in zip(self.along, function.parameters, strict=True)]

        def gradient(*arrays: Any) -> list[Any]:
            data = [arrays[i] for i in function.data_positions]
            parameters = [arrays[i] for i in function.traced.free]
            value, slopes = jax.value_and_grad(function.value)(parameters, data)
            if self.order == 1:
                return [value, *slopes]
            return [value, *slopes, *_second(lambda p: jax.grad(function.value)(p, data), parameters, along)]

        try:
            return Reader().graph(jax.make_jaxpr(gradient)(*function.traced.leaves))
        except Exception as error:
            raise not_differentiable(error, function.name, function.span) from error

    def _joined(self, arrays: Sequence[Any]) -> Any:
        return jnp.concatenate([jnp.ravel(widen(a)) for a in arrays])

    def value_of(self, parameters: Sequence[Any], data: Sequence[Any], shares: Any) -> Any:
        """The program in float64, rules stripped but for those that are kept."""
        widened = Widened(self.kept, lambda equation, place: self._share(equation, place, shares))
        outs = widened(self.function.graph, self.function.join(parameters, data))
        return outs[0]

    def _share(self, equation: Equation, place: Place, shares: Any) -> Any:
        number = self.stops.get(place.at(equation))
        return None if number is None else shares[number]

    def _evaluate(self, parameters: Any, data: Any, shares: Any) -> Any:
        wide = [widen(p) for p in parameters]
        slopes = jax.grad(self.value_of)(wide, data, shares)
        if self.order == 2:
            slopes = [*slopes, *_second(lambda p: jax.grad(self.value_of)(p, data, shares), wide, self.along)]
        return self._joined(slopes)

    # --- the gradients ---

    @cached_property
    def own(self) -> tuple[float, Vector]:
        """(value, gradient) as the program computes them, compiled."""
        data = list(self.function.data)
        value, slopes = jax.jit(jax.value_and_grad(self.function.value))(list(self.function.parameters), data)
        return float(value), np.concatenate([np.asarray(s).astype(np.float64).ravel() for s in slopes])

    @cached_property
    def program(self) -> Vector:
        """The program's own gradient, in float64."""
        return self._program(list(self.function.traced.leaves))

    @cached_property
    def point(self) -> list[np.ndarray]:
        """The parameters in float64."""
        return [np.asarray(p).astype(np.float64) for p in self.function.parameters]

    def chain(self, point: Sequence[Any] | None = None, shares: Any = None) -> Vector:
        """The gradient by the chain rule, at the parameters or elsewhere."""
        closed = np.zeros(max(1, len(self.stops))) if shares is None else np.asarray(shares, np.float64)
        return self._chain(list(self.point if point is None else point), list(self.function.data), closed)

    def elements(self, which: str, element: int, shares: Any = None) -> tuple[Callable[..., Any], list[Any]]:
        """One element as a function of all arrays, for its rounding bound: 'program' or 'chain'."""
        closed = np.zeros(max(1, len(self.stops))) if shares is None else np.asarray(shares, np.float64)
        inputs = [np.asarray(a).astype(np.float64) if is_inexact(a.dtype) else a for a in self.function.traced.leaves]

        def value(*arrays: Any) -> Any:
            if which == "program":
                return self._joined(Widened()(self._native, arrays)[1:])[element]
            parameters = [arrays[i] for i in self.function.traced.free]
            data = [arrays[i] for i in self.function.data_positions]
            return self._evaluate(parameters, data, jnp.asarray(closed))[element]

        return value, inputs

    # --- names ---

    def coordinate(self, element: int) -> tuple[str, tuple[int, ...]]:
        """(parameter, index) of an element."""
        element %= sum(self.sizes)
        for path, parameter, size in zip(self.function.paths, self.function.parameters, self.sizes, strict=True):
            if element < size:
                index = np.unravel_index(element, parameter.shape) if parameter.shape else ()
                return path, tuple(int(i) for i in index)
            element -= size
        raise IndexError(element)

    def relative_errors(self, found: Vector, expected: Vector) -> dict[str, float]:
        """For each parameter array the relative distance of its gradient."""
        errors, start = {}, 0
        for path, size in zip(self.function.paths, self.sizes, strict=True):
            a, b = found[start : start + size], expected[start : start + size]
            gap, scale = float(np.linalg.norm(a - b)), float(np.linalg.norm(b))
            errors[path] = gap / scale if scale else (0.0 if gap == 0 else float("inf"))
            start += size
        return errors


def _second(gradient: Callable[..., Any], at: Sequence[Any], along: Sequence[Any]) -> list[Any]:
    """H v forward over reverse; reverse over reverse where a rule has no forward derivative."""
    at = list(at)
    try:
        return list(jax.jvp(gradient, (at,), (list(along),))[1])
    except (TypeError, ValueError, NotImplementedError):

        def slope(p: Any) -> Any:
            return sum((jnp.vdot(g, v) for g, v in zip(gradient(p), along, strict=True)), jnp.zeros(()))

        return list(jax.grad(slope)(at))
