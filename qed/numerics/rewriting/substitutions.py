"""Other algorithms for the same number: where no identity of the operations helps, but one of the formula does.

================  ==========================================  ==========================================================
variance          mean(x^2) - mean(x)^2                       mean((x - mean x)^2)
covariance        mean(x y) - mean(x) mean(y)                 mean((x - mean x)(y - mean y))
squared distance  sum(x^2) - 2 sum(x y) + sum(y^2)            sum((x - y)^2)
distances         |x_i|^2 + |y_j|^2 - 2 <x_i, y_j>            sum((x_i - y_j)^2) (`pairwise`)
cosine            sum(x y) / (|x| |y|)                        sum(x/|x| y/|y|)
cosine distance   1 - sum(x y) / (|x| |y|)                    sum((x/|x| - y/|y|)^2) / 2
arccosine         acos c, 1 - c found without cancellation    2 atan2(sqrt(1 - c), sqrt(1 + c))
great circle      acos(sin a sin b + cos a cos b cos d)       2 asin sqrt(sin((a-b)/2)^2 + cos a cos b sin(d/2)^2)
law of cosines    acos((a^2 + b^2 - c^2) / (2 a b))           2 atan2 of roots of differences of the sides
triangle          sqrt(s (s-a) (s-b) (s-c))                   Kahan: sides sorted, parentheses kept
determinant       log(det A)                                  slogdet
side              sqrt(a^2 + b^2 - 2 a b cos t)               sqrt((a - b)^2 + 4 a b sin(t/2)^2)
inverse Mills     exp(-z^2) / erfc(z)                         Laplace's continued fraction
divergence        sum a log(a/b), sum a = sum b               sum (a log(a/b) - a + b)
growth            (1 + r)^n                                   exp(n log1p r), |r| small
mean resultant    I_1(k) / I_0(k)                             quotients of sums of positive terms (`bessels`)
log of squares    log(x^2 + y^2)                              2 log |(x, y)| (`log_lengths`)
log cosh          log(e^x + e^-x) - log 2                     log1p(2 sinh(x/2)^2) (`log_cosh`)
================  ==========================================  ==========================================================

All are identities wherever the left side is defined (the logarithm of a determinant: where it is positive).

References: Chan, Golub and LeVeque, *Algorithms for computing the sample variance*, 1983; Kahan, *Miscalculating area
and angles of a needle-like triangle*, 2014; Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, ch. 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import jax.numpy as jnp

from qed.graph.build import Node
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.algorithms import (
    CENTRED,
    CENTRED_SQUARE,
    COSINE_DISTANCE_OF,
    COSINE_OF,
    LOG1P_SQUARE,
    SLOGDET,
    SQUARED_DISTANCE,
)
from qed.numerics.rewriting.angles import COSINE_DISTANCE, arccosine, side, triangle_area
from qed.numerics.rewriting.bessels import bessel_ratio, slope_of_ratio
from qed.numerics.rewriting.branches import read_normal_tail
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, product, times
from qed.numerics.rewriting.entropies import divergence, ratio_times
from qed.numerics.rewriting.growth import grown
from qed.numerics.rewriting.hyperboloid import lorentz
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.log_cosh import log_cosh_of
from qed.numerics.rewriting.log_lengths import log_of_length, log_of_squares
from qed.numerics.rewriting.moments import CENTRAL, central_moment
from qed.numerics.rewriting.pairwise import squared_distances
from qed.numerics.rewriting.signs import MOVES, floating
from qed.numerics.rewriting.table import Replacement, Table
from qed.numerics.rewriting.tails import grown as grown_tail
from qed.numerics.rewriting.tails import mills
from qed.numerics.rewriting.weighted_moments import VARIANCE_OF, WEIGHTED_VARIANCE, weights_and_values

VARIANCE = Law("mean(x**2) - mean(x)**2 = mean((x - mean(x))**2)", "always")
COVARIANCE = Law("mean(x y) - mean(x) mean(y) = mean((x - mean(x)) (y - mean(y)))", "always")
DISTANCE = Law("sum(x**2) - 2 sum(x y) + sum(y**2) = sum((x - y)**2)", "always")
COSINE = Law("sum(x y) / (|x| |y|) = sum(x/|x| y/|y|)", "x != 0 and y != 0, as for the original")
LOG_SQUARE = Law("log(1 + a**2) = 2 log|a| + log(1 + 1/a**2)", "a != 0; used where a is large")
DETERMINANT = Law("log(det(A)) = slogdet(A)[1]", "det(A) > 0, as for the original")

Found = tuple[Node, tuple[Law, ...]]


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


class Substitutions(Table):
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

    def rules(self) -> Mapping[str, Callable[[Node], Replacement | None]]:
        """The table."""
        found = self.table()
        return {name: lambda node, use=use: _identity(use(node)) for name, use in found.items()}

    def table(self) -> Mapping[str, Callable[[Node], Found | None]]:
        """The substitutions, all of which are identities."""
        return {
            "sub": self._sum,
            "add": self._sum,
            "div": lambda n: (
                mills(self.difference, n)
                or grown_tail(self.difference, n)
                or bessel_ratio(self.difference, n)
                or self._cosine(n)
            ),
            "mul": lambda n: ratio_times(self.difference, n) or grown_tail(self.difference, n),
            "acosh": lambda n: lorentz(self.difference, n),
            "acos": lambda n: arccosine(self.difference, n, self._cosine_of(n.children[0])),
            "sqrt": lambda n: triangle_area(self.difference, n) or side(self.difference, n),
            "log": self._log,
            "pow": lambda n: grown(self.difference, n),
            "integer_pow": lambda n: grown(self.difference, n),
            "select_n": lambda n: read_normal_tail(self.difference, n),
        }

    # --- sums ---

    def _sum(self, node: Node) -> Found | None:
        polynomial = self.difference.terms(node)
        found = divergence(self.difference, node) or log_cosh_of(self.difference, polynomial, node)
        if found is not None:
            return found
        central = central_moment(self.difference, polynomial, self._summed, self._filled)
        if central is not None:
            value = self._moved(central[1], central[2])
            return self.difference.algebra.times(float(central[0]), value), (CENTRAL,)
        pairs = squared_distances(self.difference, polynomial, node)
        if pairs is not None or len(polynomial) not in (2, 3):
            return pairs
        return (
            self._cosine_distance(polynomial, node)
            or slope_of_ratio(self.difference, polynomial)
            or self._moments(polynomial, node)
            or self._weighted(polynomial)
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
            inner = self._widened(node.children[0]) or self.difference.terms(node.children[0])
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

    def _widened(self, node: Node) -> Polynomial | None:
        """A product in a shorter dtype that was converted before it is summed: that of its converted factors."""
        inner = node.children[0] if node.operation == "convert_element_type" and node.equation is not None else None
        if inner is None or inner.operation not in ("square", "mul", "integer_pow") or not floating(node.dtype):
            return None
        read = self.difference.terms(inner)
        if len(read) != 1 or not floating(inner.dtype) or jnp.finfo(inner.dtype).bits >= jnp.finfo(node.dtype).bits:
            return None
        ((monomial, c),) = read.items()
        assert node.equation is not None
        wide: Monomial = ONE
        for number, power in monomial:
            factor = self.builder.apply(node.equation, [self.difference.node(number)])[0]
            if factor.shape != node.shape:
                return None
            wide = times(wide, ((next(iter(self.difference.terms.generator(factor)))[0][0], power),))
        return {wide: c}

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

    def _weighted(self, polynomial: Polynomial) -> Found | None:
        """c (sum(w x^2) / sum(w) - (sum(w x) / sum(w))^2)."""
        found = weights_and_values(polynomial, self._summed) if len(polynomial) == 2 else None
        if found is None:
            return None
        c, x, w, like = found
        x, w = self._filled(x, like), self._filled(w, like)
        value = self.difference.emit(VARIANCE_OF, x, w, axes=like.axes, shape=like.node.shape)
        return self.difference.algebra.times(float(c), self._moved(value, like)), (WEIGHTED_VARIANCE,)

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
            gap = self.difference(self.difference.minus(x, y), x) or self._shift(x, y)
            if gap is None:
                value = self.difference.emit(SQUARED_DISTANCE, x, y, axes=first.axes, shape=first.node.shape)
            else:
                square = self.difference.algebra.filled(self.difference.power(gap[0], 2), first.shape)
                value = self.difference.emit(stable.SUM, square, axes=first.axes, shape=first.node.shape)
            weight = float(c * first.coefficient)
            return self.difference.algebra.times(weight, self._moved(value, first)), (DISTANCE,)
        return None

    def _shift(self, x: Node, y: Node) -> Found | None:
        """x - y, where that is one term."""
        rest = self.difference.minus(x, y)
        return (self.difference.plain(rest, x), ()) if len(rest) == 1 else None

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
        node, axes = self.difference.node(m[0][0]), None
        if node.operation == "cosine":
            vectors, axes = node.children, node.params["axes"]
        else:
            vectors = self._directions(m[0][0])
            axes = vectors[0][1] if vectors else None
            vectors = tuple(vector for vector, _ in vectors)
        if axes is None:
            return None
        value = self.difference.emit(COSINE_DISTANCE_OF, *vectors, axes=axes, shape=node.shape)
        return self.difference.algebra.times(float(-c), value), (COSINE_DISTANCE,)

    def _directions(self, number: int) -> tuple[tuple[Node, tuple[int, ...]], ...]:
        """x and y with their axes, where a generator is sum(x/|x| y/|y|)."""
        summed = self._summed(number)
        if summed is None or summed.moves or summed.coefficient != 1:
            return ()
        units = [self.difference.node(n) for n, power in summed.monomial for _ in range(max(power, 0))]
        if len(units) != 2 or any(u.operation != "unit_vector" or u.params["axes"] != summed.axes for u in units):
            return ()
        if any(u.shape != summed.shape for u in units):
            return ()
        return tuple((unit.children[0], summed.axes) for unit in units)

    def _cosine_of(self, node: Node) -> Node | None:
        """The cosine of two vectors that a sum of products of their directions is."""
        polynomial = self.difference.terms(node)
        ((monomial, coefficient),) = polynomial.items() if len(polynomial) == 1 else ((ONE, 0),)
        if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
            return None
        found = self._directions(monomial[0][0])
        if len(found) != 2:
            return None
        (x, axes), (y, _) = found
        return self.difference.emit(COSINE_OF, x, y, axes=axes, shape=node.shape)

    # --- determinants and powers ---

    def _log(self, node: Node) -> Found | None:
        child = node.children[0]
        polynomial = self.difference.terms(child)
        lengths = log_of_squares(self.difference, polynomial, node) or log_of_length(self.difference, child, node)
        if lengths is not None:
            return lengths
        squared = [m for m in polynomial if m != ONE]
        if polynomial.get(ONE) == 1 and len(squared) == 1 and polynomial[squared[0]] > 0:
            root = _half(squared[0])
            if root is not None and any(power > 0 for _, power in root):
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


def _identity(found: Found | None) -> Replacement | None:
    return None if found is None else (*found, None)


def _half(monomial: Monomial) -> Monomial | None:
    if any(power % 2 for _, power in monomial):
        return None
    return tuple((number, power // 2) for number, power in monomial)
