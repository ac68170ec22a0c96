"""Differences of two terms: f(x) - f(y), f(x) - r, reciprocals, roots and powers, each by its rule.

Three terms are looked at where they are one of these in disguise. `difference_rules` has the rules of single functions.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, prod
from typing import TYPE_CHECKING

import numpy as np

from qed.graph.build import Node
from qed.numerics.rewriting import difference_kernels as kernels
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import difference_rules as rules
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.complements import BESIDE_SOFTMAX, OTHERS
from qed.numerics.rewriting.difference_near import linear_and_rest
from qed.numerics.rewriting.difference_products import all_against_one, product_against_one
from qed.numerics.rewriting.difference_quotients import removed
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_second import second_difference, square_of_roots
from qed.numerics.rewriting.difference_sphere import on_the_sphere
from qed.numerics.rewriting.difference_squares import added_up
from qed.numerics.rewriting.difference_terms import (
    ONE,
    Monomial,
    Polynomial,
    denominator,
    plus,
    power_of,
    product,
    scaled,
    times,
)
from qed.numerics.rewriting.other_tails import OTHER_TAIL, TAILS
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES, fills_with_nan, floating

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

LINEAR = MOVES | {"reduce_sum", "cumsum"}


def two_terms(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """A rule for two terms, or for three that are one square."""
    if len(polynomial) == 3:
        return (
            rules.twice_cosh(difference, polynomial)
            or second_difference(difference, polynomial)
            or square_of_roots(difference, polynomial, like)
        )
    if len(polynomial) != 2:
        return None
    found = rules.squares(difference, polynomial) or on_the_sphere(difference, polynomial, like)
    if found is not None:
        return found
    (m, c), (n, e) = sorted(polynomial.items(), key=lambda item: item[0] == ONE)
    found = _against(difference, m, c, e, like) if n == ONE else _grown(difference, m, c, n, e, like)
    found = found or (_pair(difference, m, c, n, e, like) if n != ONE else None)
    found = found or _reciprocals(difference, m, c, n, e, like)
    found = found or _roots(difference, m, c, n, e, like) or _even(difference, m, c, n, e, like)
    return found or linear_and_rest(difference, polynomial, like)


def _against(difference: Difference, m: Monomial, c: Fraction, e: Fraction, like: Node) -> Found | None:
    g, r = difference.single(m, 1), -e / c
    if g is None:
        found = product_against_one(difference, m, like) if r == 1 else None
        return None if found is None else (difference.algebra.times(float(c), found[0]), found[1])
    grown = difference.node(m[0][0])
    if grown.operation == "power_near_one" and r == 1:
        found = difference.emit(rules.POWER, *grown.children, exact=False), (laws.POWER,)
    elif g.operation == "reduce_prod":
        found = all_against_one(difference, g, r)
    elif g.operation == "pow":
        found = rules.power_against(difference, g, r)
    elif g.operation == "softmax" and r == 1 and not difference.builder.derivative:
        found = difference.algebra.negative(difference.emit(BESIDE_SOFTMAX, *g.children, **g.params)), (OTHERS,)
    elif g.operation in OTHER_TAIL and r == 1:
        found = difference.algebra.negative(difference.emit(OTHER_TAIL[g.operation], *g.children)), (TAILS,)
    elif g.operation == "reduce_sum":
        found = _sum_against(difference, g, r)
    elif g.operation in MOVES or g.operation == "gather":
        found = _moved_against(difference, g, r)
    else:
        rule = rules.AGAINST.get(g.operation)
        found = rule(difference, g.children[0], r) if rule is not None else None
        if found is not None and found[0].operation == "sqrt_difference" and grown.operation == "root_of_squares":
            number = difference.number(r, grown)  # the squares may overflow, and their root does not
            found = difference.emit(rules.ROOT, grown, number, found[0].children[2]), found[1]
    return None if found is None else (difference.algebra.times(float(c), found[0]), found[1])


def _pair(difference: Difference, m: Monomial, c: Fraction, n: Monomial, e: Fraction, like: Node) -> Found | None:
    g, h = difference.single(m, 1), difference.single(n, 1)
    if g is None or h is None or abs(c) != abs(e):
        return None
    if c == e:
        found = rules.odd_atoms(difference, g, h)
    else:
        found = (
            _apart(difference, m, n, _of_norms(difference, m, n, rules.atoms(difference, g, h)))
            or _moved(difference, g, h)
            or _above_its_limit(difference, g, h)
        )
    return None if found is None else (difference.algebra.times(float(c), found[0]), found[1])


def _grown(difference: Difference, m: Monomial, c: Fraction, n: Monomial, e: Fraction, like: Node) -> Found | None:
    """c (x^k - x^l) = c x^l (x^(k - l) - 1), for an x near 1 that is known by x - 1."""
    for one, other, sign in ((m, n, c), (n, m, e)):
        g = difference.node(one[0][0]) if c == -e and len(one) == 1 and one[0][1] == 1 else None
        if g is None or g.operation != "power_near_one" or g.shape != like.shape:
            continue
        x, near, exponent = g.children
        high, low = constant_of(exponent), _exponent(difference, x, other)
        if high is None or low is None or not high > low >= 1:
            continue
        value = difference.emit(rules.POWER, x, near, difference.algebra.number(high - low, x), exact=False)
        value = difference.emit(stable.MUL, difference.power(x, int(low)), value)
        return difference.algebra.times(float(sign), value), (laws.COMMON, laws.POWER)
    return None


def _exponent(difference: Difference, x: Node, monomial: Monomial) -> float | None:
    """The exponent, where a monomial is a power of x."""
    g = difference.node(monomial[0][0])
    if len(monomial) == 1 and monomial[0][1] == 1 and g.operation == "power_near_one" and g.children[0] is x:
        exponent = constant_of(g.children[2])
        return exponent if exponent is not None and exponent == int(exponent) else None
    read = difference.terms(x)
    if len(read) != 1 or ONE in read:
        return None
    ((base, coefficient),) = read.items()
    power, rest = divmod(monomial[0][1], base[0][1])
    return float(power) if coefficient == 1 and not rest and power_of(base, power) == monomial else None


def _of_norms(difference: Difference, m: Monomial, n: Monomial, found: Found | None) -> Found | None:
    """The difference of two roots; of norms, it has their derivative at 0."""
    written = {difference.node(monomial[0][0]).operation for monomial in (m, n)}
    if found is None or found[0].operation != "sqrt_difference" or not written & {"norm", "root_of_squares"}:
        return found
    return difference.emit(kernels.NORMS, *found[0].children), (laws.NORMS, *found[1][1:])


def _apart(difference: Difference, m: Monomial, n: Monomial, found: Found | None) -> Found | None:
    """The difference of two logarithms that have forms of their own, which are used where the arguments overflow."""
    logs = [difference.node(monomial[0][0]) for monomial in (m, n)]
    if found is None or found[0].operation != "log_difference" or any(log.shape != logs[0].shape for log in logs):
        return found
    if all(log.operation == "log" for log in logs):
        return found
    return difference.emit(kernels.LOGS, *found[0].children, *logs), found[1]


def _above_its_limit(difference: Difference, g: Node, h: Node) -> Found | None:
    """softplus(x) - max(x, 0), or the negative of it."""
    for one, other, sign in ((g, h, 1.0), (h, g, -1.0)):
        if one.operation != "softplus" or other.operation != "max":
            continue
        x = one.children[0]
        rest = [child for child in other.children if child is not x]
        if len(rest) == 1 and constant_of(rest[0]) == 0:
            size = difference.emit(stable.ABS, x)
            value = difference.emit(stable.SOFTPLUS, difference.algebra.negative(size))
            return difference.algebra.times(sign, value), (laws.SOFTPLUS_ABOVE,)
    return None


def _sum_against(difference: Difference, g: Node, r: Fraction) -> Found | None:
    """sum(sigmoid(a)) - n, of n terms, as -sum(sigmoid(-a))."""
    x = g.children[0]
    if x.operation != "logistic" or r != prod(x.shape) // max(1, prod(g.shape)) or not floating(x.dtype):
        return None
    found = difference(difference.shifted(x, Fraction(1)), x)
    if found is None:
        return None
    value = difference.algebra.filled(found[0], x.shape)
    return difference.emit(stable.SUM, value, axes=tuple(g.params["axes"]), shape=g.shape), found[1]


def _moved_against(difference: Difference, g: Node, r: Fraction) -> Found | None:
    """move(a) - r = move(a - r), if a - r gains."""
    x, *where = g.children
    if g.equation is None or not floating(x.dtype) or (g.operation == "gather" and not fills_with_nan(g)):
        return None
    found = difference(difference.shifted(x, r), x)
    if found is None:
        return None
    negative = found[0].operation == "neg"
    inner = difference.algebra.filled(found[0].children[0] if negative else found[0], x.shape)
    moved = difference.builder.apply(g.equation, [inner, *where])[0]
    return difference.algebra.negative(moved) if negative else moved, (laws.MOVED, *found[1])


def _reciprocals(
    difference: Difference, m: Monomial, c: Fraction, n: Monomial, e: Fraction, like: Node
) -> Found | None:
    """c/x - c/y and c/x - r, of single generators."""
    x, y = (difference.node(p[0][0]) if len(p) == 1 and p[0][1] == -1 else None for p in (m, n))
    if x is None or (y is None and n != ONE) or (y is not None and c != -e):
        return None
    gap = difference.sharp(difference.minus(x, y) if y is not None else difference.shifted(x, -c / e), like)
    if gap is None:
        return None
    without = without_zeros(difference, gap[0], times(m, n), like)
    if without is not None:
        return difference.algebra.times(-float(c), without), (laws.FRACTIONS, *gap[1])
    other = y if y is not None else difference.number(-c / e, like)
    value = difference.emit(kernels.RECIPROCAL, x, other, gap[0])
    return difference.algebra.times(float(c), value), (laws.FRACTIONS, *gap[1])


def _moved(difference: Difference, g: Node, h: Node) -> Found | None:
    """move(a) - move(b) = move(a - b), and the same for sums, if a - b gains."""
    if g.operation not in LINEAR or g.operation != h.operation or g.equation is None or h.equation is None:
        return None
    if g.params != h.params or g.children[1:] != h.children[1:] or g.children[0].shape != h.children[0].shape:
        return None
    found = difference(difference.minus(g.children[0], h.children[0]), g.children[0])
    if found is None:
        return None
    inner = difference.algebra.filled(found[0], g.children[0].shape)
    if g.operation == "reduce_sum":
        total = added_up(difference, inner, tuple(g.params["axes"]), g.shape)
        if total is not None:
            return total, (laws.MOVED, *found[1])
    return difference.builder.apply(g.equation, [inner, *g.children[1:]])[0], (laws.MOVED, *found[1])


def _roots(difference: Difference, m: Monomial, c: Fraction, n: Monomial, e: Fraction, like: Node) -> Found | None:
    """sqrt(S) - b with S - b^2 known."""
    for (one, a), (other, b) in (((m, c), (n, e)), ((n, e), (m, c))):
        g = difference.single(one, 1)
        if g is None or g.operation != "sqrt":
            continue
        below: Polynomial = {other: -b / a}
        square = plus(difference.terms(g.children[0]), product(below, below), -1)
        square = _square_root_squared(difference, difference.terms.expanded(square) or square)
        gap = difference.sharp(square, like)
        if gap is None:
            continue
        minus = difference.plain(below, like)
        value = difference.emit(rules.ROOT, g, minus, gap[0])
        return difference.algebra.times(float(a), value), (laws.ROOT, *gap[1])
    return None


def _square_root_squared(difference: Difference, polynomial: Polynomial) -> Polynomial:
    """sqrt(a)^2 read as a."""
    result: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        term: Polynomial = {ONE: coefficient}
        for number, power in monomial:
            g = difference.known(difference.node(number))
            if g.operation == "sqrt" and power == 2:
                term = product(term, difference.terms(g.children[0]))
            else:
                term = scaled(term, Fraction(1), ((number, power),))
        result = plus(result, term)
    return result


def _even(difference: Difference, m: Monomial, c: Fraction, n: Monomial, e: Fraction, like: Node) -> Found | None:
    """a^2 - b^2 and a^3 - b^3."""
    powers = [power for _, power in (*m, *n)]
    if c * e > 0 and any(power % 3 for power in powers):
        return None
    for degree, root in ((2, _square_root), (3, _cube_root)):
        ratio = root(-e / c)
        divides = any(power < 0 for power in powers) and (degree == 3 or ONE not in (m, n))
        if ratio is None or any(power % degree for power in powers) or divides:
            continue
        a = tuple((number, power // degree) for number, power in m)
        b = tuple((number, power // degree) for number, power in n)
        found = _powers(difference, a, b, ratio, degree, like)
        if found is not None:
            return difference.algebra.times(float(c), found[0]), found[1]
    return None


def _powers(difference: Difference, a: Monomial, b: Monomial, ratio: Fraction, degree: int, like: Node) -> Found | None:
    low = _over_one(difference, difference.multiplied({a: Fraction(1), b: -ratio}), like)
    if low is None:
        return None
    if degree == 3:
        x, y = difference.monomial(a, like), difference.plain({b: ratio}, like)
        return difference.emit(kernels.CUBES, x, y, low[0]), (laws.CUBES, *low[1])
    high = _over_one(difference, difference.multiplied({a: Fraction(1), b: ratio}), like)
    if high is None:
        return None
    x, y = difference.monomial(a, like), difference.plain({b: ratio}, like)
    return difference.emit(kernels.SQUARES, x, y, low[0], high[0]), (laws.SQUARES, *low[1], *high[1])


def _over_one(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """A polynomial without cancellation, over a common denominator where it has one."""
    below = denominator(polynomial)
    found = difference.sharp(polynomial, like)
    if found is not None or below == ONE:
        return found
    above = difference.sharp(scaled(polynomial, Fraction(1), below), like)
    return None if above is None else difference.by(above, power_of(below, -1), like)


def without_zeros(difference: Difference, node: Node, factor: Monomial, like: Node) -> Node | None:
    """node * factor, if both parts of that quotient vanish together: without the common zero."""
    read = difference.terms(node)
    if len(read) != 1:
        return None
    ((monomial, coefficient),) = read.items()
    found = removed(difference, times(monomial, factor), coefficient, like)
    return None if found is None else found[0]


def _square_root(ratio: Fraction) -> Fraction | None:
    if ratio <= 0:
        return None
    above, below = isqrt(ratio.numerator), isqrt(ratio.denominator)
    return Fraction(above, below) if above**2 == ratio.numerator and below**2 == ratio.denominator else None


def _cube_root(ratio: Fraction) -> Fraction | None:
    above, below = round(np.cbrt(float(abs(ratio.numerator)))), round(np.cbrt(float(ratio.denominator)))
    if above**3 != abs(ratio.numerator) or below**3 != ratio.denominator:
        return None
    return Fraction(above if ratio > 0 else -above, below)
