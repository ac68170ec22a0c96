"""Factors below zero: a b = -((-a) b), so that the logarithm of a product of exponentials tells it, whatever its sign.

The sign is followed through minus, numbers, products, quotients, what moves elements and what puts them among zeros.

A derivative that a user takes by himself is made of such factors: that of -log p has -1/p in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES, Sign, floating

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

DEEP = 12
"""Through how many operations a sign is followed."""
PUT = {"dynamic_update_slice": 1, "scatter": 2, "pad": 0}
"""What puts elements among others, and which operand they are."""
_AMONG = {"dynamic_update_slice": 0, "scatter": 0, "pad": 1}


def put_among_zeros(node: Node) -> Node | None:
    """The elements that a node puts among zeros; None where it is no such node, or applies a function to them."""
    at = PUT.get(node.operation)
    if (
        at is None
        or node.params.get("update_jaxpr") is not None
        or node.equation is None
        or constant_of(node.children[_AMONG[node.operation]]) != 0
    ):
        return None
    return node.children[at]


Magnitude = tuple[Node, bool]
"""A node that is not below zero, and whether the number that is meant is it, or the negative of it."""


class Magnitudes:
    """|n| of nodes n of which the sign is seen, without a minus in it; each found once.

    Args:
        log: what tells the signs of everything else.
    """

    def __init__(self, log: Logarithm) -> None:
        self.log = log
        self._known: dict[int, Magnitude | None] = {}

    def __call__(self, node: Node, deep: int = DEEP) -> Magnitude | None:
        """What a node is without its sign; None where that is not seen."""
        if node.number not in self._known:
            if not floating(node.dtype):
                return None
            above = self.log.sign(node) > Sign.UNKNOWN
            self._known[node.number] = (node, True) if above else self._found(node, deep) if deep else None
        return self._known[node.number]

    def _found(self, node: Node, deep: int) -> Magnitude | None:
        number = constant_of(node)
        if number is not None:
            like = self.log.algebra.number(-number, node) if number < 0 else None
            return None if like is None else (self.log.algebra.filled(like, node.shape), False)
        if node.operation == "neg":
            inner = self(node.children[0], deep - 1)
            return None if inner is None else (inner[0], not inner[1])
        parts = self.product(node.children, deep - 1) if node.operation in ("mul", "div") else None
        if parts is not None:
            (a, b), above = parts
            if node.operation == "mul" and constant_of(a) == 1 and b.shape == node.shape:
                return b, above
            return None if node.equation is None else (self._applied(node, parts[0]), above)
        if node.equation is None:
            return None
        at = PUT[node.operation] if put_among_zeros(node) is not None else 0 if node.operation in MOVES else None
        inner = None if at is None else self(node.children[at], deep - 1)
        if inner is None:
            return None
        children = [inner[0] if i == at else child for i, child in enumerate(node.children)]
        return self._applied(node, children), inner[1]

    def product(self, factors: Sequence[Node], deep: int = DEEP) -> tuple[list[Node], bool] | None:
        """Factors without their signs, and whether the product is above zero; None where a sign is not seen."""
        found = [self(factor, deep) for factor in factors]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        return [node for node, _ in known], sum(not above for _, above in known) % 2 == 0

    def _applied(self, node: Node, children: Sequence[Node]) -> Node:
        assert node.equation is not None
        return self.log.builder.apply(node.equation, children)[0]


__all__ = ["PUT", "Magnitudes", "put_among_zeros"]
