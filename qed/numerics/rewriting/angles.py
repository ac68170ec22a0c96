"""Angles and triangles: arccosines near 1, great circles, the law of cosines, Heron's formula.

An arccosine is found from 1 - c and 1 + c, which the formulas of geometry give without cancellation::

    c = sin a sin b + cos a cos b cos d      1 - c = 2 sin((a - b)/2)^2 + 2 cos a cos b sin(d/2)^2
    c = (a^2 + b^2 - c^2) / (2 a b)          1 - c = (c - (a - b)) (c + (a - b)) / (2 a b)

Reference: Kahan, *Miscalculating area and angles of a needle-like triangle*, 2014; Sinnott, *Virtues of the haversine*,
1984.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.algorithms import COSINE_DISTANCE_OF, HALF_ANGLE, INCLUDED_ANGLE, SIDE, TRIANGLE
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import COS, SIN, Found
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus, scaled, times
from qed.numerics.rewriting.laws import Law

COSINE_DISTANCE = Law("1 - sum(x y) / (|x| |y|) = sum((x/|x| - y/|y|)**2) / 2", "x, y != 0, as for the original")
ARCCOSINE = Law("acos(c) = 2 atan2(sqrt(1 - c), sqrt(1 + c))", "-1 <= c <= 1, as for the original")
HAVERSINE = Law("1 - cos(angle) = 2 sin((a - b)/2)**2 + 2 cos(a) cos(b) sin(d/2)**2", "always")
LAW_OF_COSINES = Law("1 -+ (a**2 + b**2 - c**2)/(2 a b) = +-(c**2 - (a -+ b)**2)/(2 a b)", "as for the original")
SIDE_OF_COSINES = Law(
    "sqrt(a**2 + b**2 - 2 a b cos(t)) = sqrt((a - b)**2 + 4 a b sin(t/2)**2)", "a b > 0; elsewhere as it is"
)
HERON = Law("s (s - a) (s - b) (s - c) = (a + (b + c)) (c - (a - b)) (c + (a - b)) (a + (b - c)) / 16", "always")


def arccosine(difference: Difference, node: Node, cosine: Node | None = None) -> Found | None:
    """An arccosine from 1 - c and 1 + c, both without cancellation; `cosine` is c where it is known to be one."""
    child = cosine if cosine is not None else node.children[0]
    one: Polynomial = {ONE: Fraction(1)}
    found = _great_circle(difference, child) or _law_of_cosines(difference, child)
    if found is not None:
        return found
    polynomial = difference.terms(child)
    if len(polynomial) == 1 and child.operation != "cosine":
        return None
    if child.operation == "cosine":
        (x, y), axes = child.children, child.params["axes"]
        turned = difference.algebra.times(-1.0, y)  # 1 + c of x and y is 1 - c of x and -y
        low, high = (difference.emit(COSINE_DISTANCE_OF, x, v, axes=axes, shape=child.shape) for v in (y, turned))
        return difference.emit(HALF_ANGLE, low, high), (ARCCOSINE, COSINE_DISTANCE)
    low = difference.sharp(plus(one, polynomial, -1), child)
    high = difference.sharp(plus(one, polynomial), child)
    if low is None or high is None:
        return None
    return difference.emit(HALF_ANGLE, low[0], high[0]), (ARCCOSINE, *low[1], *high[1])


def _great_circle(difference: Difference, child: Node) -> Found | None:
    """sin a sin b + cos a cos b cos d."""
    polynomial = difference.terms(child)
    if len(polynomial) != 2 or set(polynomial.values()) != {1}:
        return None
    for m, n in permutations(polynomial):
        sines = [difference.node(number) for number, power in m for _ in range(max(power, 0))]
        cosines = [difference.node(number) for number, power in n for _ in range(max(power, 0))]
        if [s.operation for s in sines] != ["sin"] * 2 or [c.operation for c in cosines] != ["cos"] * 3:
            continue
        a, b = (s.children[0] for s in sines)
        rest = [c for c in cosines if c.children[0] not in (a, b)]
        if len(rest) != 1:
            continue
        gap = difference.sharp(difference.minus(a, b), child)
        if gap is None:
            continue
        d, ones = rest[0].children[0], [c for c in cosines if c is not rest[0]]
        squares = []
        for angle in (gap[0], d):
            half = difference.emit(SIN, difference.algebra.times(0.5, angle))
            squares.append(difference.emit(stable.MUL, half, half))
        both = difference.emit(stable.MUL, difference.emit(stable.MUL, *ones), squares[1])
        low = difference.algebra.times(2.0, difference.emit(stable.ADD, squares[0], both))
        high = _opposite(difference, a, b, d, ones)
        return difference.emit(HALF_ANGLE, low, high), (ARCCOSINE, HAVERSINE)
    return None


def _opposite(difference: Difference, a: Node, b: Node, d: Node, ones: list[Node]) -> Node:
    """1 + cos of the angle: 2 sin((a + b)/2)^2 + 2 cos a cos b cos(d/2)^2."""
    total = difference.plain(plus(difference.terms(a), difference.terms(b)), a)
    half = difference.emit(SIN, difference.algebra.times(0.5, total))
    other = difference.emit(COS, difference.algebra.times(0.5, d))
    both = difference.emit(stable.MUL, difference.emit(stable.MUL, *ones), other)
    both = difference.emit(stable.MUL, both, other)
    summed = difference.emit(stable.ADD, difference.emit(stable.MUL, half, half), both)
    return difference.algebra.times(2.0, summed)


def _law_of_cosines(difference: Difference, child: Node) -> Found | None:
    """(a^2 + b^2 - c^2) / (2 a b), the sides exact."""
    polynomial = difference.terms(child)
    sides = _sides(difference, polynomial)
    if sides is None:
        return None
    return difference.emit(INCLUDED_ANGLE, *sides), (ARCCOSINE, LAW_OF_COSINES)


def _sides(difference: Difference, polynomial: Polynomial) -> tuple[Node, Node, Node] | None:
    if len(polynomial) == 1:
        ((monomial, coefficient),) = polynomial.items()
        above = [number for number, power in monomial if power == 1]
        if len(above) != 1:
            return None
        inner = difference.deeper(difference.node(above[0]))
        polynomial = scaled(inner, coefficient, times(monomial, ((above[0], -1),)))
    if len(polynomial) != 3:
        return None
    nodes = sorted({number for monomial in polynomial for number, _ in monomial})
    if len(nodes) != 3 or not all(difference.exact(difference.node(n)) for n in nodes):
        return None
    for a, b, c in permutations(nodes):
        half = Fraction(1, 2)
        expected = {
            tuple(sorted([(a, 1), (b, -1)])): half,
            tuple(sorted([(b, 1), (a, -1)])): half,
            tuple(sorted([(a, -1), (b, -1), (c, 2)])): -half,
        }
        if expected == polynomial:
            return difference.node(a), difference.node(b), difference.node(c)
    return None


def side(difference: Difference, node: Node) -> Found | None:
    """The third side of a triangle, from two sides and the angle between them."""
    polynomial = difference.deeper(node.children[0])
    squares = [m for m, c in polynomial.items() if len(m) == 1 and m[0][1] == 2]
    if len(polynomial) != 3 or len(squares) != 2:
        return None
    (a,), (b,) = squares
    ((mixed, coefficient),) = ((m, c) for m, c in polynomial.items() if m not in squares)
    scale = polynomial[(a,)]
    rest = times(mixed, ((a[0], -1),))
    rest = times(rest, ((b[0], -1),))
    if scale != polynomial[(b,)] or scale <= 0 or coefficient != -2 * scale or len(rest) != 1 or rest[0][1] != 1:
        return None
    cosine, sides = difference.node(rest[0][0]), [difference.node(number) for number, _ in (a, b)]
    if cosine.operation != "cos" or any(not difference.exact(each) for each in sides):
        return None
    square = node.children[0] if scale == 1 else difference.algebra.times(float(1 / scale), node.children[0])
    value = difference.emit(SIDE, square, *sides, cosine.children[0])
    return difference.algebra.times(math.sqrt(scale), value), (SIDE_OF_COSINES,)


def triangle_area(difference: Difference, node: Node) -> Found | None:
    """The area of a triangle from Heron's formula."""
    polynomial = difference.terms(node.children[0])
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    if coefficient != 1 or len(monomial) != 4 or any(power != 1 for _, power in monomial):
        return None
    forms = [difference.deeper(difference.node(number)) for number, _ in monomial]
    sides = sorted({m for form in forms for m in form})
    if len(sides) != 3 or any(len(form) != 3 for form in forms):
        return None
    found = {tuple(form[side] for side in sides) for form in forms}
    half = Fraction(1, 2)
    if found != {(half, half, half), (-half, half, half), (half, -half, half), (half, half, -half)}:
        return None
    return difference.emit(TRIANGLE, *(difference.monomial(side, node) for side in sides)), (HERON,)
