"""The recursive function D: a polynomial of nodes -> a node equal to it, formed without cancellation, or None.

Tried in this order: a common factor; rests of Taylor series; the rules for two terms; a common denominator; the
polynomial multiplied out; for three and more terms, two of them first. None means that nothing was gained and the
graph is to stay as it is. Memoised on the polynomial.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

from qed.graph.build import Node
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_factors import coefficients, rational_roots
from qed.numerics.rewriting.difference_gamma_logs import with_logarithm
from qed.numerics.rewriting.difference_gamma_ratios import ratios
from qed.numerics.rewriting.difference_gammas import three
from qed.numerics.rewriting.difference_log_pairs import weighted_pair
from qed.numerics.rewriting.difference_logs import log_rest, log_slope
from qed.numerics.rewriting.difference_mixtures import of_mixture
from qed.numerics.rewriting.difference_pairs import two_terms, without_zeros
from qed.numerics.rewriting.difference_range import guarded, unless_apart
from qed.numerics.rewriting.difference_reading import Reading
from qed.numerics.rewriting.difference_rules import AGAINST, Found
from qed.numerics.rewriting.difference_series import REST, SERIES
from qed.numerics.rewriting.difference_squares import exact_sum
from qed.numerics.rewriting.difference_terms import (
    ONE,
    Monomial,
    Polynomial,
    common,
    denominator,
    plus,
    power_of,
    product,
    scaled,
    times,
)
from qed.numerics.rewriting.difference_zeros import zeros

DEEPEST = 12
LARGEST_DENOMINATOR = 6
"""The degree up to which fractions get a common denominator: a high power overflows where its reciprocal does not."""


class Difference(Reading):
    """D(p) = p without cancellation.

    Args:
        builder: where new nodes are made.
        terms: how nodes are read; default a reader of its own.
        pairs: whether two of more terms may be taken first.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: jnp.exp(x) - 1, 1.0).graph
        >>> builder = Builder()
        >>> output = builder.inline(graph, builder.inputs(graph))[0]
        >>> difference = Difference(builder)
        >>> difference(difference.terms(output), output)[0].operation
        'expm1'
    """

    def __call__(self, polynomial: Polynomial, like: Node) -> Found | None:
        """A node equal to the polynomial and the laws used, or None if no rule helps."""
        if len(polynomial) < 2 or self._depth >= DEEPEST:
            return None
        key = (frozenset(polynomial.items()), str(like.dtype), self._partial)
        if key in self._known:
            return self._known[key]
        self._known[key] = None  # while it is being tried
        self.steps += 1
        self._depth += 1
        try:
            found = None if self.adds(polynomial) else self._tried(polynomial, like)
        finally:
            self._depth -= 1
        self._known[key] = found
        return found

    def _tried(self, polynomial: Polynomial, like: Node) -> Found | None:
        factor = common(polynomial)
        if factor != ONE:
            return self._factored(polynomial, factor, like)
        special = (self._remainder, self._slope, self._gammas, self._two, self._log_pair, self._mixture)
        general = (self._divided, self._fractions)
        for rule in (*special, *general, self._zeros, self._multiplied, self._exact_sum, self._paired):
            found = rule(polynomial, like)
            if found is not None:
                return found
        return None

    # --- one attempt each ---

    def _factored(self, polynomial: Polynomial, factor: Monomial, like: Node) -> Found | None:
        rest = scaled(polynomial, Fraction(1), power_of(factor, -1))
        inner = None if self.adds(rest) else self.sharp(rest, like)
        if inner is None:
            return None
        if any(power < 0 for _, power in factor) and not inner[1]:
            return None
        apart = self._apart(inner[0], factor)
        node, used = (apart, inner[1]) if apart is not None else self.by(inner, factor, like)
        below = tuple((number, -power) for number, power in factor if power < 0)
        return guarded(self, polynomial, below, inner[0], node, like) if below else node, (laws.COMMON, *used)

    def _remainder(self, polynomial: Polynomial, like: Node) -> Found | None:
        """c (f(u) - T_k(u)) for the Taylor polynomial T_k of f."""
        for monomial, coefficient in polynomial.items():
            found = log_rest(self, polynomial, monomial, coefficient, like)
            if found is not None:
                return found
            g = self.single(monomial, 1)
            if g is None or g.operation not in SERIES or len(polynomial) > 5:
                continue
            u = self.terms(g.children[0])
            if len(u) != 1 or ONE in u:
                continue
            for k in (5, 4, 3, 2):
                if self.is_rest(polynomial, monomial, coefficient, u, k):
                    if k == 2 and g.operation == "cos":
                        break
                    return self._rest(g, k, coefficient)
            found = self._rest_and_more(polynomial, monomial, coefficient, u, g, like)
            if found is not None:
                return found
        return None

    def _slope(self, polynomial: Polynomial, like: Node) -> Found | None:
        """The derivative of n log(1 + v/n) in n, its products multiplied out where they have to be."""
        for read in (polynomial, self.terms.expanded(polynomial, 1)):
            found = log_slope(self, read, like) if read else None
            if found is not None:
                return found
        return None

    def _gammas(self, polynomial: Polynomial, like: Node) -> Found | None:
        """Logarithms of Beta functions and binomial coefficients among the terms."""
        logs = with_logarithm(self, polynomial, like)
        if logs is not None:
            return logs
        apart = ratios(self, polynomial, like)
        if apart is not None:
            return apart
        found = three(self, polynomial, like) if len(polynomial) > 2 else None
        if found is None or len(polynomial) == 3:
            return None if found is None else found[1]
        rest = plus(plus(polynomial, found[0], -1), self.terms.generator(found[1][0]))
        better = self(rest, like)
        value, used = better if better is not None else (self.plain(rest, like), ())
        return value, (*found[1][1], *used)

    def _rest_and_more(
        self, polynomial: Polynomial, monomial: Monomial, c: Fraction, u: Polynomial, g: Node, like: Node
    ) -> Found | None:
        """c (e^u - 1 - u) and more terms of the sign of c."""
        if g.operation != "exp" or len(polynomial) < 4:
            return None
        rest = plus(plus({monomial: c}, {ONE: c}, -1), u, -c)
        others = plus(polynomial, rest, -1)
        if not others or len(others) != len(polynomial) - 3 or not self.adds(others):
            return None
        if (min(others.values()) > 0) != (c > 0):
            return None
        value, used = self._rest(g, 2, c)
        return self.emit(stable.ADD, self.plain(others, like), value), used

    def is_rest(self, polynomial: Polynomial, monomial: Monomial, coefficient: Fraction, u: Polynomial, k: int) -> bool:
        """Whether a polynomial is coefficient * (f(u) - T_k(u)), its first monomial being f(u)."""
        g = self.single(monomial, 1)
        if g is None or g.operation not in SERIES or len(u) != 1 or ONE in u:
            return False
        values = SERIES[g.operation].coefficients(k + 1)
        expected: Polynomial = {monomial: coefficient}
        power: Polynomial = {ONE: Fraction(1)}
        for value in values[:k]:
            expected = plus(expected, power, -coefficient * value)
            power = product(power, u)
        return expected == polynomial and values[k] != 0 and any(values[:k])

    def _rest(self, g: Node, k: int, coefficient: Fraction) -> Found:
        value = self.emit(REST, g.children[0], f=g.operation, k=k)
        return self.algebra.times(float(coefficient), value), (laws.REMAINDER,)

    def _divided(self, polynomial: Polynomial, like: Node) -> Found | None:
        """A polynomial in one input, divided by its roots."""
        read = coefficients(polynomial) if len(polynomial) > 2 else None
        if read is None or not self.exact(self.node(read[0])):
            return None
        roots = rational_roots(read[1])
        if roots is None or len(set(roots)) == len(roots) > 2:
            return None
        x, value = self.terms.generator(self.node(read[0])), None
        for root in dict.fromkeys(roots):
            factor = self.power(self.plain(plus(x, {ONE: root}, -1), like), roots.count(root))
            value = factor if value is None else self.emit(stable.MUL, value, factor)
        assert value is not None
        return self.algebra.times(float(read[1][-1]), value), (laws.FACTORED,)

    def _two(self, polynomial: Polynomial, like: Node) -> Found | None:
        return two_terms(self, polynomial, like)

    def _log_pair(self, polynomial: Polynomial, like: Node) -> Found | None:
        return weighted_pair(self, polynomial, like)

    def _mixture(self, polynomial: Polynomial, like: Node) -> Found | None:
        return of_mixture(self, polynomial, like)

    def _zeros(self, polynomial: Polynomial, like: Node) -> Found | None:
        return zeros(self, polynomial, like)

    def _fractions(self, polynomial: Polynomial, like: Node) -> Found | None:
        below = denominator(polynomial)
        if below == ONE or sum(power for _, power in below) > LARGEST_DENOMINATOR:
            return None
        above = scaled(polynomial, Fraction(1), below)
        shorter = self.terms.expanded(above)
        gap = None
        if shorter and len(shorter) < len(polynomial):
            gap = self.sharp(shorter, like)
        if gap is None:
            opposite = len(polynomial) == 2 and min(polynomial.values()) < 0 < max(polynomial.values())
            gap = self.sharp(above, like) if opposite else self(above, like)
        if gap is None:
            return None
        without = without_zeros(self, gap[0], power_of(below, -1), like)
        if without is not None:
            return unless_apart(self, polynomial, without, like), (laws.FRACTIONS, *gap[1])
        apart = self._apart(gap[0], power_of(below, -1))
        node, used = (apart, gap[1]) if apart is not None else self.by(gap, power_of(below, -1), like)
        return guarded(self, polynomial, below, gap[0], node, like), (laws.FRACTIONS, *used)

    def _apart(self, node: Node, factor: Monomial) -> Node | None:
        """(x - y)(x + y) / b^2 in a derivative: a product of quotients, before which the product would overflow."""
        if not self.builder.derivative or node.operation != "difference_of_squares" or len(factor) != 1:
            return None
        ((number, power),) = factor
        if power != -2:
            return None
        low, high = (self.emit(stable.DIV, part, self.node(number)) for part in node.children[2:])
        return self.emit(stable.MUL, low, high)

    def _multiplied(self, polynomial: Polynomial, like: Node) -> Found | None:
        found = self.terms.expanded(polynomial)
        if not found or found == polynomial:
            return None
        differs = min(polynomial.values()) < 0 < max(polynomial.values())  # of a sum, half a gain is none
        kept, self._partial = self._partial, self._partial and (differs or len(found) <= len(polynomial))
        gap = self.sharp(found, like) if len(found) < len(polynomial) else self(found, like)
        self._partial = kept
        return None if gap is None else (gap[0], (laws.EXPANDED, *gap[1]))

    def _exact_sum(self, polynomial: Polynomial, like: Node) -> Found | None:
        return exact_sum(self, polynomial, like)

    def _paired(self, polynomial: Polynomial, like: Node) -> Found | None:
        """Two terms that cancel first; then what remains, if more can be gained."""
        if len(polynomial) < 3 or not self.pairs or self.builder.derivative:
            return None
        pairs = [dict(pair) for pair in combinations(polynomial.items(), 2)]
        likely = [p for p in pairs if min(p.values()) < 0 < max(p.values()) or ONE in p or self._beside_one(p)]
        for pair in sorted(likely, key=_unlikely):
            found = self(pair, like)
            if found is None:
                continue
            rest = plus(plus(polynomial, pair, -1), self.terms.generator(found[0]))
            better = self(rest, like)
            if better is not None:
                return better[0], (laws.PAIRED, *found[1], *better[1])
            if self._partial and not set(found[1]) <= {laws.COMMON, laws.EXPANDED}:
                return self.plain(rest, like), (laws.PAIRED, *found[1])
        return None

    def _beside_one(self, pair: Polynomial) -> bool:
        """Whether two terms are a and a f(u), for a function that has a rule against 1."""
        factor = common(pair)
        if factor not in pair:
            return False
        other = next(times(each, power_of(factor, -1)) for each in pair if each != factor)
        g = self.single(other, 1)
        return g is not None and g.operation in AGAINST


def _unlikely(pair: Polynomial) -> tuple[bool, bool]:
    """Terms of opposite sign first, numbers last."""
    first, second = pair.values()
    return first * second > 0, ONE in pair
