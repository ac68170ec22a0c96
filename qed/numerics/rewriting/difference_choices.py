"""Sums with a choice among their terms: where(c, a, b) + r = where(c, a + r, b + r).

What cancels may stand in one branch alone, as in elu(x) + 1, the positive features of linear attention::

    where(x > 0, x, exp(x) - 1) + 1 = where(x > 0, x + 1, exp(x))

The sum is taken inside where that gains in a branch: a difference of it has a rule, or its terms cancel. Elsewhere the
choice stays where it is.

Reference: Katharopoulos, Vyas, Pappas and Fleuret, *Transformers are RNNs*, 2020, for the example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import Polynomial, plus, scaled
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

INSIDE = Law("where(c, a, b) + r = where(c, a + r, b + r)", "always")


def through_choice(difference: Difference, node: Node) -> Found | None:
    """A sum of a choice and other terms, taken inside the branches."""
    polynomial = difference.terms(node)
    for monomial, coefficient in polynomial.items():
        choice = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        if choice is None or choice.operation != "select_n" or choice.equation is None or choice.shape != node.shape:
            continue
        others = plus(polynomial, {monomial: coefficient}, -1)
        if not others or any(difference.node(n).operation == "select_n" for m in others for n, _ in m):
            return None
        found = [_branch(difference, scaled(difference.terms(case), coefficient), others, node)
                 for case in choice.children[1:]]  # fmt: skip
        if not any(used for _, used in found):
            return None
        cases = [difference.algebra.filled(case, node.shape) for case, _ in found]
        used = tuple(law for _, laws in found for law in laws)
        return difference.builder.apply(choice.equation, [choice.children[0], *cases])[0], (INSIDE, *used)
    return None


def _branch(difference: Difference, case: Polynomial, others: Polynomial, like: Node) -> Found:
    total = plus(case, others)
    found = difference(total, like)
    if found is not None:
        return found
    cancelled = len(total) <= 1 and len(case) > 1
    return difference.plain(total, like), (INSIDE,) if cancelled else ()
