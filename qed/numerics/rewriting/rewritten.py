"""A rewritten graph; and the rewriting of logarithms alone, of all nodes or of those that some lines make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qed.graph.build import Builder, Node, reachable
from qed.graph.graph import Graph
from qed.graph.names import assigned
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.logarithm import Logarithms


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A rewritten graph.

    Args:
        function: (the graph's inputs, flat) -> list of its outputs; may be traced (jit, grad, vmap).
        changes: what was changed, in program order.
    """

    function: Callable[..., list[Any]] = field(repr=False)
    changes: tuple[Change, ...] = ()


def rewrite(graph: Graph, only: Callable[[Node], bool] | None = None) -> Rewritten | None:
    """Rewrite logarithms and quotients of exponentials into a form that is stable in value and gradient.

    Args:
        graph: the graph of a function.
        only: which nodes may be rewritten, by their `spans`, say; default all.

    Returns:
        The rewritten function, or None if nothing was changed that an output needs.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> def loss(z):
        ...     return -jnp.log(jnp.exp(z[0]) / jnp.sum(jnp.exp(z)))
        >>> z = jnp.array([-1000.0, 1000.0])
        >>> rewritten = rewrite(trace(loss, z).graph)
        >>> float(loss(z)), float(rewritten.function(z)[0])
        (inf, 2000.0)
    """
    builder = Builder(names=assigned)
    rewriting = Logarithms(builder, only)
    builder.rule = rewriting.rule
    inputs = builder.inputs(graph)
    outputs = builder.inline(graph, inputs)
    changes = rewriting.changes({node.number for node in reachable([*outputs, *builder.effects])})
    return Rewritten(builder.function(outputs, inputs), changes) if changes else None


def at_lines(lines: Sequence[tuple[str, int]]) -> Callable[[Node], bool]:
    """A predicate for `rewrite(only=...)`: what was written on one of these lines, each (file, line).

    Example:
        >>> at_lines([("train.py", 8)])(Builder().constant(1.0))
        False
    """
    wanted = set(lines)
    return lambda node: any((span.file, span.line) in wanted for span in node.spans)
