"""Graphs as hash-consed expressions that can be rewritten: Graph -> nodes -> function.

A *node* is one value: an operation applied to nodes. The builder makes every node once (Ershov, *On
programming of arithmetic operations*, 1958: hash-consing): asked twice for the same operation of the same
nodes it returns the same object, so that equality of values is identity of nodes and a key is as short as
the list of the children's numbers. Nodes are numbered as they are made, children first, so that ascending
numbers are an order of evaluation. A node is lazy: `function` evaluates what the outputs need and nothing
else, and an unstable value that nobody uses any more never runs, neither forward nor in a derivative.

How calls are read:

===================  ==================================================================================
`jit`                inlined
`custom_jvp_call`    the value stays the bound call, with the user's rule; its body hangs beside it as
                     `Node.ghost`, for rules to look through
`remat`              the same, unless a rewriting fires inside: then the body takes its place
`custom_vjp_call`    opaque, as are `scan`, `while` and `cond`; a `cond` that reads another one by the same index
                     is one with it where something is rewritten across both (`qed.graph.composed`)
===================  ==================================================================================

Without a rewriting the function is the original one: the same primitives on the same values, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from qed.graph import jaxpr
from qed.graph.calls import Inline
from qed.graph.composed import composed
from qed.graph.graph import Atom, Equation, Graph, Literal
from qed.graph.nodes import Bound, Item, Node, Operation, evaluator, extended, reachable, several, unevaluated
from qed.graph.once import once
from qed.span import Span

TRANSPARENT = ("jit", "closed_call", "core_call", "named_call")
GHOSTED = ("custom_jvp_call", "remat")


Rule = Callable[[Node], "Node | None"]
Inside = Callable[[Equation, list[Node]], "Callable[..., Any] | None"]
"""(an equation that calls other graphs, its operands) -> what evaluates it instead, or None."""
Namer = Callable[[Graph], Mapping[int, str]]


class Builder:
    """Makes nodes, each once.

    Args:
        rule: called with every node that an equation makes; what it returns takes the node's place, None keeps it.
        names: (graph) -> names of the values that its equations define, by the index of the equation.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: jnp.exp(x) * jnp.exp(x), 1.0).graph
        >>> builder = Builder()
        >>> leaves = builder.inputs(graph)
        >>> outputs = builder.inline(graph, leaves)
        >>> outputs, float(builder.function(outputs, leaves)(0.0)[0])
        ([%2=mul(%1, %1)], 1.0)
    """

    def __init__(self, rule: Rule | None = None, names: Namer | None = None) -> None:
        self.rule = rule
        self.names = names
        self.fired = 0
        self._nodes: dict[Hashable, Node] = {}
        self._calls: dict[Hashable, list[Node]] = {}
        self._kinds: dict[Hashable, int] = {}
        self._kind_of: dict[int, tuple[int | None, Equation]] = {}
        self._keep: list[Any] = []  # ids in keys stay valid while the objects live
        self._count = 0
        self.inside: Inside | None = None
        self._bodies: dict[int, Callable[..., Any]] = {}
        self._origin: Any = None
        self._settled = False
        self._left: tuple[Rule | None, set[int]] = None, set()
        self.effects: list[Node] = []
        self.derivative = False  # whether what is read is a derivative, for rules that ask
        self.saturated = False  # whether JAX's own 1 - t^2 and s (1 - s) in a derivative are to be rewritten, too
        self.rewritten = False  # whether it is a derivative of a value that was rewritten
        self.asks_settled = False  # whether rules are asked about what rewritings emitted, too
        self.flows: Callable[[Node], bool | None] | None = None  # whether tangents flow through a node, and linearly
        self.everywhere = False  # whether also what keeps its digits is to be rewritten
        self.readers: dict[Any, Any] = {}  # what reads the nodes, by kind; shared by all that ask for it
        self._named: dict[int, Mapping[int, str]] = {}

    @property
    def bodies(self) -> dict[int, Equation]:
        """The calls that are evaluated with other bodies: the equation, by the number of the node."""
        return {
            node.number: node.equation for node in self._nodes.values() if node.number in self._bodies and node.equation
        }

    def nodes(self) -> Iterator[Node]:
        """Every node that was made and can be found again."""
        yield from self._nodes.values()

    # --- nodes ---

    def inputs(self, graph: Graph) -> list[Node]:
        """One fresh node for each input of a graph, under the input's own name."""
        return [
            self._new("input", (), {}, variable.shape, variable.dtype, unevaluated, name=variable.name)
            for variable in graph.inputs
        ]

    def free(self, shape: tuple[int, ...], dtype: Any) -> Node:
        """One more input, which no graph has."""
        return self._new("input", (), {}, shape, dtype, unevaluated)

    def constant(self, value: Any, dtype: Any = None, shape: tuple[int, ...] | None = None) -> Node:
        """A concrete array or number; small equal ones are one node."""
        if dtype is not None and not isinstance(value, jax.Array) and not extended(dtype):
            value = np.asarray(value, dtype)
        key = self._constant_key(value)
        if key in self._nodes:
            return self._nodes[key]
        shape = tuple(np.shape(value)) if shape is None else shape
        found = getattr(value, "dtype", dtype)
        return self._nodes.setdefault(key, self._new("constant", (), {}, shape, found, unevaluated, value=value))

    def _constant_key(self, value: Any) -> Hashable:
        if not isinstance(value, jax.Array) and np.size(value) <= 16 and not extended(getattr(value, "dtype", None)):
            array = np.asarray(value)
            return ("constant", array.tobytes(), array.dtype, array.shape)
        self._keep.append(value)
        return ("constant", id(value))

    def emit(
        self,
        operation: Operation,
        *children: Node,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        **params: Any,
    ) -> Node:
        """A node of a named operation that no equation of the user's makes.

        Args:
            operation: what to apply.
            children: to what.
            shape: shape of the result; default: that of the children, broadcast against each other.
            dtype: dtype of the result; default: that of the first child.
            params: static, hashable parameters, handed to the operation.
        """
        key = (operation.name, tuple(child.number for child in children), tuple(sorted(params.items())))
        if key in self._nodes:
            return self._nodes[key]
        if shape is None:
            shape = np.broadcast_shapes(*(child.shape for child in children))
        evaluate = Bound(operation.evaluate, params) if params else operation.evaluate
        dtype = children[0].dtype if dtype is None else dtype
        made = self._nodes.setdefault(key, self._new(operation.name, children, params, shape, dtype, evaluate))
        made.settled = operation.whole
        return made

    def apply(self, equation: Equation, children: Sequence[Node], **changed: Any) -> list[Node]:
        """The outputs of an equation at given nodes, whatever it was first applied to; no rule fires.

        Args:
            equation: which primitive and parameters.
            children: one node an input.
            changed: parameters that replace the equation's own.
        """
        params = {**equation.params, **changed} if changed else equation.params
        key = self._equation_key(equation, params, children)
        found = self._nodes.get(key)
        if found is None:
            first = equation.outputs[0] if equation.outputs else None
            shape, dtype = (first.shape, first.dtype) if first is not None else ((), None)
            evaluate = evaluator(equation, changed)
            found = self._new(equation.primitive, tuple(children), params, shape, dtype, evaluate, equation=equation)
            self._nodes.setdefault(key, found)
        if not several(equation):
            return [found]
        return [self._item(found, i) for i in range(len(equation.outputs))]

    def _equation_key(self, equation: Equation, params: Mapping[str, Any], children: Sequence[Node]) -> Hashable:
        numbers = tuple(child.number for child in children)
        kind = self._kind(equation) if params is equation.params else self._interned(equation, params)
        if kind is not None:
            return (kind, numbers)
        self._keep.append(equation)
        return (id(equation), numbers, tuple(params.items()) if params is not equation.params else ())

    def _kind(self, equation: Equation) -> int | None:
        """The number of an equation's operation, looked for once."""
        found = self._kind_of.get(id(equation))
        if found is None:
            found = self._kind_of[id(equation)] = self._interned(equation, equation.params), equation
        return found[0]

    def _interned(self, equation: Equation, params: Mapping[str, Any]) -> int | None:
        """A number for a primitive with its parameters; None where two equations with the same ones may differ."""
        native = equation.native
        if native is None or equation.call is not None or getattr(native, "effects", ()):
            return None
        try:
            return self._kinds.setdefault(
                (equation.primitive, tuple(sorted(params.items())), native.ctx), len(self._kinds)
            )
        except TypeError:  # a parameter without a hash
            return None

    def _called(
        self, equation: Equation, children: Sequence[Node], evaluate: Callable[..., Any], key: Hashable = None
    ) -> list[Node]:
        """The outputs of an equation that is evaluated in another way."""
        first = equation.outputs[0] if equation.outputs else None
        shape, dtype = (first.shape, first.dtype) if first is not None else ((), None)
        made = self._new(
            equation.primitive, tuple(children), equation.params, shape, dtype, evaluate, equation=equation
        )
        self._bodies[made.number] = evaluate
        self._nodes[key or self._equation_key(equation, equation.params, children)] = made
        if not several(equation):
            return [made]
        return [self._item(made, i) for i in range(len(equation.outputs))]

    def item(self, node: Node, index: int) -> Node:
        """One of the outputs of a node that an equation makes."""
        return self._item(node, index) if node.equation is not None and several(node.equation) else node

    def _item(self, node: Node, index: int) -> Node:
        key = ("item", node.number, index)
        if key in self._nodes:
            return self._nodes[key]
        assert node.equation is not None
        variable = node.equation.outputs[index]
        made = self._new("item", (node,), {"index": index}, variable.shape, variable.dtype, Item(index))
        return self._nodes.setdefault(key, made)

    def _new(
        self,
        operation: str,
        children: tuple[Node, ...],
        params: Mapping[str, Any],
        shape: tuple[int, ...],
        dtype: Any,
        evaluate: Callable[..., Any],
        **rest: Any,
    ) -> Node:
        node = Node(self._count, operation, children, params, shape, dtype, evaluate, **rest)
        node.origin, node.settled = self._origin, self._settled
        self._count += 1
        return node

    # --- reading graphs ---

    def inline(self, graph: Graph, inputs: Sequence[Node], span: Span | None = None) -> list[Node]:
        """The outputs of a graph at given nodes, its calls inlined as the head of this file says.

        Args:
            graph: what to read.
            inputs: one node an input of the graph.
            span: the line for equations that have none of their own.
        """
        env: dict[Atom, Node] = dict(zip(graph.inputs, inputs, strict=True))
        for variable, array in graph.constants:
            env[variable] = self.constant(array)
            if variable.name and env[variable].name is None:
                env[variable].name = variable.name
        names = self._names(graph)
        outside = self._origin, self._settled
        for index, equation in enumerate(graph.equations):
            children = [self._read(env, atom) for atom in equation.inputs]
            self._origin = equation.native if equation.span is not None else outside[0]
            self._settled = outside[1] or jaxpr.in_scope(equation.native)
            outputs = self._equation(equation, children, equation.span or span)
            if index in names and len(outputs) == 1 and outputs[0].name is None:
                outputs[0].name = names[index]
            env.update(zip(equation.outputs, outputs, strict=True))
        self._origin, self._settled = outside
        return [self._read(env, atom) for atom in graph.outputs]

    def again(self, outputs: Sequence[Node]) -> list[Node]:
        """The outputs once more, the rule offered to every node that they need, also to those that no equation makes.

        What the rule left as it is and reads what it read then, is not offered again.

        Args:
            outputs: nodes of this builder.
        """
        new: dict[int, Node] = {}
        left = self._left[1] if self._left[0] is self.rule else set()
        for node in reachable([*outputs, *self.effects]):
            children = tuple(new[child.number] for child in node.children)
            made = node if children == node.children else self.over(node, children)
            if made is node and node.number in left:
                new[node.number] = node
                continue
            self._origin, self._settled = node.origin, node.settled
            new[node.number] = made if made.operation in ("input", "constant") else self._place(made, node.span)
        self._origin, self._settled = None, False
        self.effects = [new[node.number] for node in self.effects]
        return [new[node.number] for node in outputs]

    def over(self, node: Node, children: tuple[Node, ...]) -> Node:
        """The same operation at other children; no rule fires."""
        if node.operation == "item" and node.equation is None:
            return self._item(children[0], node.params["index"])
        if node.equation is not None and node.number in self._bodies:
            key = ("body", node.number, tuple(child.number for child in children))
            if key not in self._nodes:
                self._called(node.equation, children, self._bodies[node.number], key)
            return self._nodes[key]
        if node.equation is not None:
            own = node.equation.params
            changed = {key: value for key, value in node.params.items() if value is not own.get(key)}
            key = self._equation_key(node.equation, {**own, **changed} if changed else own, children)
            self.apply(node.equation, children, **changed)
            return self._nodes[key]
        inner = node.evaluate
        evaluate = inner.evaluate if isinstance(inner, Bound) else inner
        return self.emit(
            Operation(node.operation, evaluate, node.settled),
            *children,
            shape=node.shape,
            dtype=node.dtype,
            **node.params,
        )

    def anew(self, nodes: Sequence[Node], new: dict[int, Node]) -> dict[int, Node]:
        """Nodes with others in place of some that they read; no rule fires.

        Args:
            nodes: in the order in which they are evaluated.
            new: the others, by the number of what they stand for; what is made is added.
        """
        for node in nodes:
            if node.number not in new:
                children = tuple(new[child.number] for child in node.children)
                new[node.number] = node if children == node.children else self.over(node, children)
        return new

    def _names(self, graph: Graph) -> Mapping[int, str]:
        if self.names is None:
            return {}
        if id(graph) not in self._named:
            self._keep.append(graph)
            self._named[id(graph)] = self.names(graph)
        return self._named[id(graph)]

    def _read(self, env: Mapping[Atom, Node], atom: Atom) -> Node:
        if isinstance(atom, Literal):
            return self.constant(atom.value, atom.dtype, atom.shape)
        return env[atom]

    def _equation(self, equation: Equation, children: list[Node], span: Span | None) -> list[Node]:
        if isinstance(equation.call, Inline):
            if equation.primitive in TRANSPARENT:
                return self._call(equation, children, span)
            if equation.primitive in GHOSTED:
                return self._ghosted(equation, children, span)
        inside = self.inside(equation, children) if self.inside is not None and equation.call is not None else None
        together = None if self.inside is None or self.derivative else composed(equation, children)
        changed = self.inside(*together) if self.inside is not None and together is not None else None
        if together is not None and changed is not None:  # what is rewritten across both
            inside, (equation, children) = changed, together
        if inside is None:
            outputs = self.apply(equation, children)
        else:
            outputs = self._called(equation, children, inside)
            self.fired += 1
        if getattr(equation.native, "effects", ()):
            self.effects.append(self._nodes[self._equation_key(equation, equation.params, children)])
        return [self._place(node, span) for node in outputs]

    def _place(self, node: Node, span: Span | None) -> Node:
        if span is not None:
            node.span = node.span or span
            if span not in node.spans:
                node.spans.append(span)
        asked = self.rule is not None and (
            not node.settled or self.asks_settled or node.operation == "add_any"  # a sum of cotangents
        )
        if not asked or self.rule is None:
            return node
        replacement = self.rule(node)
        if replacement is None or replacement is node:
            if self._left[0] is not self.rule:
                self._left = self.rule, set()
            self._left[1].add(node.number)
            return node
        self.fired += 1
        return replacement

    def _call(self, equation: Equation, children: list[Node], span: Span | None) -> list[Node]:
        key = (id(equation.call.graph), tuple(child.number for child in children), span, self.rule is None)
        if key not in self._calls:
            self._keep.append(equation)
            self._calls[key] = self.inline(equation.call.graph, children, span)
        return self._calls[key]

    def _ghosted(self, equation: Equation, children: list[Node], span: Span | None) -> list[Node]:
        before = self.fired
        if equation.primitive == "remat":
            spelled = self._call(equation, children, span)
            if self.fired > before:
                return spelled
        rule, self.rule = self.rule, None
        spelled = self._call(equation, children, span)
        self.rule = rule
        inside = self.inside(equation, children) if self.inside is not None else None
        outputs = self.apply(equation, children) if inside is None else self._called(equation, children, inside)
        self.fired += inside is not None
        for node, ghost in zip(outputs, spelled, strict=True):
            node.ghost = ghost
        return [self._place(node, span) for node in outputs]

    # --- back to a function ---

    def function(
        self, outputs: Sequence[Node], inputs: Sequence[Node], effects: bool = True, differentiated: bool = False
    ) -> Callable[..., list[Any]]:
        """A function that evaluates nodes.

        Args:
            outputs: the wanted nodes.
            inputs: the nodes that stand for its arguments, in order; what they are made of is not evaluated.
            effects: whether equations with effects (debug prints) run also where no output needs them.
            differentiated: whether it is only to be differentiated: then equal operations are calls of one function.

        Returns:
            (one array an input) -> list of one array an output. It can be traced: jit, grad and vmap apply.
        """
        given = {node.number for node in inputs}
        order = reachable([*outputs, *(self.effects if effects else ())], inputs)
        last: dict[int, int] = {}
        for index, node in enumerate(order):
            for child in node.children:
                last[child.number] = index
        kept = {node.number for node in outputs}
        functions = {
            node.number: once(node) if differentiated and node.number not in self._bodies else node.evaluate
            for node in order
        }

        def evaluate(*values: Any) -> list[Any]:
            env = {node.number: value for node, value in zip(inputs, values, strict=True)}
            for index, node in enumerate(order):
                if node.operation == "constant":
                    env[node.number] = node.value
                elif node.operation != "input" and node.number not in given:
                    with jaxpr.at_line(node.origin, scope=node.settled and node.equation is None):
                        env[node.number] = functions[node.number](*(env[child.number] for child in node.children))
                for child in node.children:
                    if last[child.number] == index and child.number not in kept:
                        env.pop(child.number, None)
            return [env[node.number] for node in outputs]

        return evaluate


__all__ = ["Builder", "Node", "Operation", "reachable"]
