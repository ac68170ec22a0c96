"""A rewritten function with a rewritten derivative.

A value that is stable has no stable derivative by itself: (u/v)' = u'/v - u v'/v^2 subtracts anew what the quotient
did not. So the rewritten graph is differentiated by JAX, and the derivative, a graph like any other, is rewritten
again. Two graphs are taken, by what the function returns:

- of one number y = F(x) the reverse graph g(x) = grad F(x): the tangent is <g(x), t>;
- of anything else, and where there is no reverse graph (a `while`), the tangent graph J(x, t) = F'(x) t, rewritten
  under the condition that it stays linear in t, operation by operation, so that JAX can transpose it.

Both are attached by `jax.custom_jvp`: forward and reverse mode, `vmap` and `jit` apply. Second derivatives are those of
the rewritten graphs, which are ordinary programs: right wherever they are defined, and not rewritten once more. The
derivative's graph is made when the function is first differentiated in those of its inputs, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from qed.domains.patterns import TooDense, jacobian_pattern
from qed.graph.backward import gradient
from qed.graph.calls import Inline
from qed.graph.dtypes import is_inexact, is_real
from qed.graph.graph import Graph
from qed.graph.walk import TooLong
from qed.numerics.longer.fallback import Longer, names, untraced
from qed.numerics.longer.in_float64 import Pair
from qed.numerics.rewriting.change import Only
from qed.numerics.rewriting.differentiated import forward_graph, no_tangent, of_moving, reverse_graph
from qed.numerics.rewriting.session import Rewritten, rewrite
from qed.span import Span

Flat = Callable[..., list[Any]]
LARGEST_MATRIX = 1 << 22
"""Entries of a matrix of the derivative of which it is asked where they are zero at all points."""


@dataclass(eq=False)
class Stable:
    """A flat function: its rewritten graph, and the graphs of its derivatives as they are asked for.

    Args:
        graph: the graph of the function as written; all arrays are its inputs.
        only: which nodes may be rewritten; default all.
        lengthened: where `only` is given, which of them may be the reason for longer numbers.
        longest_at: which of them may be a reason for more than float64 in place of a shorter dtype.
        everywhere: whether to rewrite also what keeps its digits.
        longer: whether it may be computed in longer numbers where rewriting is at its end.

    Attributes:
        value: the function that is evaluated.
        short: the rewritten graph, in the program's own numbers.
    """

    graph: Graph
    only: Only | None = None
    everywhere: bool = False
    longer: bool = True
    lengthened: Only | None = None
    longest_at: Only | None = None
    value: Rewritten = field(init=False)
    short: Rewritten = field(init=False)
    fallback: Longer = field(init=False)
    _derivatives: dict[tuple[int, ...], Derivative] = field(init=False, default_factory=dict)
    _pairs: dict[tuple[int, ...], Pair] = field(init=False, default_factory=dict)
    _function: Callable[..., Any] = field(init=False)

    def __post_init__(self) -> None:
        self.short = self.value = rewrite(self.graph, self.only, everywhere=self.everywhere, exponents=True)
        self.fallback = self._longer(self.only and (self.lengthened or self.only))
        if self.longer:
            self.value = self.fallback.value(self.short, self.short_pair)
        self._function = self._attached()

    def __call__(self, *inputs: Any) -> list[Any]:
        """The rewritten function, with its derivative attached."""
        if self.value.builder.effects:  # JAX refuses most effects inside a rule
            return self.value.function(*inputs)
        return list(self._function(*inputs))

    def derivative(self, moving: Sequence[int]) -> Derivative:
        """The derivative in the inputs at some positions."""
        key = tuple(moving)
        if key not in self._derivatives:
            self._derivatives[key] = Derivative.of(self, key)
        return self._derivatives[key]

    def graphs(self, moving: Sequence[int]) -> tuple[Rewritten | None, Rewritten | None]:
        """The reverse and the forward graph of the derivative in the inputs at some positions."""
        found = self.derivative(moving)
        return found.reverse, found.forward

    def longest(self, into: Any) -> Stable:
        """The same function in longer numbers, where results that are rounded to a dtype in the end need them."""
        if self.only is not None and self.longest_at is None:
            return self
        found = copy(self)
        found.longer, found.fallback = True, self._longer(self.longest_at, into)
        found.value = found.fallback.value(self.short, self.short_pair)
        found._derivatives, found._function = {}, found._attached()
        return found

    def places(self, moving: Sequence[int], points: Sequence[Sequence[Any]], into: Any) -> set[Span | None]:
        """Where it loses at some points what a dtype sees that results are rounded to, and longer numbers do not."""
        graphs = [self.short, *(each for each in self.short_pair(tuple(moving))[:1] if each is not None)]
        return self._longer(None, into).places(graphs, moving, points)

    def short_pair(self, moving: tuple[int, ...]) -> Pair:
        """The reverse and the forward graph of its derivative in the program's own numbers."""
        if moving not in self._pairs:
            reverse = _reversed(self, moving) if _has_gradient(self.graph, moving) else None
            self._pairs[moving] = reverse, None if reverse is not None else _forward(self, moving)
        return self._pairs[moving]

    def saturated_pair(self, moving: tuple[int, ...]) -> Pair:
        """The same with JAX's own derivatives of tanh and the sigmoid rewritten, too."""
        reverse, _ = self.short_pair(moving)
        if reverse is not None:
            return _reversed(self, moving, saturated=True), None
        return None, _forward(self, moving, saturated=True)

    def _longer(self, only: Only | None, into: Any = None) -> Longer:
        return Longer(self.graph, self._without_fallback, names(self.short.changes), only, into)

    def _without_fallback(self, graph: Graph) -> Stable:
        return Stable(graph, self.only, self.everywhere, longer=False, longest_at=self.longest_at)

    def _attached(self) -> Callable[..., Any]:
        @jax.custom_jvp
        def stable(*inputs: Any) -> tuple[Any, ...]:
            return tuple(self.value.function(*inputs))

        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
            moving = tuple(i for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero))
            outs, slopes = self.derivative(moving)(primals, [tangents[i] for i in moving])
            return tuple(outs), tuple(slopes)

        stable.defjvp(rule, symbolic_zeros=True)
        return stable


@dataclass(frozen=True, eq=False)
class Derivative:
    """The derivative of a flat function in some inputs.

    Args:
        stable: the function.
        moving: the positions of those inputs.
        reverse: the graph inputs -> (outputs, gradient of the first output), for a scalar; else None.
        forward: the graph (inputs, tangents) -> (outputs, tangents of the outputs), where it is needed.
    """

    stable: Stable
    moving: tuple[int, ...]
    reverse: Rewritten | None
    forward: Rewritten | None

    @classmethod
    def of(cls, stable: Stable, moving: tuple[int, ...]) -> Derivative:
        """Differentiate the rewritten graph, and rewrite the result."""
        if stable.value.longer and stable.fallback.alone:
            return cls(stable, moving, *stable.fallback.derivative(moving, (None, None)))
        pair = stable.short_pair(moving)
        if stable.value.longer:
            pair = stable.fallback.derivative(moving, pair)
        elif stable.longer:
            pair = stable.fallback.needed(pair, moving, lambda: stable.saturated_pair(moving))
        return cls(stable, moving, *pair)

    @property
    def changed(self) -> bool:
        """Whether the derivative is another than that of the value that is evaluated."""
        graphs = [graph for graph in (self.reverse, self.forward) if graph is not None]
        return any(bool(graph.changes) or (self.stable.value.kept and not graph.kept) for graph in graphs)

    @property
    def rewritten(self) -> Rewritten:
        """The graph of the derivative."""
        found = self.reverse if self.reverse is not None else self.forward
        assert found is not None
        return found

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The outputs and their tangents."""
        outputs = self.stable.graph.outputs
        if self.reverse is not None and (self._counts(self.reverse) or self._same_value()):
            found = self.reverse.function(*primals)
            outs, gradients = self._outputs(found, primals), found[len(outputs) :]
            dtype = outputs[0].dtype
            parts = [jnp.sum((g * t).astype(dtype)) for g, t in zip(gradients, tangents, strict=True)]
            total = parts[0] if parts else jnp.zeros((), dtype)
            for part in parts[1:]:
                total = total + part
            return outs, [total, *(no_tangent(out.shape) for out in outputs[1:])]
        if self.forward is not None and self.forward.longer:
            return self._by_columns(self.forward.function, primals, tangents)
        if self.forward is not None and self._counts(self.forward):
            found = self.forward.function(*primals, *tangents)
            outs, slopes = self._outputs(found, primals), iter(found[len(outputs) :])
            return outs, [next(slopes) if is_inexact(out.dtype) else no_tangent(out.shape) for out in outputs]
        return self._plain(primals, tangents)

    def _counts(self, graph: Rewritten) -> bool:
        """Whether a graph is another than JAX's own derivative of the value."""
        return bool(graph.changes) or graph.longer or graph.kept or self.stable.value.kept

    def _same_value(self) -> bool:
        """Whether the derivative's graph has the value that is evaluated, operation by operation."""
        value = self.stable.value
        return not value.longer and value.outputs == value.bare

    def _outputs(self, found: list[Any], primals: Sequence[Any]) -> list[Any]:
        """The outputs, which a derivative's graph has too; those of the function as written where that is kept."""
        value = self.stable.value
        return value.function(*primals) if value.kept else found[: len(self.stable.graph.outputs)]

    def _by_columns(
        self, function: Flat, primals: Sequence[Any], tangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """By the matrix of the derivative: longer numbers make it, its product with the tangents is the program's.

        A column is 0 times NaN at an output that is NaN, whether it depends on that input or not. Transposed, that
        would put one row's NaN into the gradients of all rows.
        """
        graph = self.stable.graph
        nothing = [jnp.zeros(graph.inputs[i].shape, graph.inputs[i].dtype) for i in self.moving]
        outs = function(*primals, *nothing)[: len(graph.outputs)]
        slopes: list[Any] = [None if is_inexact(out.dtype) else no_tangent(out.shape) for out in graph.outputs]
        first = 0
        for k, tangent in enumerate(tangents):

            def column(basis: Any, k: int = k) -> list[Any]:
                return function(*primals, *nothing[:k], basis, *nothing[k + 1 :])[len(graph.outputs) :]

            size = nothing[k].size
            basis = jnp.eye(size, dtype=nothing[k].dtype).reshape(size, *nothing[k].shape)
            columns = iter(jax.vmap(column)(basis))
            for i, out in enumerate(graph.outputs):
                if is_inexact(out.dtype):
                    matrix, apart = next(columns), self._apart
                    if apart is not None:
                        zero = apart[i][:, first : first + size].T.reshape(size, *out.shape)
                        matrix = jnp.where(zero & jnp.isnan(matrix), 0, matrix).astype(matrix.dtype)
                    part = jnp.tensordot(tangent.reshape(size), matrix, 1)
                    slopes[i] = part if slopes[i] is None else slopes[i] + part
            first += size
        return outs, slopes

    @cached_property
    def _apart(self) -> list[np.ndarray] | None:
        """For each output, which of its elements (rows) do not depend on which numbers; None where that is not known.

        A rule of the user's may make a derivative where the function has none: it is not read then.
        """
        graph = self.stable.graph
        sizes = [int(np.prod(out.shape, dtype=np.int64)) for out in graph.outputs]
        width = sum(int(np.prod(graph.inputs[i].shape, dtype=np.int64)) for i in self.moving)
        calls = [equation.call for equation in graph.walk()]
        ruled = any(isinstance(call, Inline) and call.custom and call.graph.span is not None for call in calls)
        if ruled or sum(sizes) < 2 or sum(sizes) * width > LARGEST_MATRIX:
            return None
        try:
            pattern = untraced(lambda: jacobian_pattern(graph, [None] * len(graph.inputs), self.moving))
        except (TooDense, TooLong):
            return None
        zero = ~pattern.matrix().toarray()
        return np.split(zero, np.cumsum(sizes)[:-1]) if zero.any() else None

    def _plain(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """JAX's own derivative of the rewritten function."""
        outs, slopes = jax.jvp(
            of_moving(self.stable.value.function, self.moving, primals),
            [primals[i] for i in self.moving],
            list(tangents),
        )
        return list(outs), list(slopes)


def _has_gradient(graph: Graph, moving: tuple[int, ...]) -> bool:
    """Whether the derivative is one of a real number, in real ones."""
    outputs = graph.outputs
    floats = [i for i, out in enumerate(outputs) if is_inexact(out.dtype)]
    real = all(is_real(graph.inputs[i].dtype) for i in moving)
    return floats == [0] and outputs[0].shape == () and real and is_real(outputs[0].dtype)


def _is_wide(stable: Stable) -> bool:
    """Whether a function was rewritten and is one of float64, in which the longer numbers are integers."""
    return bool(stable.short.changes) and any(str(out.dtype) == "float64" for out in stable.graph.outputs)


def _reversed(stable: Stable, moving: tuple[int, ...], saturated: bool = False) -> Rewritten | None:
    graph = _gradient(stable, moving)
    return graph and rewrite(
        graph,
        stable.only,
        derivative=True,
        everywhere=stable.everywhere,
        saturated=saturated or _is_wide(stable),
        rewritten=bool(stable.short.changes),
        written=stable.graph,
        exponents=True,
    )


def _gradient(stable: Stable, moving: tuple[int, ...]) -> Graph | None:
    """The graph of the value and its gradient, before it is rewritten."""
    short = stable.short
    if short.bare is not None:
        names = [variable.name or "" for variable in stable.graph.inputs]
        found = gradient(short.builder, short.bare, short.inputs, moving, names)
        if found is not None:
            return found
    return reverse_graph(short.differentiable, stable.graph, moving)


def _forward(stable: Stable, moving: tuple[int, ...], saturated: bool = False) -> Rewritten:
    count = len(stable.graph.inputs)
    graph = forward_graph(stable.short.differentiable, stable.graph, moving)
    tangents = range(count, count + len(moving))
    return rewrite(
        graph,
        stable.only,
        tangents=tangents,
        derivative=True,
        everywhere=stable.everywhere,
        saturated=saturated or _is_wide(stable),
        rewritten=bool(stable.short.changes),
        written=stable.graph,
        exponents=True,
    )
