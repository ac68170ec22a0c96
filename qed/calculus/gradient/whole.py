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
from functools import cached_property, partial
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed.calculus.compiling import made_for
from qed.calculus.gradient.directions import direction, directions
from qed.calculus.gradient.kept import Kept
from qed.calculus.gradient.sites import Site, opened
from qed.domains.widened import Widened, compiled, widen
from qed.errors import QedError
from qed.graph.dtypes import is_inexact
from qed.graph.function import Function
from qed.graph.graph import Equation
from qed.graph.jaxpr import Reader, evaluate
from qed.graph.replay import Place
from qed.graph.untraceable import not_differentiable

Vector = np.ndarray

ROWS = 3
"""Along how many directions a program is compared that has forward derivatives only."""


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
        self.rows = [
            np.stack([direction(s, 37 * (seed + 1) + 5 * k + i, np) for k in range(ROWS)]) for i, s in enumerate(shapes)
        ]
        self.sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
        self.reverse = True
        self.flipped = False
        self.called = False
        self._native = self._trace()
        by = partial(made_for, function, calls=10, sweeps=order)
        self._chain = compiled(self._evaluate, by)
        self._program = compiled(lambda arrays: self._joined(Widened()(self._native, arrays)[1:]), by)

    def _trace(self) -> Any:
        """The derivatives of the program by JAX, as a graph in its own dtypes; forward ones where there is no other."""
        function = self.function
        try:
            graph = Reader().graph(jax.make_jaxpr(self._by_jax)(*function.traced.leaves))
            if any(equation.primitive == "custom_lin" for equation in graph.walk()):
                self.flipped = True  # a reverse rule has no forward derivative
                graph = Reader().graph(jax.make_jaxpr(self._by_jax)(*function.traced.leaves))
            return graph
        except Exception as error:
            first = error
        try:  # some libraries' rules can be traced once only: call the function itself
            self.called = True
            return Reader().graph(jax.make_jaxpr(self._by_jax)(*function.traced.leaves))
        except Exception:
            self.called, self.reverse = False, False
        try:
            return Reader().graph(jax.make_jaxpr(self._by_jax)(*function.traced.leaves))
        except Exception:
            raise no_gradient(first, function) from first

    def _by_jax(self, *arrays: Any) -> list[Any]:
        function = self.function
        data = [arrays[i] for i in function.data_positions]
        parameters = [arrays[i] for i in function.traced.free]
        narrow = [
            [np.asarray(v).astype(p.dtype) for v, p in zip(rows, function.parameters, strict=True)]
            for rows in (self.along, self.rows)
        ]
        value = self._value(parameters, data)
        return [value, *self._derivatives(lambda p: self._value(p, data), parameters, *narrow)]

    def _value(self, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
        """The program: its graph, or where that cannot be differentiated, the function itself."""
        function = self.function
        if not self.called:
            return function.value(parameters, data)
        given = function.join(parameters, data)
        positional, named = function.traced.rebuild(given[: len(given) - function.closed_over])
        return jax.tree.leaves(function.fun(*positional, **named))[0]

    def _derivatives(self, value: Callable[..., Any], at: list[Any], along: Any, rows: Any) -> list[Any]:
        """The gradient (and H v), or the derivatives along ROWS directions where only those exist."""
        if self.reverse:
            slopes = list(jax.grad(value)(at))
            return slopes if self.order == 1 else [*slopes, *_second(jax.grad(value), at, along, self.flipped)]

        def first(p: Any, v: Any) -> Any:
            return jax.jvp(value, (p,), (v,))[1]

        found = [lax.map(lambda v: first(at, list(v)), tuple(jnp.asarray(r) for r in rows))]
        if self.order == 2:
            found.append(
                lax.map(
                    lambda v: jax.jvp(lambda p: first(p, list(v)), (at,), (list(v),))[1], tuple(map(jnp.asarray, rows))
                )
            )
        return found

    def _joined(self, arrays: Sequence[Any]) -> Any:
        return jnp.concatenate([jnp.ravel(widen(a)) for a in arrays])

    def value_of(self, parameters: Sequence[Any], data: Sequence[Any], shares: Any) -> Any:
        """The program in float64, rules stripped but for those that are kept."""
        widened = Widened(self.kept, lambda equation, place: self._share(equation, place, shares))
        outs = widened(self.function.graph, self.function.join(parameters, data))
        return outs[0]

    def _share(self, equation: Equation, place: Place, shares: Any) -> Any:
        number = self.stops.get(place.at(equation))
        return opened(equation, place) if number is None else shares[number]

    def _evaluate(self, parameters: Any, data: Any, shares: Any) -> Any:
        wide = [widen(p) for p in parameters]
        return self._joined(self._derivatives(lambda p: self.value_of(p, data, shares), wide, self.along, self.rows))

    @cached_property
    def failure(self) -> str | None:
        """Why the program without its rules cannot be differentiated; None where it can."""
        shapes = [jax.ShapeDtypeStruct(p.shape, p.dtype) for p in self.function.parameters]
        try:
            with jax.enable_x64(True):
                jax.eval_shape(
                    lambda p: self._evaluate(p, self.function.data, jnp.zeros(max(1, len(self.stops)))), shapes
                )
        except (TypeError, ValueError, NotImplementedError) as error:
            return str(error).strip().splitlines()[0]
        return None

    def forward(self) -> float | None:
        """The derivative of `chain` along one direction, forward; None where there is none."""
        closed = np.zeros(max(1, len(self.stops)))

        def along(parameters: Any, data: Any) -> Any:
            wide = [widen(p) for p in parameters]
            return jax.jvp(lambda p: self.value_of(p, data, closed), (wide,), (list(self.along),))[1]

        if not self.reverse:
            return None
        try:
            return float(compiled(along)(self.point, list(self.function.data)))
        except (TypeError, ValueError, NotImplementedError):
            return None

    # --- the gradients ---

    @cached_property
    def own(self) -> tuple[float, Vector]:
        """(value, gradient) as the program computes them, compiled."""
        value, *slopes = jax.jit(lambda *arrays: evaluate(self._native, arrays))(*self.function.traced.leaves)
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

    def elements(
        self, which: str, element: int, shares: Any = None, point: Sequence[Any] | None = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """One element of 'program' or 'chain' as a function of all arrays, and these: for its rounding bound."""
        closed = np.zeros(max(1, len(self.stops))) if shares is None else np.asarray(shares, np.float64)
        leaves = self.function.traced.leaves if point is None else self.function.join(point)
        inputs = [np.asarray(a).astype(np.float64) if is_inexact(a.dtype) else a for a in leaves]

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
        if not self.reverse:
            return f"direction {element % ROWS}", ()
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
        if not self.reverse:
            return {}
        for path, size in zip(self.function.paths, self.sizes, strict=True):
            a, b = found[start : start + size], expected[start : start + size]
            gap, scale = float(np.linalg.norm(a - b)), float(np.linalg.norm(b))
            errors[path] = gap / scale if scale else (0.0 if gap == 0 else float("inf"))
            start += size
        return errors


def no_gradient(error: Exception, function: Function) -> QedError:
    """The coded error for a program that JAX cannot differentiate at all."""
    coded = not_differentiable(error, function.name, function.span)
    if isinstance(coded, QedError):
        return coded
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = f"{type(error).__name__}: {lines[0] if lines else ''}"
    instead = "make jax.grad of the function run first"
    return QedError("QED010", f"{function.name} has no gradient in JAX", message, instead, function.span)


def _second(gradient: Callable[..., Any], at: Sequence[Any], along: Sequence[Any], flipped: bool) -> list[Any]:
    """H v forward over reverse; or reverse over reverse."""
    at = list(at)
    if not flipped:
        return list(jax.jvp(gradient, (at,), (list(along),))[1])

    def slope(p: Any) -> Any:
        return sum((jnp.vdot(g, v) for g, v in zip(gradient(p), along, strict=True)), jnp.zeros(()))

    return list(jax.grad(slope)(at))
