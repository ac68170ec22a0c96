"""What the rules of the difference ask and make: how nodes are read, whether a value is exact, how sums are emitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Self

import numpy as np

from qed.graph.build import Builder, Node
from qed.numerics.rewriting import difference_kernels as kernels
from qed.numerics.rewriting import difference_rules as rules
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import (
    ONE,
    Monomial,
    Polynomial,
    Terms,
    common,
    plus,
    power_of,
    scaled,
    spelled,
)
from qed.numerics.rewriting.forms import Algebra
from qed.numerics.rewriting.signs import MOVES, Sign, Signs

_SORTS = frozenset(["sort", "top_k"])
"""What puts numbers in another order and changes none."""


class Reading(ABC):
    """Reads nodes as polynomials and makes nodes of polynomials; `Difference` finds the forms that do not cancel.

    Args:
        builder: where new nodes are made.
        terms: how nodes are read; default a reader of its own.
        pairs: whether two of more terms may be taken first.
    """

    def __init__(self, builder: Builder, terms: Terms | None = None, *, pairs: bool = True) -> None:
        self.pairs = pairs
        self.builder = builder
        self.emit = builder.emit
        self.algebra = Algebra(builder)
        self.terms = terms or Terms()
        self.deep = self.terms if self.terms.deep else Terms(deep=True)
        self.deep.nodes = self.terms.nodes
        self.node: Callable[[int], Node] = self.terms.nodes.__getitem__
        self.sign: Signs = builder.readers.setdefault(Signs, Signs())
        self.steps = 0
        self._known: dict[object, Found | None] = {}
        self._depth = 0
        self._partial = True

    @classmethod
    def of(cls, builder: Builder) -> Self:
        """The one that all rewritings of a builder's nodes share."""
        if cls not in builder.readers:
            builder.readers[cls] = cls(builder)
        return builder.readers[cls]

    @abstractmethod
    def __call__(self, polynomial: Polynomial, like: Node) -> Found | None:
        """A node equal to the polynomial and the laws used, or None if no rule helps."""

    # --- what rules ask ---

    def single(self, monomial: Monomial, power: int) -> Node | None:
        """The generator of which a monomial is this power, read as what it stands for if it is none that rules know."""
        if len(monomial) != 1 or monomial[0][1] != power:
            return None
        return known(self.node(monomial[0][0]))

    def number(self, value: Fraction, like: Node) -> Node:
        """A constant."""
        return self.algebra.number(float(value), like)

    def known(self, node: Node) -> Node:
        """The node, or what it stands for where no rule knows its own operation."""
        return known(node)

    def deeper(self, node: Node) -> Polynomial:
        """The polynomial of what a node stands for."""
        return self.deep(node)

    def exponent(self, monomial: Monomial) -> Polynomial | None:
        """u, where a monomial is exp(u); 0 for the number 1."""
        if monomial == ONE:
            return {}
        total: Polynomial = {}
        for number, power in monomial:
            g = self.node(number)
            if g.operation != "exp":
                return None
            total = plus(total, self.terms(g.children[0]), power)
        return total

    def minus_of(self, node: Node) -> Node:
        """-node."""
        return self.algebra.negative(node)

    def minus(self, x: Node, y: Node) -> Polynomial:
        """x - y."""
        return self.multiplied(plus(self.terms(x), self.terms(y), -1))

    def plus(self, x: Node, y: Node) -> Polynomial:
        """x + y."""
        return self.multiplied(plus(self.terms(x), self.terms(y)))

    def shifted(self, x: Node, number: Fraction) -> Polynomial:
        """x - number."""
        return plus(self.terms(x), {ONE: number}, -1)

    def multiplied(self, polynomial: Polynomial) -> Polynomial:
        """Multiplied out where that leaves fewer terms."""
        found = self.terms.expanded(polynomial)
        return found if found is not None and len(found) < len(polynomial) else polynomial

    def exact(self, node: Node) -> bool:
        """Whether a computed value is the real one: an input or a constant, wherever it was moved to, also in order."""
        while node.operation in MOVES and node.children:
            node = node.children[0]
        if node.operation == "item" and node.children[0].operation in _SORTS:
            node = node.children[0]
        if node.operation in _SORTS:
            return all(map(self.exact, node.children))
        if node.operation == "convert_element_type":
            inner = node.children[0]
            return getattr(inner.dtype, "kind", "") in "iub" or (inner.dtype == node.dtype and self.exact(inner))
        if node.operation == "custom_jvp_call" and node.ghost is not None and _is_scaled(node.ghost):
            return self.exact(node.children[0])
        return node.operation in ("input", "constant", "iota", "stop_gradient") and node.operation != "stop_gradient"

    def sharp(self, polynomial: Polynomial, like: Node) -> Found | None:
        """The polynomial with a small relative error, or None if digits may be lost whatever is done."""
        if len(polynomial) <= 1:
            return self.plain(polynomial, like), ()
        found = self(polynomial, like)
        if found is not None:
            return found
        for each in (polynomial, self.terms.expanded(polynomial)):
            if each and (self.adds(each) or (len(each) <= 2 and all(map(self._exact_term, each.items())))):
                return self.plain(each, like), ()
        sizes = {abs(c) for c in polynomial.values()}
        if len(sizes) == 1 and 1 not in sizes:
            (size,) = sizes
            inner = self.sharp(scaled(polynomial, 1 / size), like)
            return None if inner is None else (self.algebra.times(float(size), inner[0]), inner[1])
        factor = common(polynomial)  # what is left may be exact
        if factor == ONE:
            return None
        inner = self.sharp(scaled(polynomial, Fraction(1), power_of(factor, -1)), like)
        return None if inner is None else self.by(inner, factor, like)

    def _exact_term(self, term: tuple[Monomial, Fraction]) -> bool:
        monomial, coefficient = term
        if monomial == ONE:
            return Fraction(float(coefficient)) == coefficient
        power_of_two = abs(coefficient.numerator) & (abs(coefficient.numerator) - 1) == 0
        power_of_two &= coefficient.denominator & (coefficient.denominator - 1) == 0
        return len(monomial) == 1 and monomial[0][1] == 1 and power_of_two and self.exact(self.node(monomial[0][0]))

    def adds(self, polynomial: Polynomial) -> bool:
        """Whether all terms are known to have one sign, so that nothing cancels."""
        seen = 0
        for monomial, coefficient in polynomial.items():
            sign = self._sign(monomial, coefficient)
            if not sign or sign == -seen:
                return False
            seen = sign
        return seen != 0

    def _sign(self, monomial: Monomial, coefficient: Fraction) -> int:
        sign = 1 if coefficient > 0 else -1
        for number, power in monomial:
            if power % 2 and self.sign(self.node(number)) == Sign.UNKNOWN:
                if not _below_zero(self.node(number)):
                    return 0
                sign = -sign
        return sign

    # --- emission ---

    def plain(self, polynomial: Polynomial, like: Node) -> Node:
        """The sum as it stands."""
        pairs: list[tuple[float, Node]] = []
        for monomial, coefficient in polynomial.items():
            if monomial == ONE:
                pairs.append((1.0 if coefficient > 0 else -1.0, self.number(abs(coefficient), like)))
            else:
                pairs.append((float(coefficient), self.monomial(monomial, like)))
        return self.algebra.total(pairs, like)

    def monomial(self, monomial: Monomial, like: Node) -> Node:
        """A product of powers; divisors one after the other, so that their product cannot overflow."""
        value: Node | None = None
        for number, power in monomial:
            if power > 0:
                factor = self.power(self.node(number), power)
                value = factor if value is None else self.emit(stable.MUL, value, factor)
        for number, power in monomial:
            if power < 0:
                value = value if value is not None else self.algebra.number(1.0, like)
                divisor = self.node(number)
                for _ in range(-power if power > -3 else 1):
                    value = self.emit(stable.DIV, value, divisor if power > -3 else self.power(divisor, -power))
        return value if value is not None else self.algebra.number(1.0, like)

    def power(self, node: Node, power: int) -> Node:
        """A power, at least the first, of a node."""
        if power == 1:
            return node
        if power == 2:
            return self.emit(stable.MUL, node, node)
        return self.emit(rules.INTEGER_POW, node, y=power)

    def by(self, found: Found, monomial: Monomial, like: Node) -> Found:
        """A node times a monomial."""
        node, used = found
        above = tuple((number, power) for number, power in monomial if power > 0)
        for number, power in monomial:
            if power < 0:
                for _ in range(-power):
                    node = self.emit(stable.DIV, node, self.node(number))
        return (self.emit(stable.MUL, self.monomial(above, like), node) if above else node), used


def _is_scaled(node: Node) -> bool:
    """Whether a node is x, or x times a power of two that was put there (`quotients_of_degree`)."""
    predicate, times, x = (
        node.children if node.operation == "select_n" and len(node.children) == 3 else (node, node, node)
    )
    if predicate.operation != "eq" or times.operation != "mul" or times.children[0] is not x:
        return False
    return times.children[1] is predicate.children[0] and times.children[1].operation == "stop_gradient"


def _below_zero(node: Node) -> bool:
    """Whether a node is the logarithm of numbers below 1."""
    if node.operation != "log" or len(node.children) != 1 or node.children[0].operation != "constant":
        return False
    value = np.asarray(node.children[0].value)
    return value.dtype.kind == "f" and bool(np.all((value > 0) & (value < 1)))


def known(node: Node) -> Node:
    """The node, or the expression that it stands for where no rule knows its own operation."""
    return node if node.operation in kernels.OPERATIONS or node.operation in rules.AGAINST else spelled(node)
