"""Growth over many periods, (1 + r)^n: rounding 1 + r costs n units of the last place; exp(n log1p r) costs none.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14.
"""

from __future__ import annotations

from fractions import Fraction

from qed.graph.build import Node
from qed.numerics.rewriting.algorithms import GROWN, GROWN_OVER
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, plus, product, spelled
from qed.numerics.rewriting.exponents import with_common_factor
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of, largest_of

GROWTH = Law("(1 + r)**n = exp(n log1p(r))", "1 + r > 0; where |r| is not small it stays")


def grown(difference: Difference, node: Node) -> Found | None:
    """(1 + r)^n for an r that is found without cancellation, n no small number."""
    base = node.children[0]
    if node.operation == "integer_pow" and base.operation == "div" and abs(node.params["y"]) >= 8:
        return _quotient_grown(difference, node, base)
    if spelled(base).operation not in ("add", "sub"):
        return None
    polynomial = difference.deeper(base)
    rest = plus(polynomial, {ONE: Fraction(1)}, -1)
    if not rest or ONE in rest or constant_of(base) is not None:
        return None
    exponent = node.children[1] if node.operation == "pow" else None
    if exponent is None and abs(node.params["y"]) < 8:
        return None
    if exponent is not None and largest_of(exponent) < 8:
        return None
    gap = difference.sharp(rest, base)
    if gap is None:
        return None
    over = exponent is not None and dict(next(iter(rest))).get(exponent.number) == -1
    shared = with_common_factor(difference, node, rest) if exponent is not None and not over else None
    if shared is not None:
        return shared
    if exponent is not None and over and len(rest) == 1:
        read = product(rest, difference.terms(exponent))
        return difference.emit(GROWN_OVER, difference.plain(read, base), exponent), (GROWTH,)
    n = exponent if exponent is not None else difference.algebra.number(float(node.params["y"]), base)
    return difference.emit(GROWN, base, gap[0], n), (GROWTH, *gap[1])


def _quotient_grown(difference: Difference, node: Node, base: Node) -> Found | None:
    """(a / b)^n from (a - b) / b, found without cancellation."""
    gap = difference(difference.shifted(base, Fraction(1)), base)
    if gap is None:
        return None
    n = difference.algebra.number(float(node.params["y"]), base)
    return difference.emit(GROWN, base, difference.algebra.filled(gap[0], base.shape), n), (GROWTH, *gap[1])
