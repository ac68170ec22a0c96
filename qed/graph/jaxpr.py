"""The only file that imports JAX's internals: jaxpr -> Graph, and the evaluation of one equation.

Differences between the supported versions that are absorbed here:

=====================================  ==========================================
JAX 0.10                               JAX 0.12
=====================================  ==========================================
`ClosedJaxpr` wraps `Jaxpr` + consts   one `Jaxpr` that holds its own consts
scan: `num_consts`, `num_carry`        scan: `ft_in`, a tree of three flat lists
`checkpoint`, `remat2`; `pjit`         here always `remat`; `jit`
=====================================  ==========================================
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.extend import core as jex_core

from qed.graph.calls import Call, Cond, Inline, Scan, While
from qed.graph.defined import boundary_of, function_span, name_of
from qed.graph.dtypes import is_inexact
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.source import StackFrame, is_library, user_span
from qed.span import Span

try:  # pragma: no cover - which branch runs depends on the installed JAX
    from jax._src import source_info_util
except ImportError:  # a later JAX may move it; spans are then missing, nothing else
    source_info_util = None

RENAMED = {
    "pjit": "jit",
    "checkpoint": "remat",
    "remat2": "remat",
    "core_closed_call": "closed_call",
    "custom_vjp_call_jaxpr": "custom_vjp_call",
}

_INLINE = {
    "call": "call_jaxpr",
    "closed_call": "call_jaxpr",
    "composite": "jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "eval_jaxpr": "call_jaxpr",
    "jit": "jaxpr",
    "linear_call": "callee",
    "named_call": "call_jaxpr",
    "remat": "jaxpr",
    "remat_opt": "fwd_jaxpr",
    "xla_metadata_call": "jaxpr",
}
"""Where an equation that means "call this graph here" keeps it. A primitive that is not listed is a leaf: one that
maps, shards or runs a kernel holds a jaxpr too, and does not mean a call."""


def primitive_name(primitive: Any) -> str:
    """qed's name of a JAX primitive.

    Example:
        >>> from jax import lax
        >>> primitive_name(lax.exp_p)
        'exp'
    """
    return RENAMED.get(str(primitive.name), str(primitive.name))


def _applies(params: Any) -> bool:
    """Whether a `scatter` applies a function to what stands there (`x.at[i].apply`) and puts nothing in its place."""
    update = params.get("update_jaxpr")
    if update is None:
        return False
    inner = getattr(update, "jaxpr", update)
    return inner.outvars[0] is not inner.invars[-1]


def _usual_branch(eqn: Any) -> Any:
    """The branch for any platform, where a choice is one of platforms (`jnp.diag`): all compute one function."""
    platforms = eqn.params.get("branches_platforms")
    return eqn.params["branches"][platforms.index(None)] if platforms and None in platforms else None


def _without_platforms(equations: Sequence[Equation], outputs: Sequence[Atom]) -> tuple[Equation, ...]:
    """The equations but for those that ask for the platform and are not needed any more."""
    used = {*outputs, *(atom for equation in equations for atom in equation.inputs)}
    return tuple(e for e in equations if e.primitive != "platform_index" or used & set(e.outputs))


class Reader:
    """Converts jaxprs; one inner jaxpr becomes one Graph however often it is called."""

    def __init__(self) -> None:
        self._graphs: dict[int, Graph] = {}
        self._keep: list[Any] = []  # ids stay valid while the jaxprs live
        self._placed = True  # whether equations are read with the user's lines
        self._spans: dict[Any, Span | None] = {}

    def graph(self, jaxpr: Any, names: Sequence[str] = (), consts: Sequence[Any] | None = None) -> Graph:
        """The Graph of a (closed) jaxpr.

        Args:
            jaxpr: a `Jaxpr` or `ClosedJaxpr` of the installed version.
            names: names for the inputs, where known.
            consts: values of its constant variables; default its own.
        """
        found = self._graphs.get(id(jaxpr))
        if found is not None:
            return found
        inner = getattr(jaxpr, "jaxpr", jaxpr)
        values = list(getattr(jaxpr, "consts", ()) if consts is None else consts)
        variables: dict[Any, Variable] = {}
        constants = tuple((define(variables, v), c) for v, c in zip(inner.constvars, values, strict=True))
        padded = list(names) + [""] * (len(inner.invars) - len(names))
        inputs = tuple(define(variables, v, name or None) for v, name in zip(inner.invars, padded, strict=False))
        more: list[tuple[Variable, Any]] = []
        made = self.equations(inner.eqns, variables, boundary_of(inner), more)
        outputs = tuple(atom_of(variables, v) for v in inner.outvars)
        equations = _without_platforms(made, outputs)
        constants = (*constants, *more)
        graph = Graph(inputs, equations, outputs, constants, name=name_of(inner), span=function_span(inner))
        self._graphs[id(jaxpr)] = graph
        self._keep.append(jaxpr)
        return graph

    def equations(
        self, eqns: Sequence[Any], variables: dict, boundary: tuple[str, str] | None, more: list[tuple[Variable, Any]]
    ) -> list[Equation]:
        """Equations, those of `ONCE` in place of their calls; the constants of these are added to the others."""
        made: list[Equation] = []
        for eqn in eqns:
            span = self._span(eqn, boundary) if self._placed else None
            if eqn.params.get("name") != ONCE:
                made.append(self._equation(eqn, variables, span))
            else:
                made += self._once(eqn, eqn.source_info, variables, span, more)
        return made

    def called(
        self, eqns: Sequence[Any], source: Any, variables: dict, span: Span | None, more: list[tuple[Variable, Any]]
    ) -> list[Equation]:
        """Equations of what was traced once and for all, where it is called.

        Args:
            eqns: some of the equations of a jaxpr.
            source: of the call, as JAX keeps it.
            variables: the atoms of what is known of the jaxpr; those that the equations define are added.
            span: the line of the call.
            more: the constants so far, to which those of the equations are added.
        """
        placed, self._placed = self._placed, False
        made: list[Equation] = []
        for eqn in eqns:
            if eqn.params.get("name") != ONCE:
                made.append(self._equation(_at(eqn, source), variables, span))
            else:
                made += self._once(eqn, _at(eqn, source).source_info, variables, span, more)
        self._placed = placed
        return made

    def _once(
        self, eqn: Any, source: Any, variables: dict, span: Span | None, more: list[tuple[Variable, Any]]
    ) -> list[Equation]:
        closed = eqn.params["jaxpr"]
        inner = getattr(closed, "jaxpr", closed)
        local = dict(zip(inner.invars, (atom_of(variables, v) for v in eqn.invars), strict=True))
        more += [(define(local, v), c) for v, c in zip(inner.constvars, closed.consts, strict=True)]
        made = self.called(inner.eqns, source, local, span, more)
        variables.update((v, atom_of(local, w)) for v, w in zip(eqn.outvars, inner.outvars, strict=True))
        return made

    def source(self, native: Any, scope: bool) -> tuple[Any, Span | None]:
        """What JAX keeps of the place of an equation, by itself or in the scope of what a rewriting emits; its line."""
        if source_info_util is None:
            message = "JAX does not say where its equations are written"
            raise NotImplementedError(message)
        traceback = None if native is None else native.source_info.traceback
        names = source_info_util.new_name_stack(SCOPE) if scope else source_info_util.new_name_stack()
        found = source_info_util.new_source_info().replace(traceback=traceback, name_stack=names)
        return found, None if native is None else self._span(native, None)

    def _span(self, eqn: Any, boundary: tuple[str, str] | None) -> Span | None:
        """The user's line of an equation, looked for once for each stack."""
        key = eqn.source_info.traceback, boundary
        if key not in self._spans:
            self._spans[key] = user_span(stack(key[0]), boundary)
        return self._spans[key]

    def _equation(self, eqn: Any, variables: dict, span: Span | None) -> Equation:
        inputs = tuple(atom_of(variables, v) for v in eqn.invars)
        outputs = tuple(define(variables, v) for v in eqn.outvars)
        name = primitive_name(eqn.primitive)
        usual = _usual_branch(eqn) if name == "cond" else None
        if usual is not None:
            graph = self.graph(usual)
            return Equation("named_call", inputs[1:], outputs, eqn.params, span, Inline(graph, "", graph.name), eqn)
        if name == "scatter" and _applies(eqn.params):
            name = "scatter_apply"
        return Equation(name, inputs, outputs, eqn.params, span, self._call(name, eqn), eqn)

    def _call(self, name: str, eqn: Any) -> Call | None:
        params = eqn.params
        if name == "cond":
            return Cond(tuple(self.graph(branch) for branch in params["branches"]))
        if name == "scan":
            constants, carry = _scan_layout(params)
            body = self.graph(params["jaxpr"])
            return Scan(body, constants, carry, params["length"], bool(params["reverse"]))
        if name == "while":
            return While(
                self.graph(params["cond_jaxpr"]),
                self.graph(params["body_jaxpr"]),
                params["cond_nconsts"],
                params["body_nconsts"],
            )
        if name == "call_hi_primitive":
            return self._expanded(eqn)
        inner = params.get(_INLINE.get(name, ""), params.get("fun_jaxpr") if name == "custom_vjp_call" else None)
        if inner is None or not hasattr(inner, "eqns"):
            return None
        if len(getattr(inner, "jaxpr", inner).invars) != len(eqn.invars):
            return None
        custom = {"custom_jvp_call": "jvp", "custom_vjp_call": "vjp", "linear_call": "vjp"}.get(name, "")
        graph = self.graph(inner)
        return Inline(graph, custom, str(params.get("name") or graph.name))

    def _expanded(self, eqn: Any) -> Call | None:
        """A primitive of JAX 0.12 that says itself what it means (`jnp.searchsorted`); it may bring its own rule."""
        rule = eqn.params["_prim"]

        def expand(*xs: Any) -> list[Any]:
            return jax.tree.leaves(rule.expand(*jax.tree.unflatten(rule.in_tree, xs)))

        jaxpr = jax.make_jaxpr(expand)(*(v.aval for v in eqn.invars))
        floating = any(is_inexact(v.aval.dtype) for v in eqn.outvars)
        return Inline(self.graph(jaxpr), "vjp" if floating else "", type(rule).__name__)


def linear_solve(native: Any) -> dict[str, tuple[Graph | None, int]]:
    """The parts of a custom linear solve: for each its graph (None where there is none) and its number of constants.

    The constants come first among the inputs of the equation, in this order; what is left is the right-hand side.
    """
    reader = Reader()
    jaxprs, lengths = native.params["jaxprs"], native.params["const_lengths"]
    parts = zip(jaxprs._fields, jaxprs, lengths, strict=True)
    return {name: (None if inner is None else reader.graph(inner), int(count or 0)) for name, inner, count in parts}


def _scan_layout(params: Any) -> tuple[int, int]:
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    count = sum(1 for _ in getattr(params["jaxpr"], "invars", ()))
    constants, carry, _ = params["ft_in"].update(list(range(count))).unpack()
    return len(_leaves(constants)), len(_leaves(carry))


def _leaves(flat_tree: Any) -> list[Any]:
    return list(flat_tree.vals) if hasattr(flat_tree, "vals") else jax.tree.leaves(flat_tree)


def define(variables: dict[Any, Any], var: Any, name: str | None = None) -> Variable:
    """A new variable for one of a jaxpr."""
    aval = var.aval
    made = Variable(tuple(getattr(aval, "shape", ())), getattr(aval, "dtype", None), name)
    variables[var] = made
    return made


def atom_of(variables: dict[Any, Any], atom: Any) -> Atom:
    """What stands for an atom of a jaxpr: a literal, or the variable that was made for it."""
    if isinstance(atom, jex_core.Literal):
        aval: Any = atom.aval
        value = atom.val
        if isinstance(value, int | float) and not isinstance(value, bool):  # 0.1 beside float32 is the float32 number
            value = np.dtype(aval.dtype).type(value)
        return Literal(value, tuple(aval.shape), aval.dtype)
    return variables[atom]


# --- source lines ---------------------------------------------------------------------------------------------


def stack(traceback: Any) -> Iterator[StackFrame]:
    """The frames of a JAX traceback, innermost first; empty where JAX recorded none."""
    if traceback is None or source_info_util is None:
        return
    code, lasti = traceback.raw_frames()
    for one, offset in zip(code, lasti, strict=True):
        if is_library(one.co_filename):
            yield StackFrame(one.co_filename, one.co_name, 0, 0, 0, 0)
            continue
        frame = source_info_util.raw_frame_to_frame(one, offset)
        end_line = frame.end_line or frame.start_line
        yield StackFrame(frame.file_name, one.co_name, frame.start_line, frame.start_column, end_line, frame.end_column)


def _at(eqn: Any, info: Any) -> Any:
    """An equation of what is called once and for all, where it is called."""
    own = eqn.source_info.name_stack
    return eqn.replace(source_info=info if not len(own) else info.replace(name_stack=info.name_stack + own))


# --- evaluation of one equation -------------------------------------------------------------------------------


def bind(native: Any, inputs: Sequence[Any], **changed: Any) -> tuple[Any, ...]:
    """Evaluate one JAX equation on arrays (or tracers), with JAX's own implementation.

    Args:
        native: the jaxpr equation.
        inputs: one array per input.
        changed: parameters that replace the equation's own.

    Returns:
        One array per output.
    """
    primitive = native.primitive
    params = primitive.get_bind_params({**native.params, **changed} if changed else native.params)
    if isinstance(params, tuple):  # (functions, parameters), as older versions return them
        functions, params = params
    else:
        functions = ()
    with native.ctx.manager:
        result = primitive.bind(*functions, *inputs, **params)
    return tuple(result) if primitive.multiple_results else (result,)


_DERIVATIVE = frozenset(["jvp", "transpose"])
"""How JAX calls its transformations in the name stack of what it traced."""

SCOPE = "qed"
"""The name scope of what a rewriting emits; its derivative keeps the scope."""
WRITTEN = "qed-written"
"""The name scope, inside of that, of what a rewriting evaluates as it was written."""
ONCE = "qed_once"
"""The name of functions of one operation that JAX differentiates once (`qed.graph.once`)."""


@contextlib.contextmanager
def at_line(native: Any, scope: bool = False) -> Iterator[None]:
    """A context in which what is traced counts as written where an equation was.

    Args:
        native: the equation; None for what has no line.
        scope: whether to trace in the scope of what a rewriting emits.
    """
    traceback = None if native is None else native.source_info.traceback
    if traceback is None or source_info_util is None:
        line: Any = contextlib.nullcontext()
    else:
        line = source_info_util.user_context(traceback, name_stack=source_info_util.current_name_stack())
    with line, jax.named_scope(SCOPE) if scope else contextlib.nullcontext():
        yield


def in_scope(native: Any) -> bool:
    """Whether an equation was traced in the scope of what a rewriting emits, or is the derivative of one that was."""
    return native is not None and _innermost_scope(native.source_info.name_stack) == SCOPE


@functools.lru_cache(maxsize=1024)
def _innermost_scope(name_stack: Any) -> str | None:
    names = re.split(r"[/()]", str(name_stack))
    return next((name for name in reversed(names) if name in (SCOPE, WRITTEN)), None)


def of_derivative(native: Any) -> bool:
    """Whether an equation was traced while JAX took a derivative: it may be one of a primitive's derivative rule."""
    return native is not None and not _DERIVATIVE.isdisjoint(re.split(r"[/()]", str(native.source_info.name_stack)))


def concrete(value: Any) -> bool:
    """False for JAX's tracers, which stand for a value that is not known yet."""
    return not isinstance(value, Tracer)


def evaluate(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """Evaluate a Graph that came from JAX, calls included as JAX's own calls; traceable under jit and grad.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> float(evaluate(trace(lambda x: x * x, 3.0).graph, [3.0])[0])
        9.0
    """
    env: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))
    env.update(graph.constants)

    def read(atom: Atom) -> Any:
        return atom.value if isinstance(atom, Literal) else env[atom]

    for index, equation in enumerate(graph.equations):
        results = bind(equation.native, [read(atom) for atom in equation.inputs])
        env.update(zip(equation.outputs, results, strict=True))
        for atom in equation.inputs:
            if isinstance(atom, Variable) and graph.last_use[atom] == index:
                env.pop(atom, None)
    return [read(atom) for atom in graph.outputs]
