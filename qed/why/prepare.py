"""From a `Problem` to something that can be run: traced, named, checked.

The arrays that the loss closes over become inputs beside the arguments (they are data like any other, and trying
a change of the data must not compile the loss again). What remains is one function of two tuples,

    loss(parameters, data) -> scalar,

with a name for every array in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Graph
from qed.graph.jaxpr import evaluate
from qed.graph.trace import NotNumeric, Traced, is_array, is_float, parameter_names, trace
from qed.optimization.step import StepRule, parse
from qed.span import Span
from qed.why.closed_over import lift
from qed.why.problem import Problem
from qed.why.untraceable import definition, name_of, why_not_traceable


@dataclass(frozen=True, eq=False)
class Prepared:
    """A traced problem.

    Args:
        problem: as the user gave it.
        traced: graph, inputs (closed-over arrays included), their names.
        rule: the step rule, or None.
        name: the loss's name; `span` the line of its definition.
        axis_names: for each parameter array, one sequence of names per axis, or None.
        closed_over: how many of the last inputs were closed over.
    """

    problem: Problem
    traced: Traced
    rule: StepRule | None
    name: str
    span: Span | None
    axis_names: tuple[Any, ...]
    closed_over: int

    @property
    def graph(self) -> Graph:
        """The graph of the loss."""
        return self.traced.graph

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The parameters at the start."""
        return self.traced.parameters

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of the parameter arrays."""
        return self.traced.parameter_paths

    @cached_property
    def data_positions(self) -> tuple[int, ...]:
        """Which inputs of the graph are data."""
        free = set(self.traced.free)
        return tuple(i for i in range(len(self.traced.leaves)) if i not in free)

    @property
    def data(self) -> tuple[Any, ...]:
        """The data arrays."""
        return tuple(self.traced.leaves[i] for i in self.data_positions)

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum(int(np.prod(p.shape, dtype=np.int64)) for p in self.parameters)

    @property
    def dtype(self) -> str:
        """The dtypes of the parameters, such as 'float32'."""
        return ", ".join(sorted({str(p.dtype) for p in self.parameters}))

    @property
    def rows(self) -> int | None:
        """The length that most data arrays share along their first axis."""
        lengths = [a.shape[0] for a in self.data if getattr(a, "ndim", 0) and a.shape[0] > 1]
        return max(set(lengths), key=lambda n: (lengths.count(n), n)) if lengths else None

    def join(self, parameters: Sequence[Any], data: Sequence[Any]) -> list[Any]:
        """Parameters and data in the order of the graph's inputs."""
        full: list[Any] = [None] * len(self.traced.leaves)
        for i, value in zip(self.traced.free, parameters, strict=True):
            full[i] = value
        for i, value in zip(self.data_positions, data, strict=True):
            full[i] = value
        return full

    def loss(self, parameters: Sequence[Any], data: Sequence[Any]) -> Any:
        """The loss, evaluated from its graph; traceable under jit and grad."""
        return evaluate(self.graph, self.join(parameters, data))[0]


# --- checks ---------------------------------------------------------------------------------------------------


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
    names = parameter_names(loss, len(arguments))
    at = _checked_parameters(problem.at, names[0])
    traced = _traced(loss, [at, *arguments[1:]])
    _check_output(problem, traced, loss)
    lifted, closed_over = lift(traced, loss)
    axis_names = _axis_names(problem.names, at, lifted)
    prepared = Prepared(problem, lifted, rule, name_of(loss), definition(loss), axis_names, closed_over)
    _check_finite_start(prepared)
    return prepared


def _checked_parameters(at: Any, name: str) -> Any:
    leaves = jax.tree_util.tree_leaves_with_path(at)
    if at is None or not leaves:
        raise QedError(
            "QED004",
            f"the parameters {name} are empty",
            "a derivative needs something to vary",
            f"give at={name}",
        )
    plain = _plain(at)
    floats = 0
    for path, leaf in leaves:
        where = name + jax.tree_util.keystr(path)
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "OSUMm":
            raise QedError(
                "QED003",
                f"{where} is a NumPy array of dtype {leaf.dtype}",
                "it does not hold numbers",
                f"give {where} as an array of floats",
            )
        if is_float(leaf):
            floats += int(np.prod(np.shape(leaf), dtype=np.int64))
        elif isinstance(leaf, complex) or (is_array(leaf) and _kind(leaf) == "c"):
            raise QedError(
                "QED003",
                f"{where} is complex",
                "a real loss has no complex derivative here",
                "use real and imaginary parts",
            )
        elif plain and (isinstance(leaf, bool | int) or (is_array(leaf) and _kind(leaf) in "biu")):
            kind = getattr(leaf, "dtype", type(leaf).__name__)
            raise QedError(
                "QED003",
                f"{where} is of dtype {kind}",
                "a loss has a derivative only in floating-point parameters",
                f"use {where}.astype(float), or pass it as data in args",
            )
    if floats == 0:
        has_any = any(is_float(leaf) for _, leaf in leaves)
        code, because = (
            ("QED004", "every array in it has size 0") if has_any else ("QED003", "no leaf of it is a float")
        )
        raise QedError(
            code,
            f"the parameters {name} hold no floating-point number",
            because,
            f"give at={name} as float arrays",
        )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if is_float(leaf) else leaf, at)


def _kind(leaf: Any) -> str:
    if is_extended(jnp.result_type(leaf)):
        return "k"
    return np.dtype(jnp.result_type(leaf)).kind


def _plain(tree: Any) -> bool:
    """Whether the tree is made of plain containers only; modules may carry integers that are not trained."""
    if isinstance(tree, dict):
        return all(_plain(value) for value in tree.values())
    if isinstance(tree, list | tuple):
        return all(_plain(value) for value in tree)
    return jax.tree_util.all_leaves([tree])


def _traced(loss: Callable[..., Any], arguments: Sequence[Any]) -> Traced:
    try:
        return trace(loss, *arguments)
    except QedError:
        raise
    except NotNumeric as error:
        raise QedError(
            "QED002",
            f"{name_of(loss)} returns a {type(error.value).__name__}",
            "a loss is one number",
            "return one scalar, such as the mean",
            definition(loss),
        ) from error
    except Exception as error:
        raise why_not_traceable(error, loss, arguments) from error


def _check_output(problem: Problem, traced: Traced, loss: Any) -> None:
    name, span = name_of(loss), definition(loss)
    shape_of = jax.tree_util.tree_unflatten(traced.out_tree, list(traced.graph.outputs))
    value = shape_of
    if problem.has_aux:
        if not (isinstance(shape_of, tuple) and len(shape_of) == 2):
            raise QedError(
                "QED002",
                f"{name} returns no pair",
                "has_aux=True says (loss, auxiliary)",
                "return loss, aux, or drop has_aux",
                span,
            )
        value = shape_of[0]
    elif isinstance(shape_of, tuple) and len(shape_of) == 2 and getattr(shape_of[0], "shape", None) == ():
        raise QedError(
            "QED002",
            f"{name} returns a pair",
            "a loss is one number",
            "give has_aux=True (--has-aux) if it is (loss, auxiliary)",
            span,
        )
    if value is None:
        raise QedError("QED002", f"{name} returns None", "a loss is one number", "return the loss", span)
    if not hasattr(value, "shape"):
        raise QedError(
            "QED002",
            f"{name} returns a {type(value).__name__}",
            "a loss is one number",
            "return one scalar, such as the mean",
            span,
        )
    if value.shape != ():
        raise QedError(
            "QED002",
            f"{name} returns an array of shape {list(value.shape)}",
            "a gradient needs one number",
            "return jnp.mean(...) or jnp.sum(...) of it",
            span,
        )
    if not is_real(value.dtype):
        raise QedError(
            "QED002",
            f"{name} returns dtype {value.dtype}",
            "a loss must be a floating-point number",
            "compute it in floats",
            span,
        )


# --- names ----------------------------------------------------------------------------------------------------


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


def _check_finite_start(prepared: Prepared) -> None:
    for path, value in zip(prepared.paths, prepared.parameters, strict=True):
        wrong = ~np.isfinite(np.asarray(value).astype(np.float64))
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise QedError(
                "QED006",
                f"the parameter {path} holds {int(wrong.sum())} non-finite numbers before the first step",
                f"{path}{list(first) if first else ''} = {np.asarray(value)[first]}",
                "start from finite parameters",
                detail={"path": path, "index": list(first), "count": int(wrong.sum())},
            )
