"""Polynomials in several variables that vanish with one of them: 1 - u - v + u v = (1 - u)(1 - v).

A probability that two events both fail, what a sum of two speeds lacks to that of light, (u + v)/(1 + u v): written
out, the terms cancel near u = 1, and near u = v = 1 most digits are lost. A polynomial p that is 0 at u = r, for r = 1,
-1 or another variable, is (u - r) q; u - r is formed once, from inputs, and q is divided again. Division is Horner's
scheme in u with coefficients that are polynomials in the others.

Reference: Knuth, *The Art of Computer Programming* 2, 1997, section 4.6.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from qed.graph.build import Node
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus, product, scaled, times

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

LEAST = 3
"""Terms from which on a polynomial is divided: of fewer there are rules of their own."""


def zeros(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """The polynomial as a product with factors u - r, or None where it has none."""
    if len(polynomial) < LEAST or difference.builder.derivative:
        return None
    if any(power < 0 for monomial in polynomial for _, power in monomial):
        return None
    rest, factors = dict(polynomial), []
    while (found := _divided(difference, rest)) is not None:
        factors.append(found[0])
        rest = found[1]
    if not factors or len(rest) >= len(polynomial):
        return None
    known = difference.sharp(rest, like)
    if known is None and len(factors) < 2:
        return None
    value, used = known if known is not None else (difference.plain(rest, like), ())
    for factor in factors:
        value = difference.emit(stable.MUL, difference.plain(factor, like), value)
    return value, (laws.FACTORED, *used)


def _divided(difference: Difference, polynomial: Polynomial) -> tuple[Polynomial, Polynomial] | None:
    """(u - r, p / (u - r)) for a first u and r at which the polynomial is 0."""
    if len(polynomial) < 2:
        return None
    numbers = sorted({number for monomial in polynomial for number, _ in monomial})
    exact = [number for number in numbers if difference.exact(difference.node(number))]
    for number in exact:
        rows = _coefficients(polynomial, number)
        if len(rows) < 2:
            continue
        for root in _roots(number, exact):
            quotient, left = _horner(rows, root)
            if not left:
                total: Polynomial = {}
                for power, row in enumerate(quotient):
                    total = plus(total, scaled(row, Fraction(1), ((number, power),) if power else ONE))
                return plus({((number, 1),): Fraction(1)}, root, -1), total
    return None


def _roots(number: int, exact: list[int]) -> Iterator[Polynomial]:
    yield {ONE: Fraction(1)}
    yield {ONE: Fraction(-1)}
    for other in exact:
        if other > number:
            yield {((other, 1),): Fraction(1)}


def _coefficients(polynomial: Polynomial, number: int) -> list[Polynomial]:
    """By the power of a variable, its coefficients, polynomials in the others."""
    rows: dict[int, Polynomial] = {}
    for monomial, coefficient in polynomial.items():
        power = dict(monomial).get(number, 0)
        rest = times(monomial, ((number, -power),)) if power else monomial
        rows[power] = plus(rows.get(power, {}), {rest: coefficient})
    return [rows.get(power, {}) for power in range(max(rows) + 1)]


def _horner(rows: list[Polynomial], root: Polynomial) -> tuple[list[Polynomial], Polynomial]:
    """Quotient and remainder of the division by u - root.

    Example:
        >>> one = {ONE: Fraction(1)}
        >>> _horner([{ONE: Fraction(-1)}, {}, one], one)  # (u^2 - 1) / (u - 1) = u + 1
        ([{(): Fraction(1, 1)}, {(): Fraction(1, 1)}], {})
    """
    found = [rows[-1]]
    for row in rows[-2::-1]:
        found.append(plus(row, product(found[-1], root)))
    return found[-2::-1], found[-1]
