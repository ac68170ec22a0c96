"""Clipping by a length: g min(a, b / |x|) and g / max(|x|, c), without the square of a length in the derivative.

::

    min(a, b / |x|) = b / max(|x|, b / a)        a, b > 0
    g (b / m) = g / (m / b)                      d(u / m) = (du - (u / m) dm) / m

Since m >= b / a the number m / b is no smaller than 1 / a; b g may be beyond the largest number where g b / m is not.
The derivative of 1 / |x| is -1 / |x|^2 times that of |x|, which over- or underflows long before the product with g
does. A gradient is clipped because it may be very long.

Reference: Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2013, section 3.2.
"""

from __future__ import annotations

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.lengths import OVER
from qed.numerics.rewriting.scales import constant_of, source_of
from qed.numerics.rewriting.table import Replacement

CLIP = Law("min(a, b / |x|) = b / max(|x|, b / a)", "a > 0 and b > 0")
OVER_LENGTH = Law("g (b / m) = g / (m / b)", "always")
LENGTHS = ("norm", "root_of_squares")
LARGEST = 1e6
"""Constants up to this size and down to its inverse may be moved into a quotient."""


def clipped(difference: Difference, node: Node) -> Replacement | None:
    """min(a, b / |x|)."""
    for bound, quotient in (node.children, node.children[::-1]):
        a = constant_of(bound)
        if a is None or not 1 / LARGEST <= a <= LARGEST or quotient.operation != "div":
            continue
        above, below = quotient.children
        b = constant_of(above)
        if b is None or not 1 / LARGEST <= b <= LARGEST or not _length(below) or quotient.shape != node.shape:
            continue
        below = difference.algebra.filled(below, node.shape)
        least = difference.emit(stable.MAX, below, difference.algebra.number(b / a, node))
        return difference.emit(OVER, difference.algebra.filled(above, node.shape), least), (CLIP,), None
    return None


def clipped_by(difference: Difference, node: Node) -> Replacement | None:
    """g (b / m), as g / (m / b)."""
    for g, factor in (node.children, node.children[::-1]):
        quotient = source_of(factor)
        if quotient.operation != "over_length" or g is factor:
            continue
        above, below = quotient.children
        b = constant_of(above)
        if b is None or (quotient.shape != () and quotient.shape != factor.shape):
            continue
        below = difference.algebra.filled(below, node.shape)
        if b != 1:
            below = difference.emit(stable.DIV, below, difference.algebra.number(b, node))
        return difference.emit(OVER, g, below), (OVER_LENGTH,), None
    return None


def over_clipped(difference: Difference, node: Node) -> Replacement | None:
    """g / m, where m is a length with a least value, or a constant added."""
    below = node.children[1]
    inner = source_of(below)
    if inner.operation not in ("max", "add") or not _length(inner):
        return None
    above = difference.algebra.filled(node.children[0], node.shape)
    return difference.emit(OVER, above, difference.algebra.filled(below, node.shape)), (OVER_LENGTH,), None


def _length(node: Node) -> bool:
    """Whether a node is a length, perhaps with a constant added, or no less than a constant."""
    node = source_of(node)
    while node.operation in ("max", "add"):
        rest = [child for child in node.children if constant_of(child) is None]
        if len(rest) != 1 or any((constant_of(child) or 0) < 0 for child in node.children):
            return False
        node = source_of(rest[0])
    return node.operation in LENGTHS
