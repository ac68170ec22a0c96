"""What a rewriting changed, and what the session asks of a rewriting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qed.graph.build import Builder, Node
from qed.span import Span

Only = Callable[[Node], bool]
"""Which nodes may be rewritten."""


@dataclass(frozen=True)
class Change:
    """One rewritten expression.

    Args:
        span: the user's line.
        before: the formula as written, in the user's names where the source shows them.
        after: what takes its place.
        identity: the laws of real numbers that make them equal, separated by '; '.
        condition: where the laws hold.
        convention: the name of the convention, where the two are no identity: '0 log 0 = 0', say.
        rewriting: which rewriting did it.
        old, new: the node as it was, and what took its place.
    """

    span: Span | None
    before: str
    after: str
    identity: str
    condition: str
    convention: str | None = None
    rewriting: str = "logarithm"
    old: Node | None = field(default=None, repr=False, compare=False)
    new: Node | None = field(default=None, repr=False, compare=False)


class Rewriting(Protocol):
    """A recursive rewriting on the nodes of one builder."""

    name: str

    @property
    def begins(self) -> Collection[str]:
        """The operations that it may replace: it is offered no others."""
        ...

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a node whose children are rewritten already; None leaves it."""

    def changes(self, needed: set[int]) -> Sequence[Change]:
        """What was changed, for those changes whose new node has one of these numbers."""
        ...


Maker = Callable[[Builder, "Only | None"], Rewriting]
"""Starts a rewriting on a builder."""
