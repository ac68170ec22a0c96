"""From a `Problem` to something that can be run: traced, named, checked.

The loss is read by `qed.graph.function.read`: what remains is one function of two tuples,

    loss(parameters, data) -> scalar,

with a name for every array in both (trying a change of the data must not compile the loss again). Added here are the
step rule and the user's names for the axes of the parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from qed.domains.cost import count
from qed.errors import QedError
from qed.graph.function import Function, read
from qed.graph.graph import Graph
from qed.graph.trace import Traced, is_float
from qed.optimization.step import StepRule, parse
from qed.span import Span
from qed.why.problem import Problem


@dataclass(frozen=True, eq=False)
class Prepared:
    """A traced problem.

    Args:
        problem: as the user gave it.
        function: the loss, read: its graph, its inputs (closed-over arrays included) and their names.
        rule: the step rule, or None.
        axis_names: for each parameter array, one sequence of names per axis, or None.
    """

    problem: Problem
    function: Function
    rule: StepRule | None
    axis_names: tuple[Any, ...]

    @property
    def traced(self) -> Traced:
        """Graph, inputs and their names."""
        return self.function.traced

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.function.name

    @property
    def span(self) -> Span | None:
        """The line where the loss is defined."""
        return self.function.span

    @property
    def closed_over(self) -> int:
        """How many of the last inputs were closed over."""
        return self.function.closed_over

    @property
    def graph(self) -> Graph:
        """The graph of the loss."""
        return self.function.graph

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters at the start."""
        return self.function.parameters

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of the parameter arrays."""
        return self.function.paths

    @property
    def data_positions(self) -> tuple[int, ...]:
        """Which inputs of the graph are data."""
        return self.function.data_positions

    @property
    def data(self) -> tuple[Any, ...]:
        """The data arrays."""
        return self.function.data

    @property
    def size(self) -> int:
        """The number of parameters."""
        return self.function.size

    @property
    def dtype(self) -> str:
        """The dtypes of the parameters, such as 'float32'."""
        return self.function.dtype

    @property
    def rows(self) -> int | None:
        """The length that most data arrays share along their first axis."""
        lengths = [a.shape[0] for a in self.data if getattr(a, "ndim", 0) and a.shape[0] > 1]
        return max(set(lengths), key=lambda n: (lengths.count(n), n)) if lengths else None

    @cached_property
    def values(self) -> int:
        """How many bytes the values of one evaluation take together; a lower bound behind a while loop."""
        return count(self.graph, ()).bytes

    def join(self, parameters: Sequence[Any], data: Sequence[Any]) -> list[Any]:
        """Parameters and data in the order of the graph's inputs."""
        return self.function.join(parameters, data)

    def loss(self, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
        """The loss, evaluated from its graph; traceable under jit and grad."""
        return self.function.value(parameters, data)


def prepare(problem: Problem) -> Prepared:
    """Trace and check a problem.

    Raises:
        QedError: QED002 to QED010, each with the user's line where there is one.
    """
    problem.check()
    loss: Any = problem.loss
    rule = None
    given = problem.step if problem.step is not None else problem.optimizer
    if given is not None:
        rule = parse(given)
    arguments = [problem.at, *problem.args]
    if problem.key is not None:
        arguments.append(problem.key)
    function = read(loss, *arguments, has_aux=problem.has_aux)
    axis_names = _axis_names(problem.names, problem.at, function.traced)
    return Prepared(problem, function, rule, axis_names)


def _axis_names(names: Any, at: Any, traced: Traced) -> tuple[Any, ...]:
    count = len(traced.free)
    if names is None:
        return (None,) * count
    leaves, tree = jax.tree.flatten(at)
    try:
        given = tree.flatten_up_to(names)
    except (ValueError, TypeError, KeyError) as error:
        raise QedError(
            "QED007",
            "names does not have the structure of the parameters",
            str(error).splitlines()[0],
            "give a pytree like `at` whose leaves are tuples with one sequence of names per axis",
        ) from error
    picked = [g for g, leaf in zip(given, leaves, strict=True) if is_float(leaf)]
    return tuple(
        _one_leaf(g, path, array)
        for g, path, array in zip(picked, traced.parameter_paths, traced.parameters, strict=True)
    )


def _one_leaf(given: Any, path: str, array: Any) -> Any:
    if given is None:
        return None
    axes = list(given) if isinstance(given, Iterable) else [given]
    if array.ndim == 1 and len(axes) == array.shape[0] and all(isinstance(a, str) for a in axes):
        axes = [axes]
    fits = len(axes) == array.ndim and all(
        a is None or (isinstance(a, Sized) and not isinstance(a, str) and len(a) == n)
        for a, n in zip(axes, array.shape, strict=False)
    )
    if not fits:
        sizes = [len(a) if isinstance(a, Sized) else a for a in axes]
        raise QedError(
            "QED007",
            f"names of {path} do not fit its shape {list(array.shape)}",
            f"they are {len(axes)} sequences of lengths {sizes}",
            "give one sequence per axis (or None), as long as the axis",
        )
    return tuple(None if a is None else tuple(str(x) for x in a) for a in axes)
