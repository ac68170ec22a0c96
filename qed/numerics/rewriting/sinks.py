"""Products with a choice of which the other case is 0, multiplied where it is not.

::

    where(c, a, 0) * b = where(c, a b, 0)            where(c, a, 0) / b = where(c, a / b, 0)

and the same of -where(c, a, 0).

Derivatives by hand or by `jax.grad` are full of them: what is not chosen has the slope 0 there, times a slope that may
be infinite or no number. 0 times that is NaN; what is not chosen is 0.
"""

from __future__ import annotations

from collections.abc import Callable

from qed.graph.build import Node
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of, decided
from qed.numerics.rewriting.signs import MOVES, Sign
from qed.numerics.rewriting.table import Replacement

SUNK = Law("where(c, a, 0) b = where(c, a b, 0)", "b is a number")
DEPTH = 8


def sunk(difference: Difference, unsafe: Callable[[Node], bool], node: Node) -> Replacement | None:
    """A product or quotient of a choice whose other cases are 0.

    Args:
        difference: the builder's differences.
        unsafe: whether an operation or its derivative may be infinite.
        node: the product or quotient.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import qed
        >>> f = lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0)
        >>> jax.grad(f)(-4.0).tolist(), qed.stabilize(jax.grad(f))(-4.0).tolist()
        (nan, 0.0)
    """
    if node.equation is None:
        return None
    for at in (0, 1) if node.operation == "mul" else (0,):
        choice, other = node.children[at], node.children[1 - at]
        negative = choice.operation == "neg"
        choice = choice.children[0] if negative else choice
        if choice.operation != "select_n" or choice.shape != node.shape or other.shape != node.shape:
            continue
        predicate, *cases = choice.children
        zero = [constant_of(case) == 0 for case in cases]
        if zero.count(False) != 1 or constant_of(predicate) is not None:
            continue
        if decided(choice, difference.sign):
            continue
        if not _may_burst(difference, unsafe, other, node.operation == "div"):
            continue
        pairs = [(case, other) if at == 0 else (other, case) for case in cases]
        products = [
            case if is_zero else difference.builder.apply(node.equation, pair)[0]
            for case, is_zero, pair in zip(cases, zero, pairs, strict=True)
        ]
        if choice.equation is None or any(p.shape != node.shape or p.dtype != node.dtype for p in products):
            continue
        sunken = difference.builder.apply(choice.equation, [predicate, *products])[0]
        return (difference.algebra.negative(sunken) if negative else sunken), (SUNK,), None
    return None


def _may_burst(difference: Difference, unsafe: Callable[[Node], bool], node: Node, divides: bool) -> bool:
    """Whether a factor may be infinite or no number, or a divisor 0 as well."""
    if divides and constant_of(node) is None and difference.sign(node) < Sign.BOUNDED:
        return True
    stack, seen = [(node, 0)], set[int]()
    while stack:
        each, depth = stack.pop()
        if each.number in seen or depth > DEPTH:
            continue
        seen.add(each.number)
        below = each.operation == "integer_pow" and each.params["y"] < 0
        if unsafe(each) or (below and difference.sign(each.children[0]) < Sign.BOUNDED):
            return True
        if each.operation in ("mul", "div", "neg", "add", "sub", "sqrt", "integer_pow", "square") or (
            each.operation in MOVES
        ):
            stack.extend((child, depth + 1) for child in each.children)
    return False


__all__ = ["SUNK", "sunk"]
