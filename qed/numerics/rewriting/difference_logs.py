"""Logarithms minus their linear part: c (log u - (u^k - 1)/k), of which value and slope vanish together at u = 1.

With v = u^k it is c/k (log v - (v - 1)), the rest of a Taylor series in v - 1, which is found without cancellation.
More terms of its own sign may stand beside it, as in the divergence of two normal distributions::

    log(t/s) + (s^2 + (m - n)^2)/(2 t^2) - 1/2 = (m - n)^2/(2 t^2) + (r - 1 - log r)/2,      r = s^2/t^2

Reference: Kullback, *Information Theory and Statistics*, 1959, chapter 9; Higham, *Accuracy and Stability of Numerical
Algorithms*, 2002, section 1.14.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_series import LOG_REST
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, logarithm_of, plus, power_of, times

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference


def log_rest(
    difference: Difference, polynomial: Polynomial, monomial: Monomial, c: Fraction, like: Node
) -> Found | None:
    """The polynomial, where its term c * monomial is the logarithm of such a sum; else None."""
    g = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
    if g is None or g.operation not in ("log", "log_ratio", "log_difference"):
        return None
    for read in (difference.terms, difference.deep):
        u = logarithm_of(g, read)
        for given in (polynomial, difference.terms.expanded(polynomial, 1)):
            for k in (1, -1, 2, -2) if len(u) == 1 else (1,):
                found = _power(difference, given, (monomial, c), u, k, like) if given else None
                if found is not None:
                    return found
    return None


def _power(
    difference: Difference, polynomial: Polynomial, log: tuple[Monomial, Fraction], u: Polynomial, k: int, like: Node
) -> Found | None:
    c = log[1]
    v = u
    if len(u) == 1:
        v = {power_of(_signless(difference, m) if k % 2 == 0 else m, k): a**k for m, a in u.items()}
    below = plus(v, {ONE: Fraction(1)}, -1)
    if any(m not in polynomial for m in below):
        return None
    others = plus(plus(polynomial, {log[0]: c}, -1), below, c / k)
    if others and (len(others) >= len(polynomial) - 1 or not difference.adds(others)):
        return None
    if others and (min(others.values()) > 0) != (c / k < 0):
        return None
    gap = difference.sharp(below, like)
    if gap is None:
        return None
    value = difference.emit(LOG_REST, difference.plain(v, like), gap[0])
    value = difference.algebra.times(float(c / k), value)
    if others:
        value = difference.emit(stable.ADD, difference.plain(others, like), value)
    return value, (laws.LOG_REST, *gap[1])


def _signless(difference: Difference, monomial: Monomial) -> Monomial:
    """A monomial with x in the place of |x|."""
    found = ONE
    for number, power in monomial:
        node = difference.node(number)
        inner = difference.terms(node.children[0]) if node.operation == "abs" else {}
        plain = len(inner) == 1 and set(inner.values()) == {1}
        found = times(found, power_of(next(iter(inner)), power) if plain else ((number, power),))
    return found
