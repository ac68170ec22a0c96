"""Two branchings by one index made one: what the first hands to the second never leaves its branch.

JAX's derivative of a `cond` is a pair: the first returns the residuals of the branch that was taken, the second reads
them. With branches f_i and g_i,

    g_k(f_k(x), y) = (g o f)_k(x, y),        k the index of both,

so that the residuals, exp(x) of log(exp(x) - 1) say, stand beside the quotient that they are read in.

Reference: Allen and Cocke, *A catalogue of optimizing transformations*, 1971 (jump threading).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qed.graph.calls import Cond, Inline
from qed.graph.graph import Atom, Equation, Graph, Variable
from qed.graph.nodes import Node

LARGEST = 256
"""Equations of the branches that are made, all together."""


def composed(equation: Equation, children: Sequence[Node]) -> tuple[Equation, list[Node]] | None:
    """A branching that reads the results of another one by the same index, as one branching of what that one reads.

    Args:
        equation: a `cond`.
        children: its operands.

    Returns:
        The equation and its operands; None where nothing that it reads is such a result.
    """
    found: tuple[Equation, list[Node]] | None = None
    while isinstance(equation.call, Cond):
        first = next(
            (made for made in map(_branching, children[1:]) if made and _by_one(made, equation, children)), None
        )
        if first is None or _size(first) + sum(g.count() for g in equation.call.branches) > LARGEST:
            return found
        equation, children = found = _together(first, equation, children)
    return found


def _branching(node: Node) -> Node | None:
    """The node of the `cond` that a node is a result of."""
    source = node.children[0] if node.operation == "item" and node.equation is None else node
    equation = source.equation
    if equation is None or not isinstance(equation.call, Cond) or getattr(equation.native, "effects", ()):
        return None
    return source


def _by_one(first: Node, equation: Equation, children: Sequence[Node]) -> bool:
    assert first.equation is not None
    return first.children[0] is children[0] and len(first.equation.call.branches) == len(equation.call.branches)


def _size(first: Node) -> int:
    assert first.equation is not None
    return sum(graph.count() for graph in first.equation.call.branches)


def _together(first: Node, equation: Equation, children: Sequence[Node]) -> tuple[Equation, list[Node]]:
    assert first.equation is not None
    places = [_place(first, node) for node in children[1:]]
    rest = [node for node, place in zip(children[1:], places, strict=True) if place is None]
    branches = tuple(
        _branch(f, g, places) for f, g in zip(first.equation.call.branches, equation.call.branches, strict=True)
    )
    operands = [children[0], *first.children[1:], *rest]
    return replace(equation, call=Cond(branches)), operands


def _place(first: Node, node: Node) -> int | None:
    """Which of the results of a branching a node is."""
    if node is first:
        return 0
    return node.params["index"] if _branching(node) is first else None


def _branch(f: Graph, g: Graph, places: Sequence[int | None]) -> Graph:
    """g of some results of f, and of more inputs."""
    inputs = [Variable(v.shape, v.dtype, v.name) for v in f.inputs]
    handed = [Variable(a.shape, a.dtype) for a in f.outputs]
    more = [Variable(v.shape, v.dtype, v.name) for v, place in zip(g.inputs, places, strict=True) if place is None]
    outputs = tuple(Variable(a.shape, a.dtype) for a in g.outputs)
    left = iter(more)
    read: list[Atom] = [next(left) if place is None else handed[place] for place in places]
    equations = (
        Equation("jit", tuple(inputs), tuple(handed), call=Inline(f)),
        Equation("jit", tuple(read), outputs, call=Inline(g)),
    )
    return Graph((*inputs, *more), equations, outputs, name=g.name, span=g.span)


__all__ = ["composed"]
