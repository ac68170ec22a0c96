"""Values between 0 and 1 by their logarithm, which cannot overflow: exp(-|x|), exp(-x^2).

Library code is written with them on purpose: log1p(exp(-|x|)) and 1 / (1 + exp(-|x|)) keep all of their digits, and
softplus(-|x|) or sigmoid(|x|) in their place would bring nothing.
"""

from __future__ import annotations

import math

from qed.graph.build import Node
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.made_of_numbers import number_of
from qed.numerics.rewriting.recursion import Logarithm
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign


def at_most_one(log: Logarithm, form: Form) -> bool:
    """Whether what has this logarithm is at most 1, as far as signs show."""

    def negative(term: Term) -> bool:
        node, factor = term.node, term.coefficient
        while node.operation == "neg" and node.equation is not None:
            node, factor = node.children[0], -factor
        if node.operation == "log":
            number = number_of(node.children[0])
            return number is not None and number > 0 and factor * math.log(number) <= 0
        value = constant_of(node)
        return factor * value <= 0 if value is not None else factor < 0 and log.sign(node) > Sign.UNKNOWN

    return bool(form.terms) and all(map(negative, form.terms))


def is_mild(log: Logarithm, node: Node) -> bool:
    """Whether a node is the sum of a positive number and of a positive value that is at most 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> def mild(f):
        ...     builder, graph = Builder(), trace(f, 1.0).graph
        ...     return is_mild(Logarithm(builder), builder.inline(graph, builder.inputs(graph))[0])
        >>> mild(lambda x: 1 + jnp.exp(-jnp.abs(x))), mild(lambda x: 1 + jnp.exp(x))
        (True, False)
    """
    if node.operation != "add" or node.equation is None or log.builder.everywhere:
        return False
    for number, other in (node.children, node.children[::-1]):
        if (constant_of(number) or 0.0) > 0 and constant_of(other) is None:
            form = log.gained(other)
            return form is not None and log.sign(other) > Sign.UNKNOWN and at_most_one(log, form)
    return False


def divides(form: Form) -> bool:
    """Whether a form is of a number over something."""
    numbers = [t.node.operation == "log" and number_of(t.node.children[0]) is not None for t in form.terms]
    moving = [term.coefficient for term, number in zip(form.terms, numbers, strict=True) if not number]
    return max(moving, default=1.0) <= 0


__all__ = ["at_most_one", "divides", "is_mild"]
