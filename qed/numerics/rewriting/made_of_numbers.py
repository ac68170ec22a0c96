"""Numbers that a program computes from nothing but numbers, as a density does from a fixed scale: log(2 pi s^2).

Products, quotients, powers and roots give a number with all of its digits, unless they leave the range of the dtype.
Nothing is lost in the logarithm of such a number unless it is near 1.
"""

from __future__ import annotations

import numpy as np
from jax import numpy as jnp

from qed import facts
from qed.graph.build import Node
from qed.graph.dtypes import is_real
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES

EXACT = frozenset("mul div square integer_pow neg abs sqrt".split())
DEPTH = 8


def is_plain_number(node: Node) -> bool:
    """Whether a node is one number, made of numbers, whose logarithm has all of its digits.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> def made(f):
        ...     builder, graph = Builder(), trace(f, jnp.float32(1)).graph
        ...     return is_plain_number(builder.inline(graph, builder.inputs(graph))[0])
        >>> one = jnp.ones(())
        >>> made(lambda x: 6.0 * jnp.square(2 * one)), made(lambda x: jnp.square(1e30 * one)), made(lambda x: x * one)
        (True, False, False)
    """
    found = number_of(node)
    return found is not None and abs(found - 1) > 0.25


def number_of(node: Node, depth: int = DEPTH) -> float | None:
    """The number that a node is, made of numbers as they stand; None for anything else, or out of the range."""
    known = constant_of(node)
    if known is not None or not depth or not node.children:
        return known
    if node.operation in MOVES or node.operation == "convert_element_type":
        return number_of(node.children[0], depth - 1)
    if node.operation not in EXACT or node.equation is None or not is_real(node.dtype):
        return None
    numbers = [number_of(child, depth - 1) for child in node.children]
    given = [np.float64(number) for number in numbers if number is not None]
    if len(given) < len(numbers):
        return None
    first, *rest = given
    with np.errstate(all="ignore"):
        if node.operation in ("mul", "div"):
            found = float(first * rest[0] if node.operation == "mul" else first / rest[0])
        else:
            card = facts.card(node.operation, **node.params)
            found = float(card.numpy(first)) if card is not None else float("nan")
    info = jnp.finfo(node.dtype)
    return found if float(info.tiny) <= abs(found) <= float(info.max) else None


def multiple_of(node: Node) -> Node | None:
    """What a node is a multiple of, the factor made of numbers; None for anything else."""
    if node.operation == "neg":
        return node.children[0]
    if node.operation not in ("mul", "div"):
        return None
    a, b = node.children
    if number_of(b) is not None:
        return a
    return b if node.operation == "mul" and number_of(a) is not None else None


__all__ = ["is_plain_number", "multiple_of", "number_of"]
