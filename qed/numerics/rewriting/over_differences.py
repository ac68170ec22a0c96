"""What is divided by a difference of two exponentials and multiplied by one of them, by Bose's function.

::

    exp(x) / (exp(x) - exp(y)) = -b(y - x)        exp(y) / (exp(x) - exp(y)) = b(x - y),        b(d) = 1/(exp(d) - 1)

The derivative of log(exp(x) - exp(y)) that a user takes by `jax.grad`, of the logarithm of the probability of an
interval, is made of such quotients; both exponentials may be out of range where the quotient is an ordinary number.
The difference x - y is the one that the difference of the exponentials was made of.
"""

from __future__ import annotations

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.bose import BOSE
from qed.numerics.rewriting.forms import Algebra
from qed.numerics.rewriting.laws import Law

OVER_DIFFERENCE = Law("exp(b) / (exp(a) - exp(b)) = 1 / (exp(a - b) - 1)", "a != b, as for the original")
DEEP = 6
"""Through how many operations factors are followed."""


def over_difference(algebra: Algebra, node: Node) -> Node | None:
    """A product or a quotient with a factor exp(x)/(exp(x) - exp(y)), or None."""
    parts = _factors(node, DEEP)
    if parts is None:
        return None
    negative, above, below = parts
    for divisor in below:
        if divisor.operation != "exp_difference" or divisor.equation is not None or divisor.shape != node.shape:
            continue
        x, y, d = divisor.children
        for power in above:
            if power.operation != "exp" or power.children[0] not in (x, y) or x is y:
                continue
            first = power.children[0] is x
            share = algebra.emit(BOSE, algebra.filled(algebra.negative(d) if first else d, node.shape))
            rest = [each for each in above if each is not power]
            value = share
            for factor in rest:
                value = algebra.emit(stable.MUL, value, factor)
            for other in below:
                if other is not divisor:
                    value = algebra.emit(stable.DIV, value, other)
            value = algebra.negative(value) if first != negative else value
            return algebra.filled(value, node.shape)
    return None


def _factors(node: Node, deep: int) -> tuple[bool, list[Node], list[Node]] | None:
    """The sign of a product, and what is multiplied and divided by."""
    if deep == 0 or node.operation not in ("mul", "div", "neg"):
        return False, [node], []
    found = [_factors(child, deep - 1) for child in node.children]
    read = [each for each in found if each is not None]
    if node.operation == "div":
        (sign, above, below), (other, more, less) = read
        return sign != other, above + less, below + more
    negative = node.operation == "neg"
    for sign, _, _ in read:
        negative = negative != sign
    return negative, [n for _, above, _ in read for n in above], [n for _, _, below in read for n in below]


__all__ = ["OVER_DIFFERENCE", "over_difference"]
