"""Several rewritings over one graph: each node offered to all of them, until none has anything to change.

A rewriting is a recursive function on hash-consed nodes (`qed.numerics.rewriting.change.Rewriting`). The graph is
read once, bottom up, so that a rule sees operands that are rewritten already; every node is offered to the rewritings
in their order, and what one of them puts in its place is offered to those after it. What they emit is offered again in
further passes, `PASSES` in all: a pass costs one step a node, and most graphs need no second one.

Derivatives are graphs too. A tangent graph is linear in its tangents, and has to stay so operation by operation, or
it could not be transposed: a node that depends on a tangent may be replaced only by nodes through which tangents flow
linearly (`Linear`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax

from qed import facts
from qed.domains.widened import widen
from qed.graph.build import Builder, Node, reachable
from qed.graph.collector import at_rest
from qed.graph.graph import Equation, Graph
from qed.graph.names import assigned, of_program
from qed.numerics.rewriting.change import Change, Maker, Only, Rewriting
from qed.numerics.rewriting.difference import Differences
from qed.numerics.rewriting.guards import Guards, Sinks
from qed.numerics.rewriting.inside import evaluated
from qed.numerics.rewriting.logarithm import Logarithms
from qed.numerics.rewriting.near_one import NearOne
from qed.numerics.rewriting.put_back import Exponents
from qed.numerics.rewriting.quotients_of_degree import Quotients
from qed.numerics.rewriting.signs import MOVES
from qed.numerics.rewriting.slopes import Slopes
from qed.numerics.rewriting.softmax_slopes import SoftmaxSlopes, has_softmax
from qed.numerics.rewriting.substitutions import Substitutions
from qed.numerics.rewriting.temperatures import Temperatures

PASSES = 3

REWRITINGS: tuple[Maker, ...] = (
    Sinks,
    Substitutions,
    Logarithms,
    Temperatures,
    NearOne,
    Differences,
    Guards,
    Slopes,
)
"""The rewritings, in the order in which a node is offered to them."""


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A graph after all rewritings.

    Args:
        function: (the graph's inputs, flat) -> list of its outputs; may be traced (jit, grad, vmap).
        changes: what was changed, in program order; empty where the function is the original one.
        builder, inputs, outputs: the nodes themselves.
        passes: how many passes were made.
        longer: whether the nodes are of float64, and the function rounds to the program's dtype.
        kept: whether it is the original one because rewriting left more than it mended.
        bare: the outputs with the exponentials as they are, of which the derivative is taken; what their exponents
            round off is put back to it anew.
    """

    function: Callable[..., list[Any]] = field(repr=False)
    changes: tuple[Change, ...]
    builder: Builder = field(repr=False)
    inputs: tuple[Node, ...] = field(repr=False)
    outputs: tuple[Node, ...] = field(repr=False)
    passes: int = 1
    longer: bool = False
    kept: bool = False
    bare: tuple[Node, ...] | None = field(default=None, repr=False)

    @property
    def plain(self) -> Callable[..., list[Any]]:
        """The function whose derivative is rewritten."""
        return self.function if self.bare is None else self.builder.function(self.bare, self.inputs)

    @property
    def differentiable(self) -> Callable[..., list[Any]]:
        """The same, in calls that JAX differentiates once."""
        if self.bare is None:
            return self.function
        return self.builder.function(self.bare, self.inputs, differentiated=True)

    def evaluated(self, nodes: Sequence[Node]) -> Callable[..., list[Any]]:
        """(the graph's inputs) -> the values of some of its nodes, in their own dtypes."""
        function = self.builder.function(nodes, list(self.inputs))

        def in_float64(*inputs: Any) -> list[Any]:
            with jax.enable_x64(True):
                return function(*map(widen, inputs))

        return in_float64 if self.longer else function


@at_rest()
def rewrite(
    graph: Graph,
    only: Only | None = None,
    *,
    tangents: Sequence[int] = (),
    derivative: bool = False,
    everywhere: bool = False,
    saturated: bool = False,
    rewritten: bool = False,
    written: Graph | None = None,
    rewritings: Sequence[Maker] = REWRITINGS,
    exponents: bool = False,
) -> Rewritten:
    """Run the rewritings over a graph.

    Args:
        graph: the graph of a function.
        only: which nodes may be rewritten; default all.
        tangents: positions of the inputs in which the graph is linear, and has to stay so.
        derivative: whether the graph is a derivative, with JAX's own rules for its primitives in it.
        everywhere: whether to rewrite also what keeps its digits.
        saturated: whether to rewrite also JAX's own derivatives of tanh and the sigmoid.
        rewritten: whether it is the derivative of a value that was rewritten.
        written: the user's own graph, where this is another one made from it: names are its names.
        rewritings: which ones, in order.
        exponents: whether to put back in the end what exponents round off.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> found = rewrite(trace(lambda x: jnp.log(jnp.sum(jnp.exp(x))), jnp.zeros(2)).graph)
        >>> [change.after for change in found.changes], float(found.function(jnp.array([1000.0, 0.0]))[0])
        (['logsumexp(x)'], 1000.0)
    """
    builder = Builder(names=assigned if written is None else of_program(written))
    builder.derivative, builder.everywhere, builder.saturated = derivative, everywhere, saturated
    builder.rewritten = rewritten
    inputs = builder.inputs(graph)
    linear = Linear(frozenset(inputs[i].number for i in tangents))
    builder.flows = linear if linear.any else None
    made = [maker(builder, only) for maker in rewritings]
    bodies = _Bodies(only, rewritings, linear, builder)
    builder.inside = bodies
    if not derivative and rewritings and has_softmax(graph):  # what stands in its derivative is rewritten otherwise
        first = SoftmaxSlopes(builder, only)
        builder.rule = _rule([first], linear)
        outputs = builder.inline(graph, inputs)
        builder.rule, made = _rule(made, linear), [first, *made]
        outputs = builder.again(outputs)
    else:
        builder.rule = _rule(made, linear)
        outputs = builder.inline(graph, inputs)
    passes, fired = 1, builder.fired
    while fired and passes < PASSES:
        before = builder.fired
        outputs = builder.again(outputs)
        fired, passes = builder.fired - before, passes + 1
    if Guards in rewritings and not derivative:
        made.append(Quotients(builder, only))
        builder.rule = _rule(made[-1:], linear)
        outputs = builder.again(outputs)
    needed = {node.number for node in reachable([*outputs, *builder.effects])}
    changes = [change for rewriting in made for change in rewriting.changes(needed)]
    changes += bodies.changes(needed, builder)
    bare = tuple(outputs)
    if exponents:
        last = Exponents(builder, only, alone=not changes)
        builder.rule, builder.asks_settled = _rule([last], linear), True
        outputs = builder.again(outputs)
        changes += last.changes({node.number for node in reachable(outputs)})
    changes.sort(key=lambda change: change.new.number if change.new is not None else 0)
    function = builder.function(outputs, inputs)
    return Rewritten(function, tuple(changes), builder, tuple(inputs), tuple(outputs), passes, bare=bare)


def _rule(rewritings: Sequence[Rewriting], linear: Linear) -> Callable[[Node], Node | None]:
    asked: dict[str, list[tuple[int, Rewriting]]] = {}
    for place, rewriting in enumerate(rewritings):
        for operation in frozenset(rewriting.begins):
            asked.setdefault(operation, []).append((place, rewriting))

    def rule(node: Node) -> Node | None:
        current, start = node, 0
        while True:
            for place, rewriting in asked.get(current.operation, ()):
                found = rewriting.rule(current) if place >= start else None
                if found is not None and found is not current and linear.allows(current, found):
                    current, start = found, place + 1
                    break
            else:
                return current

    return rule


class _Bodies:
    """The bodies of loops and branches, each rewritten once."""

    def __init__(self, only: Only | None, rewritings: Sequence[Maker], linear: Linear, outside: Builder) -> None:
        self.only, self.rewritings, self.linear, self.outside = only, rewritings, linear, outside
        self.known: dict[int, Rewritten] = {}
        self.keep: list[Graph] = []

    def __call__(self, equation: Equation, children: list[Node]) -> Callable[..., Any] | None:
        """What evaluates an equation with its bodies rewritten; None where nothing changes."""
        if any(self.linear(child) is not False for child in children):
            return None
        return evaluated(equation, self.function)

    def function(self, graph: Graph) -> Callable[..., list[Any]] | None:
        """The rewritten function of a body."""
        if id(graph) not in self.known:
            self.keep.append(graph)
            self.known[id(graph)] = rewrite(
                graph,
                self.only,
                derivative=self.outside.derivative,
                everywhere=self.outside.everywhere,
                saturated=self.outside.saturated,
                rewritten=self.outside.rewritten,
                rewritings=self.rewritings,
            )
        found = self.known[id(graph)]
        return found.function if found.changes and not found.builder.effects else None

    def changes(self, needed: set[int], builder: Builder) -> list[Change]:
        """What was changed in the bodies of those calls that are needed."""
        found: list[Change] = []
        for number in sorted(needed & set(builder.bodies)):
            equation = builder.bodies[number]
            for graph in equation.call.graphs:
                if id(graph) in self.known:
                    found += [replace(c, old=c.old, new=None) for c in self.known[id(graph)].changes]
        return list(dict.fromkeys(found))


_LINEAR_IN_EACH = frozenset(
    "add add_any sub neg sum reduce_sum cumsum concatenate stack pad convert_element_type copy transpose gather "
    "dynamic_slice real imag item sharding_constraint".split()
)
_LINEAR_IN_CASES = frozenset(["select_n"])
_LINEAR_IN_ONE = frozenset(["mul", "dot_general", "conv_general_dilated"])
_LINEAR_IN_FIRST = frozenset(["div"])


class Linear:
    """Through which nodes a tangent flows, and whether it does so linearly, operation by operation.

    Args:
        tangents: the numbers of the nodes that are tangents.

    Example:
        >>> from qed.numerics.rewriting import stable
        >>> builder = Builder()
        >>> t = builder.constant(1.0)
        >>> linear = Linear(frozenset([t.number]))
        >>> two = builder.constant(2.0)
        >>> linear(builder.emit(stable.MUL, t, two)), linear(builder.emit(stable.MUL, t, t))
        (True, None)
    """

    def __init__(self, tangents: frozenset[int]) -> None:
        self._known: dict[int, bool | None] = dict.fromkeys(tangents, True)
        self.any = bool(tangents)

    def __call__(self, node: Node) -> bool | None:
        """Whether a node depends on a tangent; None where it does and not linearly."""
        if not self.any:
            return False
        stack = [node]
        while stack:
            top = stack[-1]
            missing = [child for child in top.children if child.number not in self._known]
            if top.number in self._known or not missing:
                self._known.setdefault(top.number, self._flows(top))
                stack.pop()
            else:
                stack.extend(missing)
        return self._known[node.number]

    def _flows(self, node: Node) -> bool | None:
        flows = [self._known[child.number] for child in node.children]
        if not any(flow is not False for flow in flows):
            return False
        if None in flows:
            return None
        name = node.operation
        if name in MOVES or name in _LINEAR_IN_EACH or facts.classify(name) is facts.Class.LINEAR:
            return True
        if name in _LINEAR_IN_CASES:
            return None if flows[0] else True
        if name in _LINEAR_IN_ONE:
            return True if sum(map(bool, flows)) == 1 else None
        if name in _LINEAR_IN_FIRST:
            return None if any(flows[1:]) else True
        return None

    def allows(self, old: Node, new: Node) -> bool:
        """Whether a node may take the place of another: tangents flow through it linearly, or not at all."""
        return self(old) is False or self(new) is True
