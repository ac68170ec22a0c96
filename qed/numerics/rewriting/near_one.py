"""The logarithm of a number near 1: log n = log1p(n - 1), with n - 1 found without cancellation.

Rounding n leaves an error of u in n, and of u/|log n| in log n: near n = 1 that is everything. Where the difference
n - 1 has a form of its own (`qed.numerics.rewriting.difference`), as (a - b)/b has for n = a/b, the logarithm is taken
of that; where |n - 1| > 1/2 it is taken of n.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import kernels, laws
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.difference import Rewrite, described
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_squares import LOG_NORM, LOG_NORM_LAW
from qed.numerics.rewriting.difference_terms import ONE
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import floating


class NearOne:
    """The rewriting on the nodes of one builder.

    Args:
        builder: where nodes are made.
        only: which nodes may be rewritten; default all.
    """

    name = "near one"
    begins: Collection[str] = frozenset(["log"])

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        self.builder, self.only = builder, only
        self.difference = Difference.of(builder)
        self.changed: list[Rewrite] = []

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a logarithm, or None."""
        if node.operation != "log" or node.equation is None or not floating(node.dtype):
            return None
        argument = node.children[0]
        if argument.operation == "neg" and argument.equation is None and argument.ghost is not None:
            return self._beside_one(node, argument)
        if argument.operation == "norm" and not self.builder.derivative and (self.only is None or self.only(node)):
            new = self.builder.emit(LOG_NORM, argument.children[0], axes=argument.params["axes"], shape=node.shape)
            new.span = new.span or node.span
            self.changed.append(Rewrite(node, new, (LOG_NORM_LAW,)))
            return new
        if (self.only is not None and not self.only(node)) or constant_of(argument) is not None:
            return None
        if argument.operation not in ("div", "mul", "add", "sub", "sqrt", "integer_pow", "pow") or argument.settled:
            return None
        found = self.difference(self.difference.shifted(argument, Fraction(1)), argument)
        if found is None:
            return None
        rest = self.difference.algebra.filled(found[0], node.shape)
        new = self.builder.emit(kernels.LOG_NEAR_ONE, argument, rest)
        new.span = new.span or node.span
        self.changed.append(Rewrite(node, new, (laws.NEAR_ONE, *found[1])))
        return new

    def _beside_one(self, node: Node, argument: Node) -> Node | None:
        """log(1 - v) of a v that is one product, where 1 - v is found from v - 1: for small v it is log1p(-v)."""
        written = self.difference.deeper(argument)
        rest = {monomial: c for monomial, c in written.items() if monomial != ONE}
        if (self.only is not None and not self.only(node)) or written.get(ONE) != 1 or len(rest) != 1:
            return None
        v = self.difference.algebra.filled(self.difference.plain(rest, argument), node.shape)
        new = self.builder.emit(kernels.LOG_NEAR_ONE, argument, v)
        new.span = new.span or node.span
        self.changed.append(Rewrite(node, new, (laws.NEAR_ONE,)))
        return new

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for those new nodes that are needed."""
        formula = Formula(self.difference.algebra.forms)
        return tuple(described(each, formula, self.name) for each in self.changed if each.new.number in needed)
