"""A rewriting that is a table of rules, one for each operation at which it begins.

`Guards` and `Substitutions` differ in their tables alone: what is offered to a rule, how a replacement takes the shape
and the line of what it replaces, and how changes are told, is one for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import ClassVar

from qed.graph.build import Builder, Node
from qed.numerics.rewriting.change import Change, Only
from qed.numerics.rewriting.difference import Rewrite, described
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.signs import floating

Replacement = tuple[Node, tuple[Law, ...], str | None]
"""What takes the place of a node, the laws that make both equal, and the convention where they are not quite."""


class Table(ABC):
    """Rules by the operation of a node, on the nodes of one builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.
    """

    name: ClassVar[str]
    derivative: ClassVar[bool] = False
    """Whether the rules are for graphs of derivatives, and not for those of values."""

    def __init__(self, builder: Builder, only: Only | None = None) -> None:
        self.builder = builder
        self.only = only
        self.difference = Difference.of(builder)
        self.changed: list[Rewrite] = []

    @abstractmethod
    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table: by the name of an operation what is tried at it."""

    @cached_property
    def uses(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table, made once."""
        return self.rules()

    @property
    def begins(self) -> Collection[str]:
        """The operations in the table; none where it is for graphs of the other kind."""
        return self.uses if self.builder.derivative is self.derivative else ()

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a node whose children are rewritten already, or None."""
        if self.builder.derivative is not self.derivative or node.equation is None:
            return None
        use = self.uses.get(node.operation)
        if use is None or not floating(node.dtype):
            return None
        if self.only is not None and not self.only(node):
            return None
        found = use(node)
        if found is None:
            return None
        new = self.difference.algebra.filled(found[0], node.shape)
        new.span = new.span or node.span
        if new.ghost is None and new.equation is None and new.number > node.number:
            new.ghost = node
        self.changed.append(Rewrite(node, new, *found[1:]))
        return new

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for those new nodes that are needed."""
        formula = Formula(self.difference.algebra.forms)
        return tuple(described(each, formula, self.name) for each in self.changed if each.new.number in needed)
