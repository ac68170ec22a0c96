"""Polynomials in one variable written out: x^3 - 3 x^2 + 3 x - 1 = (x - 1)^3.

Near a root the terms of the expanded polynomial cancel, and near a double root all digits are lost. Where all roots
are rational numbers the polynomial is divided by them; each factor is a difference from an input, formed once.
Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 5.2.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qed.numerics.rewriting.difference_terms import ONE, Polynomial

LARGEST = 1000
"""The largest denominator of a root that is looked for."""


def coefficients(polynomial: Polynomial) -> tuple[int, list[Fraction]] | None:
    """The generator and the coefficients from the constant on, if a polynomial is one in a single generator.

    Example:
        >>> coefficients({((4, 2),): Fraction(1), (): Fraction(-1)})
        (4, [Fraction(-1, 1), Fraction(0, 1), Fraction(1, 1)])
    """
    found: dict[int, Fraction] = {}
    number = None
    for monomial, coefficient in polynomial.items():
        if monomial == ONE:
            found[0] = coefficient
            continue
        if len(monomial) != 1 or monomial[0][1] < 0 or number not in (None, monomial[0][0]):
            return None
        number = monomial[0][0]
        found[monomial[0][1]] = coefficient
    if number is None:
        return None
    return number, [found.get(k, Fraction(0)) for k in range(max(found) + 1)]


def rational_roots(values: list[Fraction]) -> list[Fraction] | None:
    """The roots with multiplicity if all are rational numbers of a small denominator; None otherwise.

    Example:
        >>> rational_roots([Fraction(-1), Fraction(3), Fraction(-3), Fraction(1)])
        [Fraction(1, 1), Fraction(1, 1), Fraction(1, 1)]
    """
    roots: list[Fraction] = []
    while len(values) > 1:
        with np.errstate(all="ignore"):
            guesses = np.roots([float(v / values[-1]) for v in values[::-1]])
        found = next((root for root in map(_rational, guesses) if root is not None and _at(values, root) == 0), None)
        if found is None:
            return None
        roots.append(found)
        values = _divided(values, found)
    return sorted(roots)


def _rational(guess: complex) -> Fraction | None:
    if not np.isfinite(guess) or abs(guess.imag) > 0.1 * (1 + abs(guess.real)):
        return None
    for size in (1, 2, 10, 100, LARGEST):
        near = Fraction(float(guess.real)).limit_denominator(size)
        if abs(float(near) - guess.real) < 1e-3 * (1 + abs(guess.real)):
            return near
    return None


def _at(values: list[Fraction], x: Fraction) -> Fraction:
    total = Fraction(0)
    for value in values[::-1]:
        total = total * x + value
    return total


def _divided(values: list[Fraction], root: Fraction) -> list[Fraction]:
    """Synthetic division by x - root."""
    found = [values[-1]]
    for value in values[-2:0:-1]:
        found.append(value + root * found[-1])
    return found[::-1]
