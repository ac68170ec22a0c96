"""Programs as data: the nodes of a graph in single assignment, calls inlined, constants exact.

A line is an operation, the lines that it reads, its parameters and its shape. A call with a rule of its own for
derivatives is read as its body, which is what its value means; loops and branches stay calls of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qed.certificates.real_polynomials import fail
from qed.graph.build import Builder, Node
from qed.graph.dtypes import is_real
from qed.graph.graph import Graph

Line = tuple[Any, ...]
"""(operation, what it reads, parameters, shape): inputs are ('input', (k,), (), shape)."""

LONGEST = 4000
"""Lines of the longest program that is read."""


def program(graph: Graph) -> tuple[tuple[Line, ...], tuple[int, ...]]:
    """A graph as lines, its calls inlined."""
    builder = Builder()
    inputs = builder.inputs(graph)
    return lines_of(builder.inline(graph, inputs), inputs)


def lines_of(outputs: Sequence[Node], inputs: Sequence[Node]) -> tuple[tuple[Line, ...], tuple[int, ...]]:
    """Nodes as lines, and which of them are the outputs; a call with a rule of its own is read as its body.

    Raises NotProved for what is no function of real numbers that lines can hold.
    """
    positions = {node.number: k for k, node in enumerate(inputs)}
    known: dict[int, int] = {}
    lines: list[Line] = []
    for node in _spelled(outputs):
        seen = node.ghost if _is_body(node) else None
        if seen is not None:
            known[node.number] = known[seen.number]
            continue
        known[node.number] = len(lines)
        lines.append(_line_of(node, known, positions))
        if len(lines) > LONGEST:
            fail("the program is too long")
    return tuple(lines), tuple(known[node.number] for node in outputs)


def _is_body(node: Node) -> bool:
    return node.equation is not None and node.ghost is not None


def _spelled(outputs: Sequence[Node]) -> list[Node]:
    """What the outputs need, the bodies of calls in the place of the calls, in an order of evaluation."""
    order: list[Node] = []
    done: set[int] = set()
    stack = [(node, False) for node in outputs]
    while stack:
        node, ready = stack.pop()
        if node.number in done:
            continue
        if ready:
            done.add(node.number)
            order.append(node)
            continue
        stack.append((node, True))
        children = (node.ghost,) if _is_body(node) and node.ghost is not None else node.children
        stack += [(child, False) for child in children if child.number not in done]
    return order


def _line_of(node: Node, known: Mapping[int, int], positions: Mapping[int, int]) -> Line:
    if node.operation == "input":
        if node.number not in positions:
            fail("a value from outside")
        return ("input", (positions[node.number],), (), node.shape)
    if node.operation == "constant":
        return _constant_line(node)
    params = {key: value for key, value in node.params.items() if key not in _IDLE}
    if node.operation == "convert_element_type":
        params = {"exact": is_real(node.dtype) and is_real(node.children[0].dtype)}
    written = tuple(sorted((key, _written(value, node)) for key, value in params.items()))
    return (node.operation, tuple(known[child.number] for child in node.children), written, node.shape)


_IDLE = frozenset(["sharding", "weak_type", "accuracy", "precision", "preferred_element_type", "out_sharding", "dtype",
                   "new_dtype", "dimensions"])  # fmt: skip


def _constant_line(node: Node) -> Line:
    value = node.value
    if not is_real(getattr(value, "dtype", node.dtype)) and not isinstance(value, int | float):
        array = np.asarray(value)
        return ("constant", (), (("value", f"{array.dtype}{array.tolist()}"),), node.shape)
    array = np.asarray(value).astype(np.float64)
    if array.size and np.all(array == array.flat[0]) and np.isfinite(array.flat[0]):
        return ("number", (), (("value", float(array.flat[0])),), node.shape)
    if array.size > 64:
        fail("a large array of constants")
    return ("constant", (), (("value", tuple(map(float, array.ravel()))),), node.shape)


def _written(value: Any, node: Node) -> Any:
    """A parameter as data; one that is none by its text, and a nested program by the number of its call."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return tuple(_written(part, node) for part in value)
    return f"{type(value).__name__} {value}" if not hasattr(value, "eqns") else f"call {id(node.equation)}"


__all__ = ["Line", "lines_of", "program"]
