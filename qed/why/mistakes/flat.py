"""The graph of the loss without its calls, and what each value in it depends on.

A mistake is a pattern of a few equations, and the equations of ``jax.nn.softmax`` stand inside a call inside a call.
Here all calls are opened, those with a derivative rule of their own too, so that a pattern is a walk from variable to
variable. Loops and branches stay closed: what happens inside them is not looked at, and every output of one
depends on all its inputs.

A set of graph inputs is an integer, bit i standing for input i; the sets are propagated in one pass (forward
reachability in the graph of the data flow; Aho, Lam, Sethi and Ullman, *Compilers*, section 9.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from qed.graph.calls import Inline
from qed.graph.dtypes import is_extended
from qed.graph.graph import Atom, Equation, Graph, Literal, Variable
from qed.graph.jaxpr import bind

SAME = frozenset({"convert_element_type", "copy", "optimization_barrier"})
"""Primitives that hand their operand on as it is."""

VIEWS = SAME | {"broadcast_in_dim", "expand_dims", "reshape", "squeeze", "stop_gradient", "transpose"}
"""Primitives that hand on the numbers of their operand in another shape."""


@dataclass(frozen=True, eq=False)
class Flat:
    """A loss whose calls are opened.

    Args:
        graph: its equations, those that the loss needs; the first output is the loss.
        made: variable -> the equation that makes it.
        uses: variable -> the equations that read it.
        reach: variable -> the graph inputs that it depends on, as bits.
        free: the bits of the parameters.
        own_rules: whether a call carried a reverse derivative rule of its own (it is lost here).
    """

    graph: Graph
    made: Mapping[Variable, Equation]
    uses: Mapping[Variable, tuple[Equation, ...]]
    reach: Mapping[Variable, int]
    free: int
    own_rules: bool

    def maker(self, atom: Atom) -> Equation | None:
        """The equation that makes a value; None for inputs, constants and literals."""
        return self.made.get(atom) if isinstance(atom, Variable) else None

    def core(self, atom: Atom, through: frozenset[str] = VIEWS) -> Atom:
        """The value that an atom shows, the primitives in `through` taken away."""
        while (equation := self.maker(atom)) is not None and equation.primitive in through:
            atom = equation.inputs[0]
        return atom

    def needs(self, atom: Atom, ancestor: Variable) -> bool:
        """Whether a value is computed from another one."""
        return isinstance(atom, Variable) and ancestor in _needed(self.made, [atom])[1]

    def depends(self, atom: Atom) -> int:
        """The inputs that a value depends on, as bits."""
        return self.reach.get(atom, 0) if isinstance(atom, Variable) else 0

    def on_parameters(self, atom: Atom) -> int:
        """The parameters among them."""
        return self.depends(atom) & self.free

    def on_data(self, atom: Atom) -> int:
        """The data among them."""
        return self.depends(atom) & ~self.free


def flatten(graph: Graph, free: Sequence[int]) -> Flat:
    """Open the calls of a graph whose closed-over arrays are inputs already.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> flat = flatten(trace(lambda x: jnp.sum(jax.nn.relu(x)), jnp.ones(3)).graph, (0,))
        >>> [equation.primitive for equation in flat.graph.equations]
        ['max', 'reduce_sum']
    """
    equations: list[Equation] = []
    constants: list[tuple[Variable, Any]] = list(graph.constants)
    names: dict[Variable, Atom] = {}
    own_rules = _open(graph, names, equations, constants, None)
    output = _named(names, graph.outputs[0])
    made = {variable: equation for equation in equations for variable in equation.outputs}
    needed, _ = _needed(made, [output])
    kept = tuple(equation for equation in equations if equation in needed)
    reach: dict[Variable, int] = {variable: 1 << i for i, variable in enumerate(graph.inputs)}
    uses: dict[Variable, list[Equation]] = {}
    for equation in kept:
        bits = 0
        for atom in equation.inputs:
            if isinstance(atom, Variable):
                bits |= reach.get(atom, 0)
                uses.setdefault(atom, []).append(equation)
        reach.update(dict.fromkeys(equation.outputs, bits))
    whole = replace(graph, equations=kept, outputs=(output,), constants=tuple(constants))
    parameters = sum(1 << i for i in free)
    return Flat(whole, made, {v: tuple(found) for v, found in uses.items()}, reach, parameters, own_rules)


def _named(names: Mapping[Variable, Atom], atom: Atom) -> Atom:
    return names.get(atom, atom) if isinstance(atom, Variable) else atom


def _open(
    graph: Graph,
    names: dict[Variable, Atom],
    equations: list[Equation],
    constants: list[tuple[Variable, Any]],
    span: Any,
) -> bool:
    own_rules = False
    for equation in graph.equations:
        inputs = tuple(_named(names, atom) for atom in equation.inputs)
        line = equation.span or span
        if not isinstance(equation.call, Inline):
            outputs = tuple(Variable(v.shape, v.dtype, v.name) for v in equation.outputs)
            names.update(zip(equation.outputs, outputs, strict=True))
            equations.append(replace(equation, inputs=inputs, outputs=outputs, span=line))
            continue
        inner = equation.call.graph
        mine: dict[Variable, Atom] = dict(zip(inner.inputs, inputs, strict=True))
        for variable, array in inner.constants:
            fresh = Variable(variable.shape, variable.dtype, variable.name)
            constants.append((fresh, array))
            mine[variable] = fresh
        own_rules |= equation.call.custom == "vjp"
        own_rules |= _open(inner, mine, equations, constants, line)
        for variable, atom in zip(equation.outputs, inner.outputs, strict=True):
            names[variable] = _named(mine, atom)
    return own_rules


def _needed(made: Mapping[Variable, Equation], atoms: Sequence[Atom]) -> tuple[set[Equation], set[Variable]]:
    """The equations and variables that values are computed from, themselves included."""
    equations: set[Equation] = set()
    variables: set[Variable] = set()
    waiting = list(atoms)
    while waiting:
        atom = waiting.pop()
        if not isinstance(atom, Variable) or atom in variables:
            continue
        variables.add(atom)
        equation = made.get(atom)
        if equation is not None and equation not in equations:
            equations.add(equation)
            waiting += equation.inputs
    return equations, variables


def compute(
    flat: Flat, arrays: Sequence[Any], wanted: Sequence[Atom], instead: Mapping[Variable, Any] | None = None
) -> list[Any]:
    """Evaluate some values of a flat graph; traceable under jit and grad.

    Args:
        flat: the graph.
        arrays: one array per graph input.
        wanted: which values.
        instead: variable -> (other variable, function): the variable becomes that function of the other, which must be
            computed before it.
    """
    changed = instead or {}
    needed, _ = _needed(flat.made, [*wanted, *(other for other, _ in changed.values())])
    env: dict[Variable, Any] = dict(zip(flat.graph.inputs, arrays, strict=True))
    env.update(flat.graph.constants)

    def read(atom: Atom) -> Any:
        if isinstance(atom, Variable):
            return env[atom]
        return atom.value if is_extended(atom.dtype) else jnp.asarray(atom.value, atom.dtype)

    for equation in flat.graph.equations:
        if equation not in needed:
            continue
        results = bind(equation.native, [read(atom) for atom in equation.inputs])
        for variable, value in zip(equation.outputs, results, strict=True):
            if variable in changed:
                other, function = changed[variable]
                value = function(env[other] if other is not variable else value)
            env[variable] = value
    return [read(atom) for atom in wanted]


def literal(atom: Atom) -> float | None:
    """The number of a scalar literal, or None."""
    if isinstance(atom, Literal) and atom.shape == ():
        return float(atom.value)
    return None
