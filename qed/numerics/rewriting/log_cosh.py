"""log cosh as the logarithm of a sum of two exponentials: log(exp(u) + exp(-u)) - log 2.

::

    log(e^u + e^-u) - log 2 = log cosh u = log1p(2 sinh(u/2)^2)

Both logarithms are log 2 where u is small, and u^2/2 is what is left of them; the loss is used because it is that.
Where log 2 is a number that was rounded before, what it differs by is added.

Reference: Maechler, *Accurately computing log(1 - exp(-|a|))*, 2012, for logarithms of sums of exponentials near 0.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Polynomial
from qed.numerics.rewriting.kernels import LOG_COSH
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

TWO_EXPONENTIALS = Law("log(exp(a) + exp(-a)) - log(2) = log(cosh(a))", "always")
LOG_TWO = Fraction(0.6931471805599453) + Fraction(2.3190468138462996e-17)
"""log 2 to some 30 digits."""


def log_cosh_of(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (logaddexp(u, -u) - log 2), log 2 as that or as a number near it."""
    for (m, c), (n, e) in permutations(polynomial.items()) if len(polynomial) == 2 else ():
        pair = _two(difference.node(m[0][0])) if len(m) == 1 and m[0][1] == 1 else None
        beyond = None if pair is None else _beyond(difference, n, e / c)
        if pair is None or beyond is None or difference.plus(*pair) or pair[0].shape != like.shape:
            continue
        value = difference.emit(LOG_COSH, pair[0])
        if beyond:
            value = difference.emit(stable.ADD, value, difference.algebra.number(float(beyond), like))
        return difference.algebra.times(float(c), value), (TWO_EXPONENTIALS,)
    return None


def _two(node: Node) -> tuple[Node, Node] | None:
    """u and v, where a node is logaddexp(u, v)."""
    call = node.equation.call if node.equation is not None else None
    if node.operation == "logaddexp" or getattr(call, "name", "") == "logaddexp":
        return (node.children[0], node.children[1]) if len(node.children) == 2 else None
    return None


def _beyond(difference: Difference, monomial: tuple[tuple[int, int], ...], number: Fraction) -> Fraction | None:
    """What a term is more than -log 2, where it is that or rounded from it."""
    if monomial == ONE:
        return number + LOG_TWO if abs(number + LOG_TWO) < 2**-10 else None
    log = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
    return Fraction(0) if log is not None and log.operation == "log" and _of_two(log) and number == -1 else None


def _of_two(log: Node) -> bool:
    return constant_of(log.children[0]) == 2


__all__ = ["TWO_EXPONENTIALS", "log_cosh_of"]
