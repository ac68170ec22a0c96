"""Calls put in the place of their equation, so that the arrays that they close over come to the surface.

A jitted loss closes over its data *inside* the called graph. Splicing copies the equations of every such call, with
fresh variables (one cached graph may be called twice), into the graph around it; what the call closed over becomes a
constant of the whole. Calls with a derivative rule of the user's, branches and loops stay calls.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qed.graph.calls import Inline
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable


def closes_over_arrays(graph: Graph) -> bool:
    """Whether a call that can be spliced closes over an array, at any depth."""
    return any(
        _spliceable(equation) and (bool(equation.call.graph.constants) or closes_over_arrays(equation.call.graph))
        for equation in graph.equations
    )


def splice(graph: Graph) -> Graph:
    """The same function with all its jitted calls spliced in.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> data = jnp.arange(3.0)
        >>> graph = trace(jax.jit(lambda x: jnp.sum(data * x)), jnp.ones(3)).graph
        >>> [e.primitive for e in graph.equations], [e.primitive for e in splice(graph).equations]
        (['jit'], ['mul', 'reduce_sum'])
    """
    constants: list[tuple[Variable, Any]] = list(graph.constants)
    known: dict[int, Variable] = {id(array): variable for variable, array in graph.constants}
    equations: list[Equation] = []
    names: dict[Variable, Atom] = {}
    _copy(graph, names, equations, constants, known, None)
    outputs = tuple(names.get(a, a) if isinstance(a, Variable) else a for a in graph.outputs)
    return replace(graph, equations=tuple(equations), outputs=outputs, constants=tuple(constants))


def _spliceable(equation: Equation) -> bool:
    if not isinstance(equation.call, Inline) or equation.primitive not in ("jit", "closed_call"):
        return False
    return not equation.call.custom and not equation.call.name.startswith("qed_")  # which carries a mark (a surrogate)


def _copy(
    graph: Graph,
    names: dict[Variable, Atom],
    equations: list[Equation],
    constants: list[tuple[Variable, Any]],
    known: dict[int, Variable],
    span: Any,
) -> None:
    for equation in graph.equations:
        inputs = tuple(a if isinstance(a, Literal) else names.get(a, a) for a in equation.inputs)
        line = equation.span or span
        if not _spliceable(equation):
            outputs = tuple(Variable(v.shape, v.dtype, v.name) for v in equation.outputs)
            names.update(zip(equation.outputs, outputs, strict=True))
            equations.append(replace(equation, inputs=inputs, outputs=outputs, span=line))
            continue
        inner = equation.call.graph
        mine: dict[Variable, Atom] = dict(zip(inner.inputs, inputs, strict=True))
        for variable, array in inner.constants:
            mine[variable] = known.get(id(array)) or _constant(variable, array, constants, known)
        _copy(inner, mine, equations, constants, known, line)
        for variable, atom in zip(equation.outputs, inner.outputs, strict=True):
            names[variable] = mine.get(atom, atom) if isinstance(atom, Variable) else atom


def _constant(
    variable: Variable, array: Any, constants: list[tuple[Variable, Any]], known: dict[int, Variable]
) -> Variable:
    fresh = Variable(variable.shape, variable.dtype, variable.name)
    constants.append((fresh, array))
    known[id(array)] = fresh
    return fresh
