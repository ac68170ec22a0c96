"""Products in which one factor vanishes where another overflows, both made of one sigmoid, also inside of sums.

::

    (a e^{softplus(u)} + b e^{softplus(-u)}) sigmoid(u) sigmoid(-u) = a sigmoid(u) + b sigmoid(-u)
    sigmoid(2u) sigmoid(-2u) / sech(u)^2 = 1/4

A gradient by `jax.grad` of log p and log(1 - p) has 1/p and 1/(1 - p), added up, times p (1 - p); of
log(1 - tanh(u)^2) it has 1/(1 - tanh(u)^2) times sech(u)^2. Each term of such a product is a weight times an
exponential, whose exponent is linear in the arguments u and in softplus(u)::

    log sigmoid(u) = u - softplus(u)      log sigmoid(-u) = -softplus(u)
    log sech(u)^2 = log 4 + 2u - 2 softplus(2u)

and m u + k softplus(u) is log(sigmoid(u)^m sigmoid(-u)^(-k - m)). A product is rewritten where both powers are at least
0 in each of its terms, so that no term can overflow, while they are not in one of its factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from qed.graph.build import Node
from qed.numerics.rewriting import kernels, laws, stable
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import Monomial, Polynomial, plus, scaled, spelled
from qed.numerics.rewriting.forms import Form, Term
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.recursion import Logarithm
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign, floating

DISTRIBUTED = Law("(a + b) c = a c + b c", "always")
DEEP = 12
"""Through how many operations factors are followed."""
MOST_TERMS, MOST_WEIGHTS, HIGHEST = 4, 6, 4
"""Terms of a sum, weights of a term, and the largest power of a sigmoid that is written out."""
_EXPONENTIALS = frozenset("exp exp_of_sum div mul".split())
_SUMS = {"add": 1, "add_any": 1, "sub": -1}

Exponent = tuple[Polynomial, tuple[tuple[Polynomial, int], ...]]
"""A polynomial, and (u, k) for each k softplus(u)."""


@dataclass(frozen=True, eq=False)
class Part:
    """number * weights * exp(exponent)."""

    number: Fraction
    weights: tuple[Node, ...]
    exponent: Exponent

    def times(self, other: Part) -> Part:
        """The product of two terms."""
        exponent = added(self.exponent, other.exponent, 1)
        return Part(self.number * other.number, (*self.weights, *other.weights), exponent)

    @property
    def is_exponential(self) -> bool:
        """Whether there is an exponential in it."""
        return bool(self.exponent[0] or self.exponent[1])

    @property
    def powers(self) -> tuple[tuple[Polynomial, int, int], ...] | None:
        """(u, m, n) for each factor sigmoid(u)^m sigmoid(-u)^n; None where that is not what the exponential is."""
        rest, found = self.exponent[0], []
        for u, k in self.exponent[1]:
            own = [each for each in u if not any(each in v for v, _ in self.exponent[1] if v is not u)]
            if not own:
                return None
            m = rest.get(own[0], Fraction(0)) / u[own[0]]
            rest = plus(rest, u, -m)
            if m.denominator != 1:
                return None
            found.append((u, int(m), -k - int(m)))
        return None if rest else tuple(found)

    @property
    def is_bounded(self) -> bool:
        """Whether the exponential is a product of sigmoids."""
        return (powers := self.powers) is not None and all(0 <= n <= HIGHEST for _, *both in powers for n in both)


def added(first: Exponent, second: Exponent, factor: int) -> Exponent:
    """first + factor * second."""
    merged = {frozenset(u.items()): k for u, k in first[1]}
    for u, k in second[1]:
        key = frozenset(u.items())
        merged[key] = merged.get(key, 0) + factor * k
    return plus(first[0], second[0], factor), tuple((dict(key), k) for key, k in merged.items() if k)


class SigmoidProducts:
    """Products of exponentials on the nodes of a builder, as products of sigmoids.

    Args:
        log: the logarithms of nodes.
        difference: how nodes are read, and where new ones are made.
    """

    def __init__(self, log: Logarithm, difference: Difference) -> None:
        self.log, self.difference = log, difference
        self.emit = difference.emit
        self._known: dict[int, tuple[Part, ...]] = {}

    def __call__(self, node: Node) -> tuple[Node, Form, str] | None:
        """What a product is, if one of its factors overflows and it does not."""
        if self.difference.builder.derivative or not floating(node.dtype):
            return None
        factors = [self.read(child) for child in node.children]
        if node.operation == "div":
            above, (below, *others) = factors
            if others or below.weights or not below.is_exponential or not (above[0].is_exponential or above[1:]):
                return None
            factors = [above, (Part(Fraction(1), (), added(NOTHING, below.exponent, -1)),)]
        read = [part for parts in factors for part in parts]
        if all(part.is_bounded for part in read) or not any(part.exponent[1] for part in read):
            return None
        parts = self._terms(node, DEEP)
        if parts is None or len(parts) > MOST_TERMS:
            return None
        if not all(part.is_bounded and len(part.weights) <= MOST_WEIGHTS for part in parts):
            return None
        if any(weight.shape not in ((), node.shape) for part in parts for weight in part.weights):
            return None
        value = self._total(parts, node)
        used = (*([DISTRIBUTED] if len(parts) > 1 else ()), laws.LOGISTIC, laws.DIVIDE)
        return value, Form((Term(value),), node.shape, laws=used), "put"

    def read(self, node: Node, deep: int = DEEP) -> tuple[Part, ...]:
        """The terms of a node."""
        if node.number not in self._known:
            found = self._terms(node, deep) if deep and floating(node.dtype) else None
            if found is None or len(found) > MOST_TERMS or not any(part.is_exponential for part in found):
                found = self._alone(node) if found is None or len(found) != 1 else found
            self._known[node.number] = found
        return self._known[node.number]

    def _alone(self, node: Node) -> tuple[Part, ...]:
        number = constant_of(node)
        if number and number == number and abs(number) != float("inf"):
            return (Part(Fraction(number), (), NOTHING),)
        return (Part(Fraction(1), (node,), NOTHING),)

    def _terms(self, node: Node, deep: int) -> tuple[Part, ...] | None:
        name = node.operation
        if name in ("exp", "logistic", "sech2"):
            exponent = self._exponent(node)
            return None if exponent is None else (Part(Fraction(4 if name == "sech2" else 1), (), exponent),)
        children = node.children
        if name == "neg":
            return _scaled(self.read(children[0], deep - 1), -1)
        if name in _SUMS:
            first, second = (self.read(child, deep - 1) for child in children)
            return _merged((*first, *_scaled(second, _SUMS[name])))
        if name == "mul":
            first, second = (self.read(child, deep - 1) for child in children)
            if len(first) * len(second) > MOST_TERMS:
                return None
            return _merged([a.times(b) for a in first for b in second])
        if name == "exp_difference" and node.equation is None:
            exponents = [self._linear(self.difference.terms(child)) for child in children[:2]]
            pairs = zip((1, -1), exponents, strict=True)
            return None if None in exponents else _merged([Part(Fraction(c), (), e) for c, e in pairs if e is not None])
        if node.equation is None and node.ghost is None and (found := self._emitted(node, deep)) is not None:
            return found
        if name == "div" or (name == "integer_pow" and node.params.get("y", 2) < 0):
            return self._quotient(node, deep)
        return self._emitted(node, deep) if node.equation is None and node.ghost is not None else None

    def _emitted(self, node: Node, deep: int) -> tuple[Part, ...] | None:
        """What was put in place of a node: as that is read, or as the exponential that it is."""
        inner = spelled(node)
        if inner is not node:
            return self.read(inner, deep - 1)
        form = self.log.gained(node) if node.operation in _EXPONENTIALS else None
        if form is None or form.fragile or self.log.sign(node) == Sign.UNKNOWN:
            return None
        number, found = Fraction(1), NOTHING
        for term in form.terms:
            power, value = int(term.coefficient), _number_of(term.node)
            exponent = self._linear(self.difference.terms(term.node)) if value is None else NOTHING
            if power != term.coefficient or exponent is None:
                return None
            number *= Fraction(value if value is not None else 1) ** power
            found = added(found, exponent, power)
        return (Part(number, (), found),)

    def _quotient(self, node: Node, deep: int) -> tuple[Part, ...] | None:
        power = -1 if node.operation == "div" else int(node.params["y"])
        below = self.read(node.children[-1], deep - 1)
        if len(below) != 1 or below[0].weights or not below[0].number or power < -HIGHEST:
            return None
        inverse = Part(below[0].number ** power, (), added(NOTHING, below[0].exponent, power))
        above = self.read(node.children[0], deep - 1) if node.operation == "div" else _ONE
        return tuple(part.times(inverse) for part in above)

    def _exponent(self, node: Node) -> Exponent | None:
        """The logarithm of exp(u), sigmoid(u) and sech(u)^2 / 4."""
        u = self.difference.terms(node.children[0])
        if node.operation == "logistic":
            return added((u, ()), _softplus(u), -1)
        if node.operation == "sech2":
            double = scaled(u, Fraction(2))
            return added((double, ()), _softplus(double), -2)
        return self._linear(u)

    def _linear(self, u: Polynomial) -> Exponent | None:
        """A polynomial, the softplus in it apart."""
        found: Exponent = NOTHING
        for monomial, coefficient in u.items():
            argument = self._argument(monomial)
            if argument is None:
                found = added(found, ({monomial: coefficient}, ()), 1)
            elif coefficient.denominator == 1:
                found = added(found, _softplus(argument), int(coefficient))
            else:
                return None
        return found

    def _argument(self, monomial: Monomial) -> Polynomial | None:
        """u, where a monomial is softplus(u)."""
        if len(monomial) != 1 or monomial[0][1] != 1:
            return None
        node = self.difference.node(monomial[0][0])
        return self.difference.terms(node.children[0]) if node.operation == "softplus" else None

    def _total(self, parts: Sequence[Part], node: Node) -> Node:
        """The sum of the terms, in the shape of a node."""
        algebra, total = self.difference.algebra, None
        for part in sorted(parts, key=lambda each: each.number < 0):
            value = self._product(part, node)
            size = algebra.times(float(abs(part.number)), value)
            if total is None:
                total = size if part.number > 0 else algebra.negative(size)
            else:
                total = self.emit(stable.SUB if part.number < 0 else stable.ADD, total, size)
        return algebra.filled(total if total is not None else algebra.number(0.0, node), node.shape)

    def _product(self, part: Part, node: Node) -> Node:
        algebra, powers = self.difference.algebra, part.powers
        assert powers is not None
        factors = list(part.weights)
        for u, m, n in powers:
            argument = self.difference.plain(u, node)
            factors += [self.emit(kernels.LOGISTIC, argument)] * m
            factors += [self.emit(kernels.LOGISTIC, algebra.negative(argument))] * n
        value = factors[0] if factors else algebra.number(1.0, node)
        for factor in factors[1:]:
            value = self.emit(stable.MUL, value, factor)
        return value


NOTHING: Exponent = ({}, ())
_ONE = (Part(Fraction(1), (), NOTHING),)


def _number_of(log: Node) -> float | None:
    """The positive number of which a node is the logarithm."""
    number = constant_of(log.children[0]) if log.operation == "log" and len(log.children) == 1 else None
    return number if number is not None and 0 < number < float("inf") else None


def _softplus(u: Polynomial) -> Exponent:
    """softplus(u), as u + softplus(-u) where u begins with a negative term."""
    if not u or u[min(u)] > 0:
        return {}, ((u, 1),)
    return u, ((scaled(u, Fraction(-1)), 1),)


def _scaled(parts: Sequence[Part], factor: int) -> tuple[Part, ...]:
    return tuple(parts) if factor == 1 else tuple(Part(factor * p.number, p.weights, p.exponent) for p in parts)


def _merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Terms that differ by a number are one."""
    found: dict[object, Part] = {}
    for part in parts:
        weights = tuple(sorted(node.number for node in part.weights))
        softplus = frozenset((frozenset(u.items()), k) for u, k in part.exponent[1])
        key = weights, frozenset(part.exponent[0].items()), softplus
        known = found.get(key)
        number = part.number + (known.number if known is not None else 0)
        found[key] = Part(number, part.weights, part.exponent)
    return tuple(part for part in found.values() if part.number)


__all__ = ["DISTRIBUTED", "SigmoidProducts"]
