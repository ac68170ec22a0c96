"""Differences of products of sines and cosines, as formulas on the sphere have them.

::

    cos a sin b - sin a cos b         = sin(b - a)
    cos a sin b - sin a cos b cos d   = sin(b - a) + 2 sin a cos b sin(d/2)^2

The second is the northward component of the direction from one place to another: both products are near each other for
neighbours, and so is neither term on the right.

Reference: Sinnott, *Virtues of the haversine*, Sky and Telescope 68, 1984.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_second import SIN
from qed.numerics.rewriting.difference_terms import Monomial, Polynomial, times
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

SPHERE = Law("cos(a) sin(b) - sin(a) cos(b) cos(d) = sin(b - a) + 2 sin(a) cos(b) sin(d/2)**2", "always")


def on_the_sphere(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """c (cos a sin b - sin a cos b) and c (cos a sin b - sin a cos b cos d)."""
    for (m, c), (n, e) in permutations(polynomial.items()):
        first, second = _waves(difference, m), _waves(difference, n)
        if e != -c or first is None or second is None or [len(each) for each in first] != [1, 1]:
            continue
        (b,), (a,) = first
        if second[0] != [a] or b not in second[1] or len(second[1]) > 2:
            continue
        gap = difference.sharp(difference.minus(b, a), like)
        if gap is None:
            return None
        value = difference.emit(SIN, gap[0])
        rest = [each for each in second[1] if each is not b]
        if rest:
            half = difference.emit(SIN, difference.algebra.times(0.5, rest[0]))
            pair = difference.monomial(_without(difference, n, rest[0]), like)
            beside = difference.emit(stable.MUL, pair, difference.emit(stable.MUL, half, half))
            value = difference.emit(stable.ADD, value, difference.algebra.times(2.0, beside))
        elif len(second[1]) != 1:
            return None
        return difference.algebra.times(float(c), value), (SPHERE, *gap[1])
    return None


def _waves(difference: Difference, monomial: Monomial) -> tuple[list[Node], list[Node]] | None:
    """The arguments of the sines and of the cosines that a term is the product of."""
    found: dict[str, list[Node]] = {"sin": [], "cos": []}
    for number, power in monomial:
        node = difference.known(difference.node(number))
        if power != 1 or node.operation not in found:
            return None
        found[node.operation].append(node.children[0])
    return found["sin"], found["cos"]


def _without(difference: Difference, monomial: Monomial, argument: Node) -> Monomial:
    for number, _ in monomial:
        node = difference.known(difference.node(number))
        if node.operation == "cos" and node.children[0] is argument:
            return times(monomial, ((number, -1),))
    return monomial


__all__ = ["SPHERE", "on_the_sphere"]
