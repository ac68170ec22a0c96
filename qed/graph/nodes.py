"""Nodes of the expression graph, and how each is evaluated; they are made by `qed.graph.build`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qed import facts
from qed.graph import jaxpr
from qed.graph.dtypes import is_extended
from qed.graph.graph import Equation
from qed.span import Span


@dataclass(frozen=True)
class Operation:
    """An operation that a rewriting introduces: a name, and a traceable function of arrays.

    Args:
        name: what it is called in formulas, such as 'logsumexp'.
        evaluate: (values of the children, **params) -> array.
        whole: whether it is several primitives that belong together; they and their derivatives stay as they are.
    """

    name: str
    evaluate: Callable[..., Any]
    whole: bool = False


@dataclass(eq=False, slots=True)
class Node:
    """One value of the expression graph.

    Args:
        number: position in the order of evaluation.
        operation: the primitive's name, or 'input', 'constant', or the name of an emitted `Operation`.
        children: what it reads.
        params: static parameters.
        shape, dtype: of the value (of the first output where there are several).
        span: the user's line where it was first written.
        name: the user's name for it, where the source shows one.
        ghost: the same value spelled out, for rules to read; never evaluated.
        spans: every line where it was written.
        origin: the equation of the front end whose line it stands for.
        settled: whether it is part of what a rewriting emitted, or of its derivative, and stays as it is.
    """

    number: int
    operation: str
    children: tuple[Node, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: Any
    evaluate: Callable[..., Any] = field(repr=False)
    span: Span | None = None
    name: str | None = None
    value: Any = None
    equation: Equation | None = field(default=None, repr=False)
    ghost: Node | None = field(default=None, repr=False)
    spans: list[Span] = field(default_factory=list, repr=False)
    origin: Any = field(default=None, repr=False)
    settled: bool = False

    def __repr__(self) -> str:
        return f"%{self.number}={self.operation}({', '.join(f'%{c.number}' for c in self.children)})"


def reachable(nodes: Sequence[Node], given: Sequence[Node] = ()) -> list[Node]:
    """Everything that the nodes need, themselves included, in an order of evaluation; what is given needs nothing."""
    found: dict[int, Node] = {}
    stack, known = list(nodes), {node.number for node in given}
    while stack:
        node = stack.pop()
        if node.number not in found:
            found[node.number] = node
            stack.extend(() if node.number in known else node.children)
    return [found[number] for number in sorted(found)]


def needs(node: Node, wanted: Callable[[Node], bool], most: int | None = None) -> bool:
    """Whether a node, or one that it needs, is wanted, or there are more than so many of them; stops at the first.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> builder, graph = Builder(), trace(lambda x: jnp.exp(x) * x, 1.0).graph
        >>> (out,) = builder.inline(graph, builder.inputs(graph))
        >>> [needs(out, lambda each: each.operation == name) for name in ("exp", "log")]
        [True, False]
        >>> needs(out, lambda each: False, 3), needs(out, lambda each: False, 2)
        (False, True)
    """
    seen, stack = {node.number}, [node]
    while stack:
        each = stack.pop()
        if wanted(each) or (most is not None and len(seen) > most):
            return True
        for child in each.children:
            if child.number not in seen:
                seen.add(child.number)
                stack.append(child)
    return False


@dataclass(frozen=True)
class Bound:
    """An operation with its parameters."""

    evaluate: Callable[..., Any]
    params: Mapping[str, Any]

    def __call__(self, *values: Any) -> Any:
        """Evaluate."""
        return self.evaluate(*values, **self.params)


@dataclass(frozen=True)
class Item:
    """One of several outputs."""

    index: int

    def __call__(self, values: Sequence[Any]) -> Any:
        """Take it."""
        return values[self.index]


def several(equation: Equation) -> bool:
    """Whether an equation evaluates to a list."""
    return len(equation.outputs) != 1


def evaluator(equation: Equation, changed: Mapping[str, Any]) -> Callable[..., Any]:
    """How an equation is evaluated, some of its parameters replaced."""
    many = several(equation)

    def evaluate(*values: Any) -> Any:
        if equation.native is None:
            outputs = _by_hand(equation, values)
        else:
            outputs = jaxpr.bind(equation.native, values, **changed)
        return outputs if many else outputs[0]

    return evaluate


def _by_hand(equation: Equation, values: Sequence[Any]) -> tuple[Any, ...]:
    """An equation without JAX behind it: what its fact card says."""
    name = equation.primitive
    if name in facts.ARITHMETIC:
        return (facts.JAX.call(name, *values),)
    card = facts.card(name, **equation.params) if name in {*facts.CARDS, *facts.FAMILIES} else None
    if card is None:
        message = f"no fact card for {name}: it cannot be evaluated by hand"
        raise NotImplementedError(message)
    return (card.jax(*values),)


def unevaluated(*values: Any) -> Any:
    """Inputs and constants are not computed."""
    raise AssertionError


def extended(dtype: Any) -> bool:
    """Whether there is no NumPy array of a dtype."""
    return dtype is None or is_extended(dtype)
