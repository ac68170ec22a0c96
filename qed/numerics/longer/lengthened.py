"""The graph of a function in float64: the same equations on wider numbers, its constants as they were rounded.

Every real dtype of the graph becomes float64, in its variables and in the parameters of its equations; a float32 0.1
stays the number that it was. JAX's own library functions keep their derivative rules. The result is a graph like any
other, which can be rewritten: constants that a rewriting puts in have all digits, and its thresholds are those of
float64.

Not every graph has one (`lengthened` gives None): not where the program asks for its own rounding (several real dtypes
but for the float32 in which JAX sums 16-bit numbers, `reduce_precision`, bits), where it holds a derivative rule of the
user's, or anything that is no arithmetic on few numbers: loops without a known length, products of matrices,
decompositions, random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jax import lax

from qed import facts
from qed.calculus.gradient.kept import Kept
from qed.domains.shadow import widened_native
from qed.domains.widened import Widened, own_dtype
from qed.graph.build import Builder
from qed.graph.calls import Inline, Scan
from qed.graph.defined import library_rule
from qed.graph.dtypes import as_wide, is_inexact, is_real, wide
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.replay import Place
from qed.graph.tape import Frame

EQUATIONS = 400
"""The largest graph."""
ELEMENTS = 1024
"""The largest array."""
JACOBIAN = 4096
"""The largest derivative, as a matrix."""
SHORT = frozenset(["float32", "float16", "bfloat16"])
TERMS = 64
"""The longest sum of products."""
ROWS = 4
"""The largest square matrix."""
PRODUCTS = 32
"""How many multiplications any other product of matrices may take."""

_INLINED = ("jit", "closed_call", "core_call", "named_call", "remat")
_MOVED = frozenset([facts.Class.LINEAR, facts.Class.SELECT, facts.Class.COMPARE, facts.Class.ZERO_DERIVATIVE])
_KINDS = _MOVED | {facts.Class.UNARY, facts.Class.ARITHMETIC, facts.Class.REDUCE}


BY_PYTHON = frozenset(
    "argmax argmin bessel_i0e bessel_i1e igamma igammac igamma_grad_a random_gamma_grad "
    "regularized_incomplete_beta".split()
)
"""What JAX writes out when it compiles, in the dtypes that are enabled then."""


def lengthened(graph: Graph) -> Graph | None:
    """The graph in float64, or None where longer numbers are not for it.

    Args:
        graph: the graph of a function as written.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: 0.1 * x, jnp.float32(1)).graph
        >>> wider = lengthened(graph)
        >>> wider.outputs, wider.equations[0].inputs[0]
        ((v:float64[],), 0.10000000149011612)
    """
    if not is_small_arithmetic(graph, SHORT):
        return None
    with jax.enable_x64(True):
        return _Longer(Kept(graph)).graph(graph)


def is_small_arithmetic(graph: Graph, dtypes: frozenset[str], lengthened: bool = False) -> bool:
    """Whether a graph is arithmetic on few numbers, all real ones of one dtype, which is among some.

    Args:
        graph: the graph of a function as written.
        dtypes: their names.
        lengthened: whether it was made by `lengthened`, and its derivative rules are known to be JAX's own.
    """
    inside = sum(math.prod(v.shape) for v in graph.inputs if is_real(v.dtype))
    outside = sum(math.prod(v.shape) for v in graph.outputs if is_real(v.dtype))
    if inside * outside > JACOBIAN or not inside or graph.count() > EQUATIONS:
        return False
    found = {str(v.dtype) for g in _graphs(graph) for v in _variables(g) if is_inexact(v.dtype)}
    if len(found) == 2 and "float32" in found and _accumulates(graph):
        found -= {"float32"}
    return len(found) == 1 and found <= dtypes and _elementary(graph, dtypes <= SHORT, lengthened)


def _accumulates(graph: Graph) -> bool:
    """Whether a function of 16-bit numbers uses float32 for sums alone, as JAX's own do: no rounding is looked at.

    A number that is rounded to 16 bits has no other use, so that nothing can be made of what the rounding left.
    """
    if any(str(v.dtype) == "float32" for v in (*graph.inputs, *graph.outputs)):
        return False
    for each in _graphs(graph):
        uses = [v for e in each.equations for v in e.inputs if isinstance(v, Variable)]
        uses += [v for v in each.outputs if isinstance(v, Variable)]
        for equation in each.equations:
            if equation.primitive != "convert_element_type" or not is_real(equation.inputs[0].dtype):
                continue
            wide_number, made = equation.inputs[0], equation.outputs[0]
            if isinstance(wide_number, Variable) and str(wide_number.dtype) == "float32" != str(made.dtype):
                if uses.count(wide_number) != 1 or wide_number in each.inputs:
                    return False
    return True


def _graphs(graph: Graph) -> list[Graph]:
    inner = [e.call.graphs for e in graph.walk() if e.call is not None]
    return [graph, *(g for graphs in inner for g in graphs)]


def _variables(graph: Graph) -> list[Atom]:
    made = [variable for equation in graph.equations for variable in equation.outputs]
    return [*graph.inputs, *made, *(variable for variable, _ in graph.constants)]


def _elementary(graph: Graph, short: bool, trusted: bool) -> bool:
    """Whether a graph is arithmetic on few numbers."""
    small = all(math.prod(v.shape) <= ELEMENTS for g in _graphs(graph) for v in _variables(g))
    allowed = small and all(_allowed(equation, short, trusted) for equation in graph.walk())
    return allowed and _short_products(graph, [False] * len(graph.inputs))


def _allowed(equation: Equation, short: bool, trusted: bool) -> bool:
    """Whether an equation is one of those that are done in longer numbers."""
    name, call = equation.primitive, equation.call
    if equation.native is None:
        return False
    if isinstance(call, Inline):
        return name in _INLINED or (name == "custom_jvp_call" and (trusted or library_rule(equation.native)))
    if isinstance(call, Scan):
        return not call.body.constants and call.length * call.body.count() <= EQUATIONS
    if call is not None or own_dtype(equation) or name in ("reduce_precision", "custom_linear_solve"):
        return False
    if name in BY_PYTHON:
        return not short
    return name == "dot_general" or facts.classify(name) in _KINDS


def _short_products(graph: Graph, fixed: Sequence[bool]) -> bool:
    """Whether products are of two vectors, by a small square matrix that no input decides, or tiny: none is a layer.

    Args:
        graph: a graph.
        fixed: which of its inputs depend on nothing.
    """
    known = {v for v, constant in zip(graph.inputs, fixed, strict=True) if constant} | {v for v, _ in graph.constants}

    def constant(atom: Atom) -> bool:
        return isinstance(atom, Literal) or atom in known

    for equation in graph.equations:
        given = list(map(constant, equation.inputs))
        known.update(equation.outputs if all(given) else ())
        if isinstance(equation.call, Inline) and not _short_products(equation.call.graph, given):
            return False
        if isinstance(equation.call, Scan) and not _short_products(equation.call.body, [False] * len(given)):
            return False
        if equation.primitive == "dot_general" and not _short_product(equation, given):
            return False
    return True


def _short_product(equation: Equation, fixed: Sequence[bool]) -> bool:
    ((left, _), _) = equation.params["dimension_numbers"]
    x = equation.inputs[0]
    if not equation.outputs[0].shape:
        return math.prod(x.shape[i] for i in left) <= TERMS
    if math.prod(x.shape[i] for i in left) * math.prod(equation.outputs[0].shape) <= PRODUCTS:
        return True
    sizes = {size for each in equation.inputs for size in each.shape}
    return any(fixed) and len(sizes) == 1 and max(sizes) <= ROWS


class _Longer:
    """Copies graphs, each once."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.known: dict[int, Graph] = {}
        self.keep: list[Graph] = []

    def graph(self, graph: Graph) -> Graph:
        """A graph in float64."""
        if id(graph) not in self.known:
            self.keep.append(graph)
            self.known[id(graph)] = self._graph(graph)
        return self.known[id(graph)]

    def _graph(self, graph: Graph) -> Graph:
        made: dict[Variable, Variable] = {}

        def variable(old: Variable) -> Variable:
            return made.setdefault(old, replace(old, dtype=wide(old.dtype)) if is_real(old.dtype) else old)

        def atom(old: Atom) -> Atom:
            if isinstance(old, Variable):
                return variable(old)
            return Literal(np.float64(old.value), old.shape, wide(old.dtype)) if is_real(old.dtype) else old

        equations = tuple(
            self._equation(e, tuple(map(atom, e.inputs)), tuple(map(variable, e.outputs)), graph)
            for e in graph.equations
        )
        return Graph(
            tuple(map(variable, graph.inputs)),
            equations,
            tuple(map(atom, graph.outputs)),
            tuple((variable(v), as_wide(value) if is_real(v.dtype) else value) for v, value in graph.constants),
            graph.name,
            graph.span,
        )

    def _equation(
        self, equation: Equation, inputs: Sequence[Atom], outputs: Sequence[Variable], graph: Graph
    ) -> Equation:
        params, call, native = dict(equation.params), equation.call, equation.native
        name = equation.primitive
        if isinstance(call, Inline):
            call = replace(call, graph=self.graph(call.graph))
            if name == "custom_jvp_call":
                native = self._with_rule(equation, graph)
            if native is None or name == "remat":
                name, native = "named_call", equation.native
        elif isinstance(call, Scan):
            call = replace(call, body=self.graph(call.body))
            native = _looped(call, native)
            params |= native.params
        else:
            native = widened_native(native)
            params = {key: native.params.get(key, value) for key, value in params.items()}
        return replace(
            equation, primitive=name, inputs=tuple(inputs), outputs=tuple(outputs), params=params, call=call,
            native=native,
        )  # fmt: skip

    def _with_rule(self, equation: Equation, graph: Graph) -> Any:
        """The equation of JAX in float64, with its rule; None where it cannot be made."""
        attached = self.kept(equation, Place(Frame(graph)))
        if attached is None:
            return None
        avals = [jax.ShapeDtypeStruct(a.shape, wide(a.dtype)) for a in equation.inputs]
        traced = jax.make_jaxpr(lambda *values: attached(Widened(self.kept), values))(*avals)
        found = traced.eqns
        if len(found) != 1 or list(found[0].invars) != list(traced.jaxpr.invars):
            return None
        if list(found[0].outvars) != list(traced.jaxpr.outvars):
            return None
        return found[0].replace(source_info=equation.native.source_info)


def _looped(call: Scan, native: Any) -> Any:
    """The loop of JAX that runs a body in float64: another body, the rest as it is.

    Tracing a scan anew would take carries that do not change out of the loop, and with them its outputs.
    """
    builder = Builder()
    given = builder.inputs(call.body)
    step = builder.function(builder.inline(call.body, given), given)

    def body(*values: Any) -> list[Any]:
        return [lax.convert_element_type(x, v.dtype) for x, v in zip(step(*values), call.body.outputs, strict=True)]

    traced = jax.make_jaxpr(body)(*(jax.ShapeDtypeStruct(v.shape, v.dtype) for v in call.body.inputs))
    return native.replace(params={**native.params, "jaxpr": traced})


__all__ = ["is_small_arithmetic", "lengthened"]
