"""Equal equations made one.

A program that writes X @ w twice has two equations for one value. Two equations of the same primitive with the same
parameters at the same values have the same value; the later one is left out, and what read it reads the first instead
(value numbering; Cocke and Schwartz, *Programming Languages and their Compilers*, 1970; Aho, Lam, Sethi and Ullman,
*Compilers*, section 8.5). Sums and products of two are equal in either order, also when rounded. What has an effect,
and what has parameters that cannot be compared, stays as it is.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.nodes import extended

_EITHER = frozenset({"add", "add_any", "mul"})
"""What has the same value with its two operands exchanged."""


def merge(graph: Graph) -> Graph:
    """The same function with every equation once.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x, y: jnp.sin(x + y) * jnp.sin(y + x), 1.0, 2.0).graph
        >>> [e.primitive for e in graph.equations], [e.primitive for e in merge(graph).equations]
        (['add', 'sin', 'add', 'sin', 'mul'], ['add', 'sin', 'mul'])
    """
    names: dict[Variable, Atom] = {}
    known: dict[Hashable, tuple[Variable, ...]] = {}
    equations: list[Equation] = []
    for equation in graph.equations:
        inputs = tuple(names.get(a, a) if isinstance(a, Variable) else a for a in equation.inputs)
        key = _key(equation, inputs)
        found = None if key is None else known.get(key)
        if found is not None:
            names.update(zip(equation.outputs, found, strict=True))
            continue
        if key is not None:
            known[key] = equation.outputs
        equations.append(replace(equation, inputs=inputs))
    outputs = tuple(names.get(a, a) if isinstance(a, Variable) else a for a in graph.outputs)
    return replace(graph, equations=tuple(equations), outputs=outputs)


def _key(equation: Equation, inputs: tuple[Atom, ...]) -> Hashable | None:
    """What the values of an equation depend on; None where that cannot be told."""
    native = equation.native
    if native is None or getattr(native, "effects", ()):
        return None
    atoms: list[Hashable] = []
    for atom in inputs:
        if isinstance(atom, Variable):
            atoms.append(id(atom))
        elif extended(atom.dtype):
            return None
        else:
            atoms.append(_number(atom))
    if equation.primitive in _EITHER:
        atoms.sort(key=repr)
    params = native.params if equation.call is not None else equation.params
    key = (equation.primitive, tuple(atoms), tuple(sorted(params.items())), native.ctx)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _number(literal: Literal) -> Hashable:
    array = np.asarray(literal.value)
    return array.tobytes(), str(literal.dtype), array.shape


__all__ = ["merge"]
