"""Other algorithms for the same number: where no identity of the operations helps, but one of the formula does.

================  ==========================================  ==========================================================
variance          mean(x^2) - mean(x)^2                       mean((x - mean x)^2)
covariance        mean(x y) - mean(x) mean(y)                 mean((x - mean x)(y - mean y))
squared distance  sum(x^2) - 2 sum(x y) + sum(y^2)            sum((x - y)^2)
cosine            sum(x y) / (|x| |y|)                        sum(x/|x| y/|y|)
cosine distance   1 - sum(x y) / (|x| |y|)                    sum((x/|x| - y/|y|)^2) / 2
arccosine         acos c, 1 - c found without cancellation    2 atan2(sqrt(1 - c), sqrt(1 + c))
great circle      acos(sin a sin b + cos a cos b cos d)       2 asin sqrt(sin((a-b)/2)^2 + cos a cos b sin(d/2)^2)
law of cosines    acos((a^2 + b^2 - c^2) / (2 a b))           2 atan2 of roots of differences of the sides
triangle          sqrt(s (s-a) (s-b) (s-c))                   Kahan: sides sorted, parentheses kept
determinant       log(det A)                                  slogdet
growth            (1 + r)^n                                   exp(n log1p r), |r| small
================  ==========================================  ==========================================================

All are identities wherever the left side is defined (the logarithm of a determinant: where it is positive).

References: Chan, Golub and LeVeque, *Algorithms for computing the sample variance*, 1983; Kahan, *Miscalculating area
and angles of a needle-like triangle*, 2014; Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, ch. 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Builder, Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.change import Change
from qed.numerics.rewriting.difference import Rewrite, described
from qed.numerics.rewriting.difference_kernels import exact_difference, root_above
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import COS, SIN
from qed.numerics.rewriting.difference_series import remainder
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, product, scaled, times
from qed.numerics.rewriting.guards import norm
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.render import Formula
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import MOVES, floating

VARIANCE = Law("mean(x**2) - mean(x)**2 = mean((x - mean(x))**2)", "always")
COVARIANCE = Law("mean(x y) - mean(x) mean(y) = mean((x - mean(x)) (y - mean(y)))", "always")
DISTANCE = Law("sum(x**2) - 2 sum(x y) + sum(y**2) = sum((x - y)**2)", "always")
COSINE = Law("sum(x y) / (|x| |y|) = sum(x/|x| y/|y|)", "x != 0 and y != 0, as for the original")
COSINE_DISTANCE = Law("1 - sum(x y) / (|x| |y|) = sum((x/|x| - y/|y|)**2) / 2", "x, y != 0, as for the original")
ARCCOSINE = Law("acos(c) = 2 atan2(sqrt(1 - c), sqrt(1 + c))", "-1 <= c <= 1, as for the original")
HAVERSINE = Law("1 - cos(angle) = 2 sin((a - b)/2)**2 + 2 cos(a) cos(b) sin(d/2)**2", "always")
LAW_OF_COSINES = Law("1 -+ (a**2 + b**2 - c**2)/(2 a b) = +-(c**2 - (a -+ b)**2)/(2 a b)", "as for the original")
HERON = Law("s (s - a) (s - b) (s - c) = (a + (b + c)) (c - (a - b)) (c + (a - b)) (a + (b - c)) / 16", "always")
LOG_SQUARE = Law("log(1 + a**2) = 2 log|a| + log(1 + 1/a**2)", "a != 0; used where a is large")
DETERMINANT = Law("log(det(A)) = slogdet(A)[1]", "det(A) > 0, as for the original")
GROWTH = Law("(1 + r)**n = exp(n log1p(r))", "1 + r > 0; where |r| is not small it stays")

Found = tuple[Node, tuple[Law, ...]]


def _mean_square(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """sum (x - mean x)(y - mean y), the second mean correcting the rounding of the first."""
    a = x - jnp.mean(x, axis=axes, keepdims=True)
    b = a if y is x else y - jnp.mean(y, axis=axes, keepdims=True)
    a = a - jnp.mean(a, axis=axes, keepdims=True)
    return jnp.sum(a * (a if y is x else b), axis=axes)


def _units(x: Any, y: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    return tuple(v / jnp.expand_dims(norm(v, axes), axes) for v in (x, y))  # type: ignore[return-value]


def _cosine(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    u, v = _units(x, y, axes)
    return jnp.sum(u * v, axis=axes)


def _across(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """The part of y that is perpendicular to x, to its own digits: y - t x with the product exact, then once more."""

    def along(v: Any) -> Any:
        scale = jnp.expand_dims(norm(x, axes), axes)
        return jnp.sum(v * (x / scale), axis=axes, keepdims=True) / scale

    t = along(y)
    rest = exact_difference(y, t, x)
    return rest - along(rest) * x


def _cosine_distance(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    """1 - c = sin^2 / (1 + c) where c > 0."""

    def value_of(x: Any, y: Any) -> Any:
        c = _cosine(x, y, axes)
        sine = norm(_across(x, y, axes), axes) / norm(y, axes)
        return jnp.where(c > 0, sine * sine / (1 + jnp.where(c > 0, c, 0)), 1 - c).astype(c.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y = primals
        a, b = (jnp.expand_dims(norm(v, axes), axes) for v in (x, y))
        in_x, in_y = _across(x, y, axes) / b / a, _across(y, x, axes) / a / b
        return found(x, y), -jnp.sum(in_x * tangents[0], axis=axes) - jnp.sum(in_y * tangents[1], axis=axes)

    return found(x, y)


@jax.custom_jvp
def half_angle(low: Any, high: Any) -> Any:
    """acos c from low = 1 - c and high = 1 + c."""
    return 2 * jnp.arctan2(jnp.sqrt(jnp.maximum(low, 0)), jnp.sqrt(jnp.maximum(high, 0)))


@half_angle.defjvp
def _half_angle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    low, high = primals
    root = jnp.sqrt(low) * jnp.sqrt(high)
    total = low + high
    return half_angle(low, high), ((high / total) * tangents[0] - (low / total) * tangents[1]) / root


@jax.custom_jvp
def triangle(a: Any, b: Any, c: Any) -> Any:
    """The area of a triangle by its sides."""
    largest = jnp.maximum(jnp.maximum(a, b), c)
    smallest = jnp.minimum(jnp.minimum(a, b), c)
    middle = jnp.maximum(jnp.minimum(jnp.maximum(a, b), c), jnp.minimum(a, b))
    p, q, r = largest, middle, smallest
    return 0.25 * jnp.sqrt((p + (q + r)) * (r - (p - q)) * (r + (p - q)) * (p + (q - r)))


@triangle.defjvp
def _triangle_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """d area / da = a (b^2 + c^2 - a^2) / (8 area)."""
    area = triangle(*primals)
    tangent = jnp.zeros_like(area)
    for k in range(3):
        a, b, c = primals[k], primals[k - 1], primals[k - 2]
        larger, smaller = jnp.maximum(b, c), jnp.minimum(b, c)
        tangent = tangent + (a / area / 8) * (smaller * smaller - (a - larger) * (a + larger)) * tangents[k]
    return area, tangent


@jax.custom_jvp
def growth_over(rho: Any, n: Any) -> Any:
    """(1 + rho / n)^n."""
    return _growth(1 + rho / n, rho / n, n)


@growth_over.defjvp
def _growth_over_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """In n: log(1 + u) - u / (1 + u) = u^2 (R_2 log1p(u) + 1 / (1 + u)), u = rho / n."""
    rho, n = primals
    u, value = rho / n, growth_over(rho, n)
    small = jnp.abs(u) < 0.25
    inner = jnp.where(small, u, 0).astype(value.dtype)
    near = u * u * (remainder("log1p", 2)(inner) + 1 / (1 + inner))
    in_n = jnp.where(small, near, jnp.log1p(u) - u / (1 + u))
    return value, value * (tangents[0] / (1 + u) + in_n * tangents[1])


def _growth(base: Any, r: Any, n: Any) -> Any:
    near = jnp.abs(r) < 0.25
    small, large = jnp.where(near, r, 0), jnp.where(near, 1, base)
    return jnp.where(near, jnp.exp(n * jnp.log1p(small)), large**n).astype(base.dtype)


@jax.custom_jvp
def log1p_square(x: Any) -> Any:
    """log(1 + x^2)."""
    size = jnp.abs(x)
    large = size > 1 / jnp.finfo(x.dtype).eps
    return jnp.where(large, 2 * jnp.log(jnp.where(large, size, 1)), jnp.log1p(x * x))


log1p_square.defjvp(lambda p, t: (log1p_square(*p), 2 * (p[0] / root_above(p[0])) / root_above(p[0]) * t[0]))

CENTRED = Operation("sum_of_centred_products", _mean_square, whole=True)
CENTRED_SQUARE = Operation("sum_of_centred_squares", lambda x, axes: _mean_square(x, x, axes), whole=True)
SQUARED_DISTANCE = Operation("squared_distance", lambda x, y, axes: jnp.sum((x - y) ** 2, axis=axes), whole=True)
COSINE_OF = Operation("cosine", _cosine, whole=True)
COSINE_DISTANCE_OF = Operation("cosine_distance", _cosine_distance, whole=True)
HALF_ANGLE = Operation("arccosine_from_complement", half_angle, whole=True)
TRIANGLE = Operation("area_of_triangle", triangle, whole=True)
GROWN_OVER = Operation("growth_over", growth_over, whole=True)
LOG1P_SQUARE = Operation("log1p_square", log1p_square, whole=True)
SLOGDET = Operation("slogdet", lambda a: jnp.linalg.slogdet(a)[1], whole=True)
GROWN = Operation("power_near_one", _growth, whole=True)


@dataclass(frozen=True, eq=False)
class Summed:
    """A sum over axes: coefficient * sum of a monomial, moved.

    Args:
        node: the sum itself.
        moves: what was then applied to it, outermost first.
        monomial, coefficient: of what is summed.
        axes: over which.
        shape: of what is summed.
    """

    node: Node
    moves: tuple[Node, ...]
    monomial: Monomial
    coefficient: Fraction
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many terms each sum has."""
        return math.prod(self.shape[axis] for axis in self.axes)


class Substitutions:
    """The table of algorithms on the nodes of a builder.

    Args:
        builder: where new nodes are made.
        only: which nodes may be rewritten; default all.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.trace import trace
        >>> from qed.numerics.rewriting.session import rewrite
        >>> x = jnp.array([10000.0, 10001.0, 10002.0])
        >>> found = rewrite(trace(lambda x: jnp.mean(x**2) - jnp.mean(x) ** 2, x).graph, rewritings=(Substitutions,))
        >>> print(round(float(found.function(x)[0]), 4))  # 2/3
        0.6667
    """

    name = "substitutions"

    def __init__(self, builder: Builder, only: Callable[[Node], bool] | None = None) -> None:
        self.builder = builder
        self.only = only
        self.difference = Difference(builder)
        self.changed: list[Rewrite] = []

    def rule(self, node: Node) -> Node | None:
        """What takes the place of a node whose children are rewritten already, or None."""
        rules = {"sub": self._sum, "add": self._sum, "div": self._cosine, "acos": self._acos, "sqrt": self._heron,
                 "log": self._log, "pow": self._grown, "integer_pow": self._grown}  # fmt: skip
        use = rules.get(node.operation)
        if use is None or node.equation is None or not floating(node.dtype) or self.builder.derivative:
            return None
        if self.only is not None and not self.only(node):
            return None
        found = use(node)
        if found is None:
            return None
        new = self.difference.algebra.filled(found[0], node.shape)
        new.span = new.span or node.span
        if new.ghost is None and new.equation is None and new.number > node.number:
            new.ghost = node
        self.changed.append(Rewrite(node, new, found[1]))
        return new

    def changes(self, needed: set[int]) -> tuple[Change, ...]:
        """What was changed, for those new nodes that are needed."""
        formula = Formula(self.difference.algebra.forms)
        return tuple(described(each, formula, self.name) for each in self.changed if each.new.number in needed)

    # --- sums ---

    def _sum(self, node: Node) -> Found | None:
        polynomial = self.difference.terms(node)
        if len(polynomial) not in (2, 3):
            return None
        return (
            self._cosine_distance(polynomial, node)
            or self._moments(polynomial, node)
            or self._squared(polynomial, node)
        )

    def _summed(self, number: int) -> Summed | None:
        """A generator as a sum over axes, moved by broadcasts."""
        node = self.difference.node(number)
        moves: list[Node] = []
        while node.operation in MOVES and node.equation is not None and len(node.children) == 1:
            moves.append(node)
            node = node.children[0]
        if node.operation == "reduce_sum" and node.equation is not None:
            inner = self.difference.terms(node.children[0])
            if len(inner) == 1:
                ((monomial, coefficient),) = inner.items()
                return Summed(
                    node, tuple(moves), monomial, coefficient, tuple(node.params["axes"]), node.children[0].shape
                )
        if node.operation == "dot_general" and all(len(child.shape) == 1 for child in node.children):
            first, second = (self.difference.terms(child) for child in node.children)
            both = product(first, second)
            if len(both) == 1:
                ((monomial, coefficient),) = both.items()
                return Summed(node, tuple(moves), monomial, coefficient, (0,), node.children[0].shape)
        return None

    def _moments(self, polynomial: Polynomial, like: Node) -> Found | None:
        """c (sum(x y) - sum(x) sum(y) / n)."""
        if len(polynomial) != 2:
            return None
        for (m, c), (n, e) in permutations(polynomial.items()):
            if len(m) != 1 or m[0][1] != 1 or sum(power for _, power in n) != 2 or c * e >= 0:
                continue
            pair = self._summed(m[0][0])
            single = [self._summed(number) for number, power in n for _ in range(power) if power > 0]
            if pair is None or len(single) != 2 or single[0] is None or single[1] is None:
                continue
            if times(single[0].monomial, single[1].monomial) != pair.monomial:
                continue
            if any(part.axes != pair.axes or part.shape != pair.shape for part in single if part):
                continue
            weight = c * pair.coefficient
            if -e * single[0].coefficient * single[1].coefficient * pair.count != weight:
                continue
            x, y = (self._filled(part.monomial, pair) for part in (single[0], single[1]))
            if x is y:
                value = self.difference.emit(CENTRED_SQUARE, x, axes=pair.axes, shape=pair.node.shape)
            else:
                value = self.difference.emit(CENTRED, x, y, axes=pair.axes, shape=pair.node.shape)
            value = self._moved(value, pair)
            return self.difference.algebra.times(float(weight), value), (VARIANCE if x is y else COVARIANCE,)
        return None

    def _filled(self, monomial: Monomial, like: Summed) -> Node:
        return self.difference.algebra.filled(self.difference.monomial(monomial, like.node), like.shape)

    def _moved(self, value: Node, like: Summed) -> Node:
        for move in like.moves[::-1]:
            assert move.equation is not None
            value = self.builder.apply(move.equation, [value, *move.children[1:]])[0]
        return value

    def _squared(self, polynomial: Polynomial, like: Node) -> Found | None:
        """c (sum(x^2) - 2 sum(x y) + sum(y^2)), and the same of numbers."""
        if len(polynomial) != 3:
            return None
        for (m, c), (n, e), (k, f) in permutations(polynomial.items()):
            if not (c == e and f == -2 * c):
                continue
            parts = [self._summed(each[0][0]) if len(each) == 1 and each[0][1] == 1 else None for each in (m, n, k)]
            first, second, third = parts
            if first is None or second is None or third is None:
                continue
            a, b = _half(first.monomial), _half(second.monomial)
            if a is None or b is None or times(a, b) != third.monomial or first.axes != third.axes:
                continue
            if not first.coefficient == second.coefficient == third.coefficient or first.shape != second.shape:
                continue
            x, y = self._filled(a, first), self._filled(b, first)
            value = self.difference.emit(SQUARED_DISTANCE, x, y, axes=first.axes, shape=first.node.shape)
            weight = float(c * first.coefficient)
            return self.difference.algebra.times(weight, self._moved(value, first)), (DISTANCE,)
        return None

    # --- cosines and angles ---

    def _vectors(self, monomial: Monomial) -> tuple[Node, Node, tuple[int, ...], Summed, Monomial] | None:
        """x, y, axes and what is left over, where a monomial holds sum(x y) / (|x| |y|)."""
        sums = [(number, self._summed(number)) for number, power in monomial if power == 1]
        norms: list[tuple[int, Node]] = []
        for number, power in monomial:
            node = self.difference.node(number)
            while node.operation in MOVES and len(node.children) == 1:
                node = node.children[0]
            if power == -1 and node.operation == "norm":
                norms.append((number, node))
        for number, found in sums:
            if found is None or found.coefficient != 1 or len(norms) != 2:
                continue
            (one, first), (other, second) = norms
            x, y = first.children[0], second.children[0]
            if first.params["axes"] != found.axes or second.params["axes"] != found.axes:
                continue
            if product(self.difference.terms(x), self.difference.terms(y)) != {found.monomial: 1}:
                continue
            rest = times(monomial, ((number, -1),))
            rest = times(times(rest, ((one, 1),)), ((other, 1),))
            return x, y, found.axes, found, rest
        return None

    def _cosine(self, node: Node) -> Found | None:
        polynomial = self.difference.terms(node)
        if len(polynomial) != 1:
            return None
        ((monomial, coefficient),) = polynomial.items()
        found = self._vectors(monomial)
        if found is None or found[4] != ONE:
            return None
        x, y, axes, summed, _ = found
        value = self.difference.emit(COSINE_OF, x, y, axes=axes, shape=summed.node.shape)
        return self.difference.algebra.times(float(coefficient), self._moved(value, summed)), (COSINE,)

    def _cosine_distance(self, polynomial: Polynomial, like: Node) -> Found | None:
        if len(polynomial) != 2 or ONE not in polynomial:
            return None
        ((m, c),) = ((m, c) for m, c in polynomial.items() if m != ONE)
        if polynomial[ONE] != -c or len(m) != 1 or m[0][1] != 1:
            return None
        node = self.difference.node(m[0][0])
        if node.operation != "cosine":
            return None
        value = self.difference.emit(COSINE_DISTANCE_OF, *node.children, axes=node.params["axes"], shape=node.shape)
        return self.difference.algebra.times(float(-c), value), (COSINE_DISTANCE,)

    def _acos(self, node: Node) -> Found | None:
        child = node.children[0]
        one: Polynomial = {ONE: Fraction(1)}
        found = self._great_circle(child) or self._law_of_cosines(child)
        if found is not None:
            return found
        polynomial = self.difference.terms(child)
        if len(polynomial) == 1 and child.operation != "cosine":
            return None
        if child.operation == "cosine":
            low = (self.difference.emit(COSINE_DISTANCE_OF, *child.children, axes=child.params["axes"],
                                        shape=child.shape), (COSINE_DISTANCE,))  # fmt: skip
            minus = self.difference.emit(stable.ADD, child, self.difference.algebra.number(1.0, child))
            return self.difference.emit(HALF_ANGLE, low[0], minus), (ARCCOSINE, *low[1])
        low = self.difference.sharp(plus(one, polynomial, -1), child)
        high = self.difference.sharp(plus(one, polynomial), child)
        if low is None or high is None:
            return None
        return self.difference.emit(HALF_ANGLE, low[0], high[0]), (ARCCOSINE, *low[1], *high[1])

    def _great_circle(self, child: Node) -> Found | None:
        """sin a sin b + cos a cos b cos d."""
        polynomial = self.difference.terms(child)
        if len(polynomial) != 2 or set(polynomial.values()) != {1}:
            return None
        for m, n in permutations(polynomial):
            sines = [self.difference.node(number) for number, power in m for _ in range(max(power, 0))]
            cosines = [self.difference.node(number) for number, power in n for _ in range(max(power, 0))]
            if [s.operation for s in sines] != ["sin"] * 2 or [c.operation for c in cosines] != ["cos"] * 3:
                continue
            a, b = (s.children[0] for s in sines)
            rest = [c for c in cosines if c.children[0] not in (a, b)]
            if len(rest) != 1:
                continue
            gap = self.difference.sharp(self.difference.minus(a, b), child)
            if gap is None:
                continue
            d, ones = rest[0].children[0], [c for c in cosines if c is not rest[0]]
            squares = []
            for angle in (gap[0], d):
                half = self.difference.emit(SIN, self.difference.algebra.times(0.5, angle))
                squares.append(self.difference.emit(stable.MUL, half, half))
            both = self.difference.emit(stable.MUL, self.difference.emit(stable.MUL, *ones), squares[1])
            low = self.difference.algebra.times(2.0, self.difference.emit(stable.ADD, squares[0], both))
            high = self._opposite(a, b, d, ones)
            return self.difference.emit(HALF_ANGLE, low, high), (ARCCOSINE, HAVERSINE)
        return None

    def _opposite(self, a: Node, b: Node, d: Node, ones: list[Node]) -> Node:
        """1 + cos of the angle: 2 sin((a + b)/2)^2 + 2 cos a cos b cos(d/2)^2."""
        total = self.difference.plain(plus(self.difference.terms(a), self.difference.terms(b)), a)
        half = self.difference.emit(SIN, self.difference.algebra.times(0.5, total))
        other = self.difference.emit(COS, self.difference.algebra.times(0.5, d))
        both = self.difference.emit(stable.MUL, self.difference.emit(stable.MUL, *ones), other)
        both = self.difference.emit(stable.MUL, both, other)
        summed = self.difference.emit(stable.ADD, self.difference.emit(stable.MUL, half, half), both)
        return self.difference.algebra.times(2.0, summed)

    def _law_of_cosines(self, child: Node) -> Found | None:
        """(a^2 + b^2 - c^2) / (2 a b), the sides exact."""
        polynomial = self.difference.terms(child)
        sides = self._sides(polynomial)
        if sides is None:
            return None
        a, b, c = (self.difference.terms.generator(side) for side in sides)
        below = self.difference.plain(scaled(product(a, b), Fraction(2)), child)

        def ratio(first: Polynomial, second: Polynomial) -> Node:
            parts = [self.difference.plain(each, child) for each in (first, second)]
            return self.difference.emit(stable.DIV, self.difference.emit(stable.MUL, *parts), below)

        gap = plus(a, b, -1)
        low = ratio(plus(c, gap, -1), plus(c, gap))
        ab = self.difference.plain(plus(a, b), child)
        minus = self.difference.emit(stable.SUB, ab, sides[2])
        high = self.difference.emit(
            stable.DIV,
            self.difference.emit(stable.MUL, minus, self.difference.emit(stable.ADD, ab, sides[2])),
            below,
        )
        return self.difference.emit(HALF_ANGLE, low, high), (ARCCOSINE, LAW_OF_COSINES)

    def _sides(self, polynomial: Polynomial) -> tuple[Node, Node, Node] | None:
        if len(polynomial) == 1:
            ((monomial, coefficient),) = polynomial.items()
            above = [number for number, power in monomial if power == 1]
            if len(above) != 1:
                return None
            inner = self.difference.deeper(self.difference.node(above[0]))
            polynomial = scaled(inner, coefficient, times(monomial, ((above[0], -1),)))
        if len(polynomial) != 3:
            return None
        nodes = sorted({number for monomial in polynomial for number, _ in monomial})
        if len(nodes) != 3 or not all(self.difference.exact(self.difference.node(n)) for n in nodes):
            return None
        for a, b, c in permutations(nodes):
            half = Fraction(1, 2)
            expected = {
                tuple(sorted([(a, 1), (b, -1)])): half,
                tuple(sorted([(b, 1), (a, -1)])): half,
                tuple(sorted([(a, -1), (b, -1), (c, 2)])): -half,
            }
            if expected == polynomial:
                return self.difference.node(a), self.difference.node(b), self.difference.node(c)
        return None

    def _heron(self, node: Node) -> Found | None:
        polynomial = self.difference.terms(node.children[0])
        if len(polynomial) != 1:
            return None
        ((monomial, coefficient),) = polynomial.items()
        if coefficient != 1 or len(monomial) != 4 or any(power != 1 for _, power in monomial):
            return None
        forms = [self.difference.deeper(self.difference.node(number)) for number, _ in monomial]
        sides = sorted({m for form in forms for m in form})
        if len(sides) != 3 or any(len(form) != 3 for form in forms):
            return None
        found = {tuple(form[side] for side in sides) for form in forms}
        half = Fraction(1, 2)
        if found != {(half, half, half), (-half, half, half), (half, -half, half), (half, half, -half)}:
            return None
        return self.difference.emit(TRIANGLE, *(self.difference.monomial(side, node) for side in sides)), (HERON,)

    # --- determinants and powers ---

    def _log(self, node: Node) -> Found | None:
        child = node.children[0]
        polynomial = self.difference.terms(child)
        squared = [m for m in polynomial if m != ONE]
        if polynomial.get(ONE) == 1 and len(squared) == 1 and polynomial[squared[0]] > 0:
            root = _half(squared[0])
            if root is not None and all(power > 0 for _, power in root):
                scale = math.sqrt(polynomial[squared[0]])
                argument = self.difference.algebra.times(scale, self.difference.monomial(root, child))
                return self.difference.emit(LOG1P_SQUARE, argument), (LOG_SQUARE,)
        matrix = self._two_by_two(polynomial)
        if matrix is not None:
            return self.difference.emit(SLOGDET, matrix, shape=node.shape), (DETERMINANT,)
        while child.operation == "abs" or (child.operation in MOVES and child.shape == node.shape):
            child = child.children[0]
        call = child.equation.call if child.equation is not None else None
        if call is None or child.operation != "custom_jvp_call" or len(child.children) != 1:
            return None
        if getattr(call, "name", "") not in ("det", "_det") or len(child.children[0].shape) < 2:
            return None
        return self.difference.emit(SLOGDET, child.children[0], shape=node.shape), (DETERMINANT,)

    def _two_by_two(self, polynomial: Polynomial) -> Node | None:
        """A, where a polynomial is A[0, 0] A[1, 1] - A[0, 1] A[1, 0]."""
        if sorted(polynomial.values()) != [-1, 1]:
            return None
        found: dict[int, set[tuple[int, ...]]] = {}
        matrices: set[int] = set()
        matrix: Node | None = None
        for monomial, coefficient in polynomial.items():
            for number, power in monomial:
                node = self.difference.node(number)
                inner = node.children[0] if node.operation in ("squeeze", "reshape") else node
                if power != 1 or inner.operation != "slice" or inner.children[0].shape != (2, 2) or node.shape:
                    return None
                matrix = inner.children[0]
                matrices.add(matrix.number)
                found.setdefault(int(coefficient), set()).add(tuple(inner.params["start_indices"]))
        right = {1: {(0, 0), (1, 1)}, -1: {(0, 1), (1, 0)}}
        return matrix if len(matrices) == 1 and found == right else None

    def _grown(self, node: Node) -> Found | None:
        base = node.children[0]
        if base.operation not in ("add", "sub"):
            return None
        polynomial = self.difference.terms(base)
        rest = plus(polynomial, {ONE: Fraction(1)}, -1)
        if not rest or ONE in rest or constant_of(base) is not None:
            return None
        exponent = node.children[1] if node.operation == "pow" else None
        if exponent is None and abs(node.params["y"]) < 8:
            return None
        if exponent is not None and constant_of(exponent) is not None and abs(constant_of(exponent) or 0) < 8:
            return None
        gap = self.difference.sharp(rest, base)
        if gap is None:
            return None
        if exponent is not None and len(rest) == 1 and dict(next(iter(rest))).get(exponent.number) == -1:
            read = product(rest, self.difference.terms(exponent))
            return self.difference.emit(GROWN_OVER, self.difference.plain(read, base), exponent), (GROWTH,)
        n = exponent if exponent is not None else self.difference.algebra.number(float(node.params["y"]), base)
        return self.difference.emit(GROWN, base, gap[0], n), (GROWTH, *gap[1])


def _half(monomial: Monomial) -> Monomial | None:
    if any(power % 2 for _, power in monomial):
        return None
    return tuple((number, power // 2) for number, power in monomial)
