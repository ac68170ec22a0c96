"""Tails of sums whose terms go by turns: (-1)^k / k, or what depends on k mod n.

With k = n j + r the sum from K on is that of n sums over j, in each of which the terms are those of one residue class:

    sum_{k >= K} g(k) = sum_{r < n} sum_{j >= J} g(n j + K - n J + r),        J = K div n,

if the sums of the positive and of the negative terms are not both infinite. If they are, the sum is undefined in the
sense of Lebesgue, whatever the order of its terms may make of it. Reference: Knopp, *Theory and Application of Infinite
Series*, Blackie 1951, section 44.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from qed.certificates.euler_maclaurin import by_expansion
from qed.certificates.found import Found
from qed.certificates.integral_parts import BITS
from qed.certificates.series_tails import compared
from qed.certificates.turns import Turns
from qed.domains.precision import flint
from qed.domains.tail import Tail
from qed.domains.tail_forms import Logarithm, NoOrder, Term
from qed.errors import CertificateError
from qed.graph.graph import Graph
from qed.graph.trace import Traced

TURNS = {"rem": (2, 3, 4, 6), "pow": (2,)}
"""The n that are tried where a program takes a remainder or a power."""
LEAST = 4
"""j begins at this number or behind it."""


def by_classes(forms: Callable[[Tail, Any], tuple[Any, Any]], graph: Graph, start: int, node: str) -> Found | None:
    """The sums from a place on, by residue classes; None where they are not known.

    Args:
        forms: the function and the mass of a place, in a tail domain.
        graph: the program.
        start: the first place.
        node: what a failure is blamed on.

    Returns:
        The sums of f and of the masses; the first is no number where it is proved to be undefined.
    """
    names = {equation.primitive for equation in graph.walk()}
    for n in dict.fromkeys(n for name, turns in TURNS.items() if name in names for n in turns):
        if start // n < LEAST:
            continue
        try:
            return _together([_of_class(forms, start // n, n, r) for r in range(start % n, start % n + n)])
        except (NoOrder, CertificateError):
            continue
    return None


def expanded_by_classes(f: Traced, output: int | None, shift: Any, start: int, node: str) -> Found | None:
    """The sums from a place on, by Euler and Maclaurin's formula for each residue class; None where they are not known.

    Args:
        f: the function; its first output is the f of the sum.
        output: which output the logarithm of the masses is; None for masses of 1.
        shift: a number that is taken off it.
        start: the first place.
        node: what a failure is blamed on.
    """
    names = {equation.primitive for equation in f.graph.walk()}
    for n in dict.fromkeys(n for name, turns in TURNS.items() if name in names for n in turns):
        found: list[Found] = []
        for first in range(start, start + n):
            turns = Turns(n, first)
            one = by_expansion(f, output, shift, first, node, turns)
            if one is None or not turns.noted or not one.of_f.is_finite():
                break
            found.append(one)
        if len(found) == n:
            return _together(found)
    return None


def _of_class(forms: Callable[[Tail, Any], tuple[Any, Any]], first: int, n: int, r: int) -> Found:
    """The sums over k = n j + r, j >= first."""
    arb, zero = flint().arb, flint().arb(0)
    domain = Tail(float(first), BITS, counting=True)
    line = Term(arb(n), Fraction(1), zero)
    x: Any = Logarithm(arb(r), Fraction(0), arb(n), Fraction(1)) if r else line
    f, weight = forms(domain, x)
    weight = domain.as_term(weight)
    return Found(compared(domain, domain.mul(domain.as_term(f), weight)), compared(domain, weight))


def _together(found: list[Found]) -> Found:
    """Their sum; no number for f where two are infinite with opposite signs."""
    arb = flint().arb
    of_f, mass = ([getattr(one, name) for one in found] for name in ("of_f", "mass"))
    both = arb.pos_inf() in of_f and arb.neg_inf() in of_f
    return Found(arb.nan() if both else sum(of_f, arb(0)), sum(mass, arb(0)))
