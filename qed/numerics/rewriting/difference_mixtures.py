"""What a mixture leaves of 1: 1 - sum(w_i p_i) = sum(w_i (1 - p_i)) for weights that add up to 1.

The probability that an item is answered wrongly although one may guess, 1 - (c + (1 - c) sigmoid(z)), is
(1 - c) sigmoid(-z): the sum is near 1 and has lost what it differs by. The same is true of the upper tail of a mixture
of two laws, 1 - (c P(x) + (1 - c) Q(x)), and of a mean of probabilities. A weight alone is one with p = 1, of which
nothing is left. Each 1 - p_i is found by the difference in turn; weights that add up to 1 but for the rounding of
their constants leave that as a number.

Reference: Birnbaum, in Lord and Novick, *Statistical Theories of Mental Test Scores*, 1968, for the example.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product as combinations_of
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, product, scaled, times
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

MIXTURE = Law("1 - sum(w p) = sum(w (1 - p)) for weights whose sum is 1", "always")
MOST, FACTORS = 4, 3
"""How many members a mixture has at most, and how many factors each."""
LIMITS = (1, 2)
"""What a generator is where the probability is 1: an erfc is 2."""

_Split = tuple[Monomial, Monomial, int]
"""A monomial as weight and a power of one generator, or 1, which is this number where the probability is 1."""


def of_mixture(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """k (1 - sum(w_i p_i)), by what every p_i leaves of 1."""
    k = polynomial.get(ONE, Fraction(0))
    members = [(monomial, -c / k) for monomial, c in polynomial.items() if monomial != ONE] if k else []
    if not 2 <= len(members) <= MOST or any(len(monomial) > FACTORS for monomial, _ in members):
        return None
    splits = [_splits(difference, monomial) for monomial, _ in members]
    if not any(len(each) > 1 for each in splits):
        return None
    for chosen in combinations_of(*splits):
        left = _left_of_one(difference, chosen, [c for _, c in members])
        found = None if left is None else _by_parts(difference, chosen, [c for _, c in members], like)
        if found is not None and left is not None:
            total = scaled(plus(found[0], {ONE: left}), k)
            better = difference.sharp(total, like)
            value, more = better if better is not None else (difference.plain(total, like), ())
            return value, (MIXTURE, *found[1], *more)
    return None


def _splits(difference: Difference, monomial: Monomial) -> list[_Split]:
    """The ways to read a monomial: each of its powers as the probability, or none of them."""
    found: list[_Split] = []
    for number, power in monomial:
        if abs(power) == 1 and len(difference.deeper(difference.node(number))) <= 2:
            weight = times(monomial, ((number, -power),))
            found += [(weight, ((number, power),), limit) for limit in LIMITS]
    return [*found, (monomial, ONE, 1)]


def _left_of_one(difference: Difference, chosen: tuple[_Split, ...], factors: list[Fraction]) -> Fraction | None:
    """1 - sum(w_i), if it is a number that rounding explains."""
    total: Polynomial = {ONE: Fraction(1)}
    for (weight, _, limit), factor in zip(chosen, factors, strict=True):
        if any(power < 0 for _, power in weight):
            return None
        term: Polynomial = {ONE: factor * limit}
        for number, power in weight:
            for _ in range(power):
                term = product(term, difference.deeper(difference.node(number)))
        total = plus(total, term, -1)
    if set(total) - {ONE}:
        return None
    left = total.get(ONE, Fraction(0))
    return left if abs(left) < Fraction(1, 1000000) else None


def _by_parts(
    difference: Difference, chosen: tuple[_Split, ...], factors: list[Fraction], like: Node
) -> tuple[Polynomial, tuple[Law, ...]] | None:
    """sum(w_i (1 - p_i)) as a polynomial, and the laws used."""
    total: Polynomial = {}
    used: tuple[Law, ...] = ()
    for (weight, probability, limit), factor in zip(chosen, factors, strict=True):
        if probability == ONE:
            continue
        found = difference.sharp({ONE: Fraction(limit), probability: Fraction(-1)}, like)
        if found is None or (weight == ONE and (factor < 0 or not found[1])):
            return None
        used += found[1]
        total = plus(total, scaled(difference.terms(found[0]), factor, weight))
    return (total, used) if used and total else None


__all__ = ["MIXTURE", "of_mixture"]
