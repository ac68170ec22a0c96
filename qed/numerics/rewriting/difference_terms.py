"""Values as polynomials: what a difference is a difference of.

A value is read as a sum of monomials with exact rational coefficients, each monomial a product of powers (also
negative ones) of *generators*: nodes that are neither sums nor products. ``x*x``, ``square(x)`` and ``x**2`` are one
monomial, and ``(x + 1) - x`` is the number 1 before anything is computed. Equal values are equal polynomials, because
equal nodes are one node (`qed.graph.build`).

A sum inside a product stays one generator (``(x + 1) * y``) until `expanded` multiplies it out. A polynomial of more
than `TERMS` terms is read as the node that it is, so that reading is linear in the number of nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from qed.graph.build import Node
from qed.numerics.rewriting.recursion import readable
from qed.numerics.rewriting.scales import chosen, constant_of
from qed.numerics.rewriting.signs import MOVES, floating

Monomial = tuple[tuple[int, int], ...]
"""Pairs (number of the generator, power), by number; the empty one is the number 1."""

Polynomial = Mapping[Monomial, Fraction]

ONE: Monomial = ()
_UNIT = Fraction(1)
TERMS = 8
DEGREE = 12


def times(first: Monomial, second: Monomial) -> Monomial:
    """The product of two monomials.

    Example:
        >>> times(((1, 2),), ((1, -2), (5, 1)))
        ((5, 1),)
    """
    if not first or not second:
        return first or second
    powers = dict(first)
    for number, power in second:
        powers[number] = powers.get(number, 0) + power
    pairs = [pair for pair in powers.items() if pair[1]]
    pairs.sort()
    return tuple(pairs)


def power_of(monomial: Monomial, exponent: int) -> Monomial:
    """A power of a monomial."""
    return tuple((number, power * exponent) for number, power in monomial) if exponent else ONE


def plus(first: Polynomial, second: Polynomial, factor: Fraction | int = 1) -> Polynomial:
    """first + factor * second."""
    result = dict(first)
    for monomial, coefficient in second.items():
        part = coefficient if factor == 1 else -coefficient if factor == -1 else factor * coefficient
        before = result.get(monomial)
        total = part if before is None else before + part
        if total:
            result[monomial] = total
        else:
            result.pop(monomial, None)
    return result


def scaled(polynomial: Polynomial, factor: Fraction, monomial: Monomial = ONE) -> Polynomial:
    """factor * monomial * polynomial."""
    if factor == 1:
        return {times(each, monomial): coefficient for each, coefficient in polynomial.items()}
    return {times(each, monomial): factor * coefficient for each, coefficient in polynomial.items()} if factor else {}


def product(first: Polynomial, second: Polynomial) -> Polynomial:
    """The product, multiplied out."""
    result: Polynomial = {}
    for monomial, coefficient in first.items():
        result = plus(result, scaled(second, coefficient, monomial))
    return result


def common(polynomial: Polynomial) -> Monomial:
    """The monomial that divides all terms; its powers are negative where a generator divides in every term.

    Example:
        >>> common({((1, 3), (2, 1)): Fraction(1), ((1, 1),): Fraction(-1)})
        ((1, 1),)
        >>> common({((1, -2),): Fraction(1), ((1, -1),): Fraction(-1)})
        ((1, -2),)
        >>> common({((1, -1),): Fraction(1), (): Fraction(-1)})
        ()
    """
    powers = [dict(monomial) for monomial in polynomial]
    shared = set.intersection(*(set(each) for each in powers)) if powers else set()
    lowest = [(number, sorted(each[number] for each in powers)) for number in shared]
    return tuple(sorted((number, found[0]) for number, found in lowest if found[0] * found[-1] > 0))


def denominator(polynomial: Polynomial) -> Monomial:
    """The monomial of positive powers that clears all negative ones."""
    powers: dict[int, int] = {}
    for monomial in polynomial:
        for number, power in monomial:
            if power < 0:
                powers[number] = max(powers.get(number, 0), -power)
    return tuple(sorted(powers.items()))


def small(polynomial: Polynomial) -> bool:
    """Whether a polynomial is worth looking at."""
    if len(polynomial) > TERMS:
        return False
    for monomial in polynomial:
        degree = 0
        for _, power in monomial:
            degree += abs(power)
        if degree > DEGREE:
            return False
    return True


class Terms:
    """Nodes as polynomials, each read once.

    Args:
        deep: read an emitted node as the expression whose place it took; else as it is.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.graph.build import Builder
        >>> from qed.graph.trace import trace
        >>> graph = trace(lambda x: (x + 1) * 2 - x * 2, 1.0).graph
        >>> builder = Builder()
        >>> dict(Terms()(builder.inline(graph, builder.inputs(graph))[0]))
        {(): Fraction(2, 1)}
    """

    def __init__(self, deep: bool = False) -> None:
        self.deep = deep
        self.nodes: dict[int, Node] = {}
        self._known: dict[int, Polynomial] = {}
        self._expanded: dict[int, Polynomial | None] = {}
        self._multiplied: dict[tuple[frozenset[tuple[Monomial, Fraction]], int], Polynomial | None] = {}
        self.steps = 0

    def __call__(self, node: Node) -> Polynomial:
        """The polynomial of a node; the walk keeps its own stack, so that a deep graph is no matter."""
        known = self._known
        if node.number in known:
            return known[node.number]
        pending = [node]
        while pending:
            top = pending[-1]
            if top.number in known:
                pending.pop()
                continue
            waiting = len(pending)
            for child in self._reads(top):
                if child.number not in known:
                    pending.append(child)
            if len(pending) > waiting:
                continue
            self.steps += 1
            found = self._rule(top)
            known[top.number] = found if found is not None and small(found) else self.generator(top)
            pending.pop()
        return known[node.number]

    def generator(self, node: Node) -> Polynomial:
        """The node as one term."""
        self.nodes[node.number] = node
        return {((node.number, 1),): _UNIT}

    def monomial(self, node: Node) -> Monomial:
        """The node as a generator."""
        self.nodes[node.number] = node
        return ((node.number, 1),)

    def expanded(self, polynomial: Polynomial, depth: int = 4) -> Polynomial | None:
        """The polynomial with its sums multiplied out; None where it grows too large or a power is negative."""
        key = frozenset(polynomial.items()), depth
        if key not in self._multiplied:
            self._multiplied[key] = self._expand(polynomial, depth)
        return self._multiplied[key]

    def _expand(self, polynomial: Polynomial, depth: int) -> Polynomial | None:
        result: Polynomial = {}
        for monomial, coefficient in polynomial.items():
            sums = [(number, self.inside(self.nodes[number])) for number, power in monomial if depth and power > 0]
            inside = {number: inner for number, inner in sums if inner is not None}
            left = tuple(pair for pair in monomial if pair[0] not in inside) if inside else monomial
            term: Polynomial = {left: coefficient}
            for number, inner in inside.items():
                for _ in range(dict(monomial)[number]):
                    term = product(term, inner)
                    if not small(term):
                        return None
            if inside and term != {monomial: coefficient}:
                deeper = self.expanded(term, depth - 1)
                if deeper is None:
                    return None
                term = deeper
            result = plus(result, term)
            if not small(result):
                return None
        return result

    def inside(self, node: Node) -> Polynomial | None:
        """The sum that a generator is, if it is one."""
        if node.number not in self._expanded:
            found = self(node)
            self._expanded[node.number] = None if found == {((node.number, 1),): 1} else found
        return self._expanded[node.number]

    # --- rules ---

    def spelled(self, node: Node) -> Node:
        """What a node is read as: the body of a smooth library call; if deep, what an emitted node stands for."""
        if node.ghost is None and node.operation != "select_n":
            return node
        return spelled(node) if self.deep or node.equation is not None or node.operation in _AS_WRITTEN else node

    def _reads(self, node: Node) -> tuple[Node, ...]:
        seen = self.spelled(node)
        if seen is not node:
            return (seen,)
        return seen.children if seen.operation in _RULES or seen.operation in _THROUGH else ()

    def _rule(self, node: Node) -> Polynomial | None:
        if not floating(node.dtype):
            return None
        number = 1.0 if _is_one(node) else constant_of(node)
        if number is not None:
            return None if not np.isfinite(number) else ({ONE: Fraction(number)} if number else {})
        seen = self.spelled(node)
        if seen is not node:
            return self._known[seen.number]
        if node.operation in _THROUGH and _same_value(node):
            return self._known[node.children[0].number]
        rule = _RULES.get(node.operation)
        return rule(self, node, [self._known[child.number] for child in node.children]) if rule else None

    def factor(self, node: Node, polynomial: Polynomial) -> tuple[Monomial, Fraction] | None:
        """A value as one monomial: itself if it is one, the node as a generator if it is a sum; None for 0."""
        if not polynomial:
            return None
        if len(polynomial) == 1:
            return next(iter(polynomial.items()))
        return self.monomial(node), Fraction(1)


def _is_one(node: Node) -> bool:
    """Whether a node is exp(u - u): an exponential divided by itself, where it is a number."""
    return node.operation == "exp" and node.children[0].operation == "cancelled"


def spelled(node: Node) -> Node:
    """What a node may be read as: the body of a smooth library call, what an emitted node stands for, a known case."""
    while True:
        case = chosen(node) if node.operation == "select_n" else node
        if case is not node:
            node = case
        elif node.ghost is not None and (node.equation is None or readable(node)):
            node = node.ghost
        else:
            return node


def logarithm_of(node: Node, read: Terms) -> Polynomial:
    """u, where a node is log(u), log(a / b) or log(a) - log(b)."""
    first = read(node.children[0])
    if node.operation == "log":
        return first
    below = read.factor(node.children[1], read(node.children[1]))
    above = read.factor(node.children[0], first)
    if below is None or above is None:
        return {}
    return {times(above[0], power_of(below[0], -1)): above[1] / below[1]}


def _same_value(node: Node) -> bool:
    child = node.children[0]
    return child.dtype == node.dtype and child.shape == node.shape


def _sum(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial:
    return plus(children[0], children[1], -1 if node.operation == "sub" else 1)


def _neg(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial:
    return scaled(children[0], Fraction(-1))


def _mul(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial | None:
    for one, other in (children, children[::-1]):
        if list(one) == [ONE]:
            return scaled(other, one[ONE])
    parts = [terms.factor(child, each) for child, each in zip(node.children, children, strict=True)]
    if parts[0] is None or parts[1] is None:
        return {}
    return {times(parts[0][0], parts[1][0]): parts[0][1] * parts[1][1]}


def _div(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial | None:
    below = terms.factor(node.children[1], children[1])
    if below is None:
        return None
    if below[0] == ONE:
        return scaled(children[0], 1 / below[1])
    above = terms.factor(node.children[0], children[0])
    if above is None:
        return None
    return {times(above[0], power_of(below[0], -1)): above[1] / below[1]}


DIVISORS = 3
"""Powers in a divisor: over a common one 1 - x^-12 is (x^12 - 1) / x^12, which overflows where it is 1."""


def _integer_pow(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial | None:
    exponent = int(node.params.get("y", 2))
    base = terms.factor(node.children[0], children[0])
    if base is None or exponent == 0 or abs(exponent) > DEGREE or exponent < -DIVISORS:
        return None
    return {power_of(base[0], exponent): base[1] ** exponent}


def _one_minus_square(terms: Terms, node: Node, children: list[Polynomial]) -> Polynomial | None:
    """What newer versions of JAX have in the derivative of tanh."""
    base = terms.factor(node.children[0], children[0])
    return None if base is None else plus({ONE: Fraction(1)}, {power_of(base[0], 2): base[1] ** 2}, -1)


_THROUGH = frozenset(["convert_element_type", "copy", "name"]) & (MOVES | {"convert_element_type"})
_AS_WRITTEN = frozenset(["xlogy", "log_ratio_times"])
"""Emitted operations that change a derivative alone: they are read as the product that they stand for."""
_RULES = {
    "add": _sum,
    "add_any": _sum,
    "sub": _sum,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "integer_pow": _integer_pow,
    "one_minus_square": _one_minus_square,
    "square": _integer_pow,
}
