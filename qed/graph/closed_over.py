"""The arrays that a loss closes over: data like any other, brought to the surface and named.

A constant of the graph has no name in it; the user's name is found by looking for the same array among the
variables that the function refers to.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.graph import Atom, Graph, Variable
from qed.graph.jaxpr import concrete
from qed.graph.splice import closes_over_arrays, splice
from qed.graph.trace import Traced


def lift(traced: Traced, loss: Any) -> tuple[Traced, int]:
    """Turn the graph's constants into inputs with the names that the user gave them."""
    graph = splice(traced.graph) if closes_over_arrays(traced.graph) else traced.graph
    values = [jax.device_put(value) if isinstance(value, np.ndarray) else value for _, value in graph.constants]
    known = closed_over_names(loss)
    paths = [_name_of(value, known) or f"constant {i}" for i, value in enumerate(values)]
    lifted = _as_inputs(graph, paths)
    leaves = (*_as_arrays(traced.leaves), *values)
    return replace(traced, graph=lifted, leaves=leaves, paths=(*traced.paths, *paths)), len(values)


def _as_inputs(graph: Graph, paths: Sequence[str]) -> Graph:
    """The graph with its constants as further inputs, each under the user's name where there is one."""
    named = {
        variable: Variable(variable.shape, variable.dtype, path) if path.isidentifier() else variable
        for (variable, _), path in zip(graph.constants, paths, strict=True)
    }

    def new(atoms: Sequence[Atom]) -> tuple[Atom, ...]:
        return tuple(named.get(atom, atom) if isinstance(atom, Variable) else atom for atom in atoms)

    equations = tuple(
        replace(equation, inputs=new(equation.inputs)) if named.keys() & set(equation.inputs) else equation
        for equation in graph.equations
    )
    inputs = (*graph.inputs, *named.values())
    return replace(graph, inputs=inputs, equations=equations, outputs=new(graph.outputs), constants=())


def _as_arrays(leaves: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for leaf in leaves)


def closed_over_names(loss: Any) -> list[tuple[str, Any]]:
    """(name, array) for every array that the function's code refers to."""
    fun = inspect.unwrap(loss) if callable(loss) else loss
    found: list[tuple[str, Any]] = []
    try:
        seen = inspect.getclosurevars(fun)
    except (TypeError, ValueError):
        seen = None
    scopes = [seen.nonlocals, seen.globals] if seen else []
    scopes.append(getattr(fun, "__globals__", {}))
    for scope in scopes:
        found += [(name, value) for name, value in scope.items() if hasattr(value, "shape")]
    return found


def _name_of(value: Any, known: Sequence[tuple[str, Any]]) -> str | None:
    for name, other in known:
        if other is value:
            return name
    for name, other in known:
        same = getattr(other, "shape", None) == value.shape and isinstance(other, np.ndarray | jax.Array)
        if same and concrete(other) and _equal(other, value):
            return name
    return None


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(np.array_equal(np.asarray(one), np.asarray(other).astype(np.asarray(one).dtype)))
    except (TypeError, ValueError):
        return False
