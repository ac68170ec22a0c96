"""A loop of the user's, its parts by name, and how it is run with another carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jax import lax

from qed.graph.build import Builder, Node, Operation
from qed.graph.calls import Scan, While
from qed.graph.graph import Graph

EXPONENTIALS = frozenset({"exp", "exp2", "expm1", "cosh", "sinh"})
"""Operations by which a value may overflow at once."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop, its parts by name.

    Args:
        node: the loop; its children are `constants` for the condition and the body, the carry, and what is sliced.
        body: the graph of a step: (constants, carry, slices) -> (carry, rows).
    """

    node: Node
    body: Graph
    before: int
    constants: int
    carry: int

    @classmethod
    def of(cls, node: Node) -> Loop | None:
        """The loop that a node is."""
        call = node.equation.call if node.equation is not None else None
        if isinstance(call, Scan):
            return cls(node, call.body, 0, call.constants, call.carry)
        if isinstance(call, While):
            carry = len(node.children) - call.condition_constants - call.body_constants
            return cls(node, call.body, call.condition_constants, call.body_constants, carry)
        return None

    @property
    def call(self) -> Any:
        """The scan or while."""
        assert self.node.equation is not None
        return self.node.equation.call

    @property
    def start(self) -> tuple[Node, ...]:
        """The first carry."""
        first = self.before + self.constants
        return self.node.children[first : first + self.carry]

    @property
    def given(self) -> tuple[Node, ...]:
        """What stands for the inputs of the body before the first step, as far as signs are concerned."""
        return self.node.children[self.before :]

    def run(self, body: Callable[..., Any], start: Any, values: Sequence[Any], original: Callable[[Any], Any]) -> Any:
        """Run a loop with another carry.

        Args:
            body: (constants, carry, slices) -> (carry, rows).
            start: the first carry, any tree.
            values: one array a child of the node.
            original: carry -> the carry of the original loop, for its condition.
        """
        fixed = list(values[self.before : self.before + self.constants])
        sliced = list(values[self.before + self.constants + self.carry :])
        if isinstance(self.call, Scan):
            return lax.scan(
                lambda carry, rows: body(fixed, carry, rows), start, sliced, self.call.length, self.call.reverse
            )
        condition = _function(self.call.condition)
        for_condition = list(values[: self.before])
        final = lax.while_loop(
            lambda carry: condition(*for_condition, *original(carry))[0], lambda c: body(fixed, c, [])[0], start
        )
        return final, []


def key_of(loop: Loop, index: int) -> int:
    """A number for one result of one loop, by which equal operations are told apart."""
    return loop.node.number * 4096 + index


def part(index: int) -> Operation:
    """One of the parts that an operation returns."""
    return Operation(f"part_{index}", lambda pair: pair[index], whole=True)


def _function(graph: Graph) -> Callable[..., list[Any]]:
    builder = Builder()
    inputs = builder.inputs(graph)
    return builder.function(builder.inline(graph, inputs), inputs)
