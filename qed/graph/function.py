"""A user's function at a point, read and checked: what every question about a derivative begins with.

The function is traced once; the arrays that it closes over become inputs beside its arguments (they are data like
any other). What cannot have a derivative in the first argument is refused here, with a code and the user's line: a
value that is no scalar, parameters that are no floating-point numbers, a function that cannot be traced. What
remains is one function of two tuples of arrays, ``value(parameters, data) -> scalar``, with a name for every array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph.closed_over import lift
from qed.graph.dtypes import is_extended, is_real
from qed.graph.graph import Graph
from qed.graph.jaxpr import concrete, evaluate
from qed.graph.trace import NotNumeric, Traced, is_array, is_float, parameter_names, path_name, trace
from qed.graph.untraceable import definition, name_of, why_not_traceable
from qed.span import Span


@dataclass(frozen=True, eq=False)
class Function:
    """A function, traced at a point.

    Args:
        fun: the user's function.
        traced: graph, inputs (closed-over arrays included), their names.
        name: the function's name; `span` the line of its definition.
        closed_over: how many of the last inputs were closed over.
        own: the trace with the closed-over arrays as constants: its inputs are the function's own.
    """

    fun: Callable[..., Any]
    traced: Traced
    name: str
    span: Span | None
    closed_over: int
    own: Traced | None = None

    @property
    def graph(self) -> Graph:
        """The graph; its inputs are all arrays, its first output is the value."""
        return self.traced.graph

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The arrays of the first argument in which derivatives are taken."""
        return self.traced.parameters

    @property
    def paths(self) -> tuple[str, ...]:
        """The names of the parameter arrays, such as ``w['W']``."""
        return self.traced.parameter_paths

    @cached_property
    def coordinates(self) -> tuple[str, ...]:
        """The name of each number of the parameters, such as ``w['b'][2]``."""
        each = zip(self.paths, self.parameters, strict=True)
        return tuple(path + indexed(k) for path, array in each for k in np.ndindex(np.shape(array)))

    @cached_property
    def data_positions(self) -> tuple[int, ...]:
        """Which inputs of the graph are data."""
        free = set(self.traced.free)
        return tuple(i for i in range(len(self.traced.leaves)) if i not in free)

    @property
    def data(self) -> tuple[Any, ...]:
        """The arrays that are held constant."""
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
    def moving(self) -> tuple[str, ...]:
        """The names of the arguments that the parameters are."""
        return tuple(dict.fromkeys(path.split("[")[0].split(".")[0] for path in self.paths or ("x",)))

    def title(self, of: str = "number") -> str:
        """The first line of an answer: the function, its place, how many numbers it is asked about.

        Args:
            of: what the numbers are called, in the singular.
        """
        place = "" if self.span is None else f"   {self.span}"
        return f"{self.name}({', '.join(self.moving)}){place}   {self.size} {of}{'s' * (self.size != 1)}, {self.dtype}"

    def join(self, parameters: Sequence[Any], data: Sequence[Any] | None = None) -> list[Any]:
        """Parameters and data (by default the function's own) in the order of the graph's inputs."""
        full: list[Any] = [None] * len(self.traced.leaves)
        for i, array in zip(self.traced.free, parameters, strict=True):
            full[i] = array
        for i, array in zip(self.data_positions, self.data if data is None else data, strict=True):
            full[i] = array
        return full

    def at(self, parameters: Sequence[Any]) -> Function | None:
        """The function as it is read at other parameters; None where their types are others: it is traced anew then."""
        old, new = ([(a.shape, a.dtype, a.weak_type) for a in arrays] for arrays in (self.parameters, parameters))
        if old != new:
            return None
        own = None if self.own is None else _with(self.own, parameters)
        return replace(self, traced=_with(self.traced, parameters), own=own)

    def value(self, parameters: Sequence[Any], data: Sequence[Any] | None = None) -> Any:
        """The function's value, evaluated from its graph; traceable under jit and grad."""
        return evaluate(self.graph, self.join(parameters, data))[0]


def _with(traced: Traced, parameters: Sequence[Any]) -> Traced:
    """The same with other values of the free inputs."""
    new = dict(zip(traced.free, parameters, strict=True))
    return replace(traced, leaves=tuple(new.get(i, leaf) for i, leaf in enumerate(traced.leaves)))


def indexed(place: tuple[int, ...]) -> str:
    """A place in an array as it is written behind the array's name; nothing behind that of a single number.

    >>> indexed((1, 0)), indexed(())
    ('[1, 0]', '')
    """
    return f"[{', '.join(map(str, place))}]" if place else ""


def read(
    fun: Callable[..., Any],
    x: Any,
    *args: Any,
    has_aux: bool | None = None,
    finite: bool = True,
    scalar: bool = True,
) -> Function:
    """Trace and check ``fun(x, *args)``, a scalar to be differentiated in x.

    Args:
        fun: the function; with `has_aux` it returns (scalar, auxiliary).
        x: any pytree with floating-point leaves.
        args: the data, any pytrees.
        has_aux: whether the function returns a pair whose first part is the scalar; None where the question cannot be
            told so.
        finite: whether x must hold finite numbers only.
        scalar: whether it must return one number; without it, any tree of arrays, one of them of floats.

    Raises:
        QedError: QED002 (no scalar), QED003 (integer or complex parameters), QED004 (empty), QED006 (NaN or inf in
            x), QED007 (the call failed), QED010 (not traceable), each with the user's line where there is one.

    Example:
        >>> import jax.numpy as jnp
        >>> data = jnp.array([1.0, 2.0])
        >>> found = read(lambda w: jnp.sum(data * w), jnp.ones(2))
        >>> found.paths, found.traced.paths, float(found.value(found.parameters))
        (('w',), ('w', 'data'), 3.0)
    """
    if not callable(fun):
        raise QedError("QED007", f"a {type(fun).__name__} is no function", "it cannot be called", "give a function")
    name = parameter_names(fun, 1 + len(args))[0]
    traced = _traced(fun, [_checked_parameters(x, name), *args])
    if scalar:
        _check_output(traced, fun, has_aux)
    else:
        _check_floats(traced, fun)
    lifted, closed_over = lift(traced, fun)
    if finite:
        _check_finite(lifted)
    return Function(fun, lifted, name_of(fun), definition(fun), closed_over, traced)


def _checked_parameters(at: Any, name: str) -> Any:
    leaves = jax.tree_util.tree_leaves_with_path(at)
    if at is None or not leaves:
        raise QedError(
            "QED004",
            f"the parameters {name} are empty",
            "a derivative needs something to vary",
            f"give {name} an array of floats, or a tree with one",
        )
    plain = _plain(at)
    floats = 0
    for path, leaf in leaves:
        where = path_name((jax.tree_util.SequenceKey(0), jax.tree_util.SequenceKey(0), *path), [name])
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
            cast = f"{where}.astype(float)" if hasattr(leaf, "astype") else f"float({where})"
            raise QedError(
                "QED003",
                f"{where} is of dtype {kind}",
                "a loss has a derivative only in floating-point parameters",
                f"use {cast}, or pass it as data in args",
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
            f"give {name} an array of floats, or a tree with one",
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


def _traced(fun: Callable[..., Any], arguments: Sequence[Any]) -> Traced:
    try:
        return trace(fun, *arguments)
    except QedError:
        raise
    except NotNumeric as error:
        raise QedError(
            "QED002",
            f"{name_of(fun)} returns a {type(error.value).__name__}",
            "a loss is one number",
            "return one scalar, such as the mean",
            definition(fun),
        ) from error
    except Exception as error:
        raise why_not_traceable(error, fun, arguments) from error


def _check_output(traced: Traced, fun: Any, has_aux: bool | None) -> None:
    name, span = name_of(fun), definition(fun)
    shape_of = jax.tree_util.tree_unflatten(traced.out_tree, list(traced.graph.outputs))
    value = shape_of
    if has_aux:
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
            f"ask about lambda *given: {name}(*given)[0]"
            if has_aux is None
            else "give has_aux=True (--has-aux) if it is (loss, auxiliary)",
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
            "the question is about one number",
            "return jnp.mean(...) or jnp.sum(...) of it",
            span,
        )
    if not is_real(value.dtype):
        raise QedError(
            "QED002",
            f"{name} returns dtype {value.dtype}",
            "the answer must be about a floating-point number",
            "ask about its real and its imaginary part"
            if np.dtype(value.dtype).kind == "c"
            else "compute it in floats",
            span,
        )


def _check_floats(traced: Traced, fun: Any) -> None:
    """Without a floating-point number among the outputs there is nothing to judge."""
    outputs = traced.graph.outputs
    if any(is_real(atom.dtype) and 0 not in atom.shape for atom in outputs):
        return
    kinds = ", ".join(sorted({str(atom.dtype) for atom in outputs})) or "nothing"
    empty = any(is_real(atom.dtype) for atom in outputs)
    raise QedError(
        "QED002",
        f"{name_of(fun)} returns " + ("arrays of size 0" if empty else kinds),
        "there is no number in it" if empty else "that is no real floating-point number: it has no digits to lose",
        "return a float",
        definition(fun),
    )


def confirm_known(function: Function) -> None:
    """Raise QED010 where a number that the function was given, or closes over, is that of a program being made.

    Under jit, grad and vmap numbers are not known while the program is made, and nothing can be said of them.
    """
    _check_known(function.traced)


def _check_known(traced: Traced) -> None:
    if all(map(concrete, traced.leaves)):
        return
    raise QedError(
        "QED010",
        "the question is asked under jit, grad or vmap",
        "the numbers are not known while the program is made (traced), and an answer is about numbers",
        "ask outside of the transformation; qed.minimize(fun, x0, compiled=True) gives its value under one",
    )


def _check_finite(traced: Traced) -> None:
    if not all(map(concrete, traced.parameters)):
        _check_known(traced)
    for path, value in zip(traced.parameter_paths, traced.parameters, strict=True):
        wrong = ~np.isfinite(np.asarray(value).astype(np.float64))
        if wrong.any():
            first = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise QedError(
                "QED006",
                f"the parameter {path} holds {int(wrong.sum())} non-finite number{'s' * (int(wrong.sum()) > 1)}",
                f"{path}{list(first) if first else ''} = {np.asarray(value)[first]}",
                "start from finite parameters",
                detail={"path": path, "index": list(first), "count": int(wrong.sum())},
            )
