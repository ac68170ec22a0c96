"""Library functions that are written in branches, read as the one function that they are.

::

    2 Phi(x) = where(|w| < c, 1 + erf w, where(w > 0, 2 - erfc |w|, erfc |w|)) = erfc(-w),        w = x / sqrt 2

Every branch is erfc(-w) where it is chosen. The branches stay as they are, since they keep their digits; a logarithm or
a difference of them is taken of erfc(-w), for which there are rules.

Reference: Cody, *Rational Chebyshev approximations for the error function*, 1969.
"""

from __future__ import annotations

from fractions import Fraction

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import ERFC
from qed.numerics.rewriting.difference_terms import ONE, spelled
from qed.numerics.rewriting.scales import constant_of


def read_normal_tail(difference: Difference, node: Node) -> None:
    """Note that a choice is erfc(-w), if it is the one that the normal distribution function is made of."""
    w = _argument(node)
    if node.ghost is None and w is not None and _both_tails(node.children[1], w) and _middle(difference, node, w):
        minus = difference.emit(
            stable.MUL, difference.algebra.number(-1.0, w), w
        )  # a node that nothing else stands for
        node.ghost = difference.emit(ERFC, minus)


def _argument(node: Node) -> Node | None:
    """w, where a node chooses by |w| < c."""
    predicate = node.children[0]
    if len(node.children) != 3 or predicate.operation != "lt" or predicate.children[0].operation != "abs":
        return None
    return predicate.children[0].children[0] if constant_of(predicate.children[1]) is not None else None


def _both_tails(node: Node, w: Node) -> bool:
    """where(w > 0, 2 - erfc |w|, erfc |w|)."""
    if node.operation != "select_n" or len(node.children) != 3:
        return False
    predicate, low, high = node.children
    if predicate.operation != "gt" or predicate.children[0] is not w or constant_of(predicate.children[1]) != 0:
        return False
    above = spelled(high)
    return (
        _is_erfc_of_size(low, w)
        and above.operation == "sub"
        and constant_of(above.children[0]) == 2
        and _is_erfc_of_size(above.children[1], w)
    )


def _is_erfc_of_size(node: Node, w: Node) -> bool:
    inner = node.children[0] if node.operation == "erfc" else None
    return inner is not None and inner.operation == "abs" and inner.children[0] is w


def _middle(difference: Difference, node: Node, w: Node) -> bool:
    """1 + erf w."""
    found = dict(difference.deeper(node.children[2]))
    if found.pop(ONE, 0) != 1 or len(found) != 1:
        return False
    ((monomial, coefficient),) = found.items()
    g = difference.single(monomial, 1)
    return coefficient == Fraction(1) and g is not None and g.operation == "erf" and g.children[0] is w
