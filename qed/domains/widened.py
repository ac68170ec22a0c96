"""The graph as a function in float64 that JAX can compile and differentiate.

The shadow (`qed.domains.shadow`) evaluates a graph in float64 beside the program, value by value. This is the same
arithmetic as a function: every floating-point number is carried in float64, the dtypes in the parameters of
equations are widened with it, and the graph is the program's own, traced once under its own configuration; tracing
it again under another precision would give another function. Calls with a derivative rule lose the rule and become
what they call, unless `keep` says otherwise: then the rule is attached again, in float64.

What is defined by bits, not by real numbers, is done in the program's own dtype and widened: bit casts, random
numbers, callbacks, foreign code, and reductions by a user's function. A graph that holds such an equation on floating
numbers is `narrow`: it is no more accurate than the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from qed import facts
from qed.graph import jaxpr
from qed.graph.calls import Inline, While
from qed.graph.dtypes import is_extended, is_inexact, is_real, unit_roundoff, wide
from qed.graph.graph import Atom, Equation, Graph, Literal
from qed.graph.replay import Place, Records, Replay

_DTYPE_PARAMS = ("new_dtype", "preferred_element_type", "dtype")
_SCATTERS = ("scatter", "scatter-add", "scatter-max", "scatter-min", "scatter-mul", "scatter-sub")
_SILENT = frozenset({"debug_callback", "debug_print", "inspect_sharding"})
_OWN = frozenset(
    {"bitcast_convert_type", "nextafter", "reduce", "reduce_window", "scatter_apply", "select_and_scatter"}
)


def widen(value: Any) -> Any:
    """Floating-point numbers in float64 (complex128); anything else as it is. Under `jax.enable_x64`."""
    if is_extended(getattr(value, "dtype", None)):
        return value
    found = jnp.asarray(value)
    return found.astype(wide(found.dtype)) if is_inexact(found.dtype) else found


def rounding_of(array: Any, dtype: Any) -> float:
    """The unit roundoff of a constant's dtype; 0 where all its numbers are short (1, 0.5, -3), and so surely exact.

    Example:
        >>> rounding_of(np.float32(0.5), np.dtype("float32")), rounding_of(np.float32(0.1), np.dtype("float32")) > 0
        (0.0, True)
    """
    if not is_real(dtype):
        return 0.0
    unit = unit_roundoff(dtype)
    numbers = np.asarray(array).astype(np.float64)
    mantissa, _ = np.frexp(np.where(np.isfinite(numbers), numbers, 0.0))
    scaled = mantissa * 2.0 ** min(12.0, -np.log2(unit) / 2)
    return 0.0 if bool(np.all(scaled == np.round(scaled))) else unit


def largest_rounding(graph: Graph) -> float:
    """The largest unit roundoff of the constants in a graph, those of called graphs included."""
    found = [rounding_of(array, variable.dtype) for variable, array in graph.constants]
    for equation in graph.equations:
        found += [rounding_of(a.value, a.dtype) for a in equation.inputs if isinstance(a, Literal)]
        found += [largest_rounding(inner) for inner in (equation.call.graphs if equation.call is not None else ())]
    return max(found, default=0.0)


def own_dtype(equation: Equation) -> bool:
    """Whether an equation is done in the program's own dtype, because it is defined by bits or lies outside."""
    kind = facts.classify(equation.primitive)
    return equation.primitive in _OWN or kind in (facts.Class.RANDOM, facts.Class.EFFECT, None)


def is_narrow(graph: Graph) -> bool:
    """Whether a graph holds an equation that hands on floating-point numbers in the program's own dtype."""
    return any(
        own_dtype(equation)
        and any(is_inexact(atom.dtype) for atom in equation.inputs)
        and any(is_inexact(variable.dtype) for variable in equation.outputs)
        for equation in graph.walk()
        if equation.call is None
    )


class Widened(Replay):
    """A graph in float64.

    Args:
        keep: (equation, place) -> the derivative rule to attach again, or None to strip it.
        stop: (equation, place) -> the share of the derivative that a stop_gradient lets through (0 stops all, 1
            none), or None for 0.
        extra: how many steps more every while loop makes than its condition says.
        rounded: (atom, value) -> value, for constants that were rounded to the program's dtype.
    """

    def __init__(
        self,
        keep: Callable[[Equation, Place], Callable[..., Any] | None] | None = None,
        stop: Callable[[Equation, Place], Any] | None = None,
        extra: int = 0,
        rounded: Callable[[Atom, Any], Any] | None = None,
    ) -> None:
        self.keep = keep
        self.stop = stop
        self.extra = extra
        self.rounded = rounded

    def __call__(self, graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        """The outputs of a graph; call it under `jax.enable_x64`."""
        return self.run(graph, [widen(value) for value in inputs])[0]

    def constant(self, atom: Atom, array: Any) -> Any:
        """The same number, widened."""
        if atom.dtype is not None and not isinstance(array, jax.Array):
            array = np.asarray(array, atom.dtype)
        value = widen(array)
        return value if self.rounded is None or not is_real(atom.dtype) else self.rounded(atom, value)

    def inline(
        self, call: Inline, equation: Equation, values: Sequence[Any], place: Place
    ) -> tuple[Sequence[Any], Records]:
        """A call; its rule is stripped unless it is kept."""
        kept = self.keep(equation, place) if self.keep is not None and call.custom else None
        if kept is not None:
            return kept(self, values), {}
        return self.walk(call.graph, values, place.into(call.graph, equation))

    def loop(self, call: While, equation: Equation, values: Sequence[Any], place: Place) -> tuple[Any, Records]:
        """A while loop, and `extra` steps after its end."""
        outs, notes = super().loop(call, equation, values, place)
        fixed = list(values[call.condition_constants : call.condition_constants + call.body_constants])
        for _ in range(self.extra):
            outs, _ = self.walk(call.body, [*fixed, *outs], place.into(call.body, equation))
        return outs, notes

    def leaf(self, equation: Equation, values: Sequence[Any], place: Place) -> Sequence[Any]:
        """One equation, with the dtypes in its parameters widened."""
        primitive, native = equation.primitive, equation.native
        if primitive in _SILENT:
            return ()
        if primitive == "stop_gradient":
            share = self.stop(equation, place) if self.stop is not None else None
            return [lax.stop_gradient(x) if share is None else _scaled(x, share) for x in values]
        if primitive == "reduce_precision":
            return (values[0],)
        if primitive in _SCATTERS:
            return (_scatter(native, values),)
        if primitive == "custom_linear_solve":
            kept = self.keep(equation, place) if self.keep is not None else None
            return self._solve(equation, values) if kept is None else kept(self, values)
        if own_dtype(equation):
            return _in_own_dtype(equation, values)
        changed = {key: wide(native.params[key]) for key in _DTYPE_PARAMS if is_inexact(native.params.get(key))}
        return jaxpr.bind(native, values, **changed)

    def _solve(self, equation: Equation, values: Sequence[Any]) -> Sequence[Any]:
        """A linear solve, with what it was given to multiply and to solve with in float64 too."""
        parts = jaxpr.linear_solve(equation.native)
        taken = 0
        functions: dict[str, Any] = {}
        for name, (graph, count) in parts.items():
            constants = values[taken : taken + count]
            taken += count
            functions[name] = None if graph is None else self._function(graph, constants)
        right = list(values[taken:])

        def solver(name: str) -> Any:
            inner = functions[name]
            return None if inner is None else lambda _, b: inner(b)

        found = lax.custom_linear_solve(
            functions["matvec"],
            right,
            solver("solve"),
            solver("transpose_solve"),
            equation.params.get("symmetric", False),
        )
        return list(found)

    def _function(self, graph: Graph, constants: Sequence[Any]) -> Callable[[Any], Any]:
        return lambda b: self.run(graph, [*constants, *b])[0]


def _scatter(native: Any, values: Sequence[Any]) -> Any:
    """Scatters hold their operation as a graph in the program's dtype: here it is made anew."""
    scatter = getattr(lax, native.primitive.name.replace("-", "_"))
    keywords = {key: native.params[key] for key in ("indices_are_sorted", "unique_indices", "mode")}
    return scatter(*values, native.params["dimension_numbers"], **keywords)


def _in_own_dtype(equation: Equation, values: Sequence[Any]) -> Sequence[Any]:
    narrow = [
        value.astype(atom.dtype) if is_inexact(atom.dtype) and value.dtype != atom.dtype else value
        for atom, value in zip(equation.inputs, values, strict=True)
    ]
    return [widen(value) for value in jaxpr.bind(equation.native, narrow)]


@jax.custom_jvp
def _scaled(x: Any, share: Any) -> Any:
    """The number itself; its derivative multiplied by a share."""
    return x


@_scaled.defjvp
def _scaled_jvp(primals: Any, tangents: Any) -> Any:
    x, share = primals
    return x, tangents[0] * share.astype(x.dtype)


def compiled(function: Callable[..., Any], by: Callable[..., Any] = jax.jit) -> Callable[..., Any]:
    """A function of arrays, compiled `by` and called under `jax.enable_x64`, inputs widened, outputs in NumPy."""
    fast = by(function)

    def call(*arguments: Any) -> Any:
        with jax.enable_x64(True):
            return jax.tree.map(_plain, fast(*arguments))

    return call


def _plain(value: Any) -> Any:
    return value if is_extended(value.dtype) else np.asarray(value)
