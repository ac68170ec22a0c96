"""Ratios of gammas whose arguments are numbers apart, by their powers: Gamma(r + k) / Gamma(r) is nearly r^k.

::

    log Gamma(r + k) - log Gamma(r) = k log|r| + l(r, k),      l(r, k) ~ k (k - 1) / (2 r)

(`difference_gamma_logs`). Of a likelihood with several such ratios, beside logarithms, the k log|r| are large and
cancel, and the l are small: so all logarithms are written as those of factors first, log|a b / c| = log|a| + log|b| -
log|c|, and joined in pairs log|x / y|, taken of x - y where that is known. What is left of such a likelihood are terms
n log(1 + v/n), whose derivative in n is log(1 + v/n) - v/(n + v), about v^2 / (2 n^2).

References: Johnson, Kemp and Kotz, *Univariate Discrete Distributions*, 2005; NIST, *Digital Library of Mathematical
Functions*, 5.11.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_gamma_logs import LGAMMA_LOG
from qed.numerics.rewriting.difference_outer import log_ratio
from qed.numerics.rewriting.difference_series import log_rest
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus, times
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

LAW = Law(
    "lgamma(r + k) - lgamma(r) = k log|r| + l(r, k), l by Stirling's series; sums of logarithms by pairs", "always"
)


@jax.custom_jvp
def log_size_of_ratio(x: Any, y: Any, d: Any) -> Any:
    """log|x / y| from d = x - y."""
    alike = x / y > 0
    a, b, c = (jnp.where(alike, each, other).astype(x.dtype) for each, other in ((x, 1), (y, 1), (d, 0)))
    return jnp.where(alike, log_ratio(a, b, c), jnp.log(jnp.abs(x / y)))


@log_size_of_ratio.defjvp
def _log_size_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, y, d = primals
    along_x, along_y, along_d = tangents
    near = jnp.abs(d) < 0.5 * jnp.abs(y)
    slope = jnp.where(near, along_d - (d / y) * along_y, along_x - (x / y) * along_y) / x
    value = log_size_of_ratio(x, y, d)
    return value, jnp.broadcast_to(slope, value.shape).astype(value.dtype)


@jax.custom_jvp
def log_parallel(a: Any, b: Any, total: Any) -> Any:
    """log|a b / (a + b)| for total = a + b; its derivatives are b/(a + b)/a and a/(a + b)/b."""
    return jnp.log(jnp.abs(a * (b / total)))


@log_parallel.defjvp
def _log_parallel_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, total = primals
    slope = (b / total) / a * tangents[0] + (a / total) / b * tangents[1]
    value = log_parallel(*primals)
    return value, jnp.broadcast_to(slope, value.shape).astype(value.dtype)


@jax.custom_jvp
def many_logs(n: Any, v: Any) -> Any:
    """n log(1 + v/n), with the derivative log(1 + v/n) - v/(n + v) in n.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(f"{jax.grad(many_logs)(jnp.float32(1e5), jnp.float32(2.0)):.5g}")  # v^2 / 2 n^2
        1.9999e-10
    """
    return n * logspace.log1p(v / n)


@many_logs.defjvp
def _many_logs_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    n, v = primals
    whole = 1 + v / n
    in_n = -log_rest(1 / whole, -(v / n) / whole)
    value = many_logs(n, v)
    return value, jnp.broadcast_to(in_n * tangents[0] + tangents[1] / whole, value.shape).astype(value.dtype)


LOG_PARALLEL = Operation("log_parallel", log_parallel, whole=True)
MANY_LOGS = Operation("many_logs", many_logs, whole=True)
LOG_SIZE_OF_RATIO = Operation("log_size_of_ratio", log_size_of_ratio, whole=True)


class _Logarithms:
    """A sum of multiples of log|x|, and a number."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference
        self.weights: dict[int, Fraction] = {}
        self.number = 0.0

    def add(self, node: Node, weight: Fraction) -> None:
        """weight log|node|, of its factors."""
        read = self.difference.terms(node)
        if len(read) != 1:
            read = self.difference.terms.generator(node)
        ((monomial, coefficient),) = read.items()
        self.number += float(weight) * math.log(abs(coefficient))
        for number, power in monomial:
            total = self.weights.get(number, Fraction(0)) + weight * power
            self.weights[number] = total

    def _adds(self, a: int, b: int, total: int) -> bool:
        """Whether the last is the sum of the others."""
        first, second = (self.difference.terms(self.difference.node(number)) for number in (a, b))
        return self.difference.terms(self.difference.node(total)) == plus(first, second)

    def nodes(self, like: Node) -> list[tuple[float, Node]]:
        """The sum as multiples of nodes: ratios of what is near each other, the rest by itself."""
        difference, made = self.difference, []
        left = {number: weight for number, weight in self.weights.items() if weight}
        for a, b, total in permutations(sorted(left), 3):
            weight = left[a]
            if a < b and weight == left[b] == -left[total] and self._adds(a, b, total):
                made.append((float(weight), difference.emit(LOG_PARALLEL, *map(difference.node, (a, b, total)))))
                left[a] = left[b] = left[total] = Fraction(0)
        for number in sorted(left):
            for other in sorted(left):
                if left[number] * left[other] >= 0:  # one is used up, or they do not cancel
                    continue
                x, y = difference.node(number), difference.node(other)
                gap = difference.sharp(difference.minus(x, y), like)
                if gap is None:
                    continue
                size = min(abs(left[number]), abs(left[other]))
                weight = size if left[number] > 0 else -size
                left[number], left[other] = left[number] - weight, left[other] + weight
                made.append((float(weight), difference.emit(LOG_SIZE_OF_RATIO, x, y, gap[0])))
        emit = difference.emit
        made += [(float(w), emit(stable.LOG, emit(stable.ABS, difference.node(n)))) for n, w in left.items() if w]
        return made


def ratios(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """Several c (lgamma(r + k) - lgamma(r)) for numbers k among the terms, and logarithms beside them."""
    if difference.builder.derivative:
        return None
    logs = _Logarithms(difference)
    pairs, rest = _matched(difference, polynomial, logs)
    if not pairs:
        return None
    values: list[tuple[float, Node]] = []
    for c, r, x, k in pairs:
        logs.add(r, c * k)
        number = difference.number(k, like)
        parts = [difference.algebra.filled(each, like.shape) for each in (r, number, x)]
        values.append((float(c), difference.emit(LGAMMA_LOG, *parts)))
    beside = False
    for monomial, coefficient in dict(rest).items():
        node = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        if node is None or not _is_log(node):
            continue
        logs.add(node.children[0], coefficient)
        if node.operation == "log_ratio":
            logs.add(node.children[1], -coefficient)
        rest = {m: c for m, c in rest.items() if m != monomial}
        beside = True
    if len(pairs) < 2 and not beside:
        return None
    values += logs.nodes(like)
    many, rest = _many(difference, rest, like)
    values += many
    if rest:
        better = difference(rest, like) if len(rest) > 1 else None
        values.append((1.0, better[0] if better is not None else difference.plain(rest, like)))
    if logs.number:
        values.append((1.0, difference.algebra.number(logs.number, like)))
    return difference.algebra.total(values, like), (LAW,)


_READ = ("lgamma_difference", "lgamma_of_sum")


def _is_log(node: Node) -> bool:
    if node.operation == "log_ratio":
        return True
    if node.operation != "log":
        return False
    first, *others = node.children
    return not others or (len(others) == 1 and first.operation == "div")


def _many(difference: Difference, rest: Polynomial, like: Node) -> tuple[list[tuple[float, Node]], Polynomial]:
    """The terms n log(1 + v/n), and the others; sums before logarithms are multiplied out for them."""
    read = difference.terms.expanded(rest, 1) or rest
    made: list[tuple[float, Node]] = []
    left = dict(read)
    for monomial, coefficient in read.items():
        for number, power in monomial:
            node = difference.node(number)
            for n, v, sign in _slopes(difference, node) if power == 1 else ():
                count = times(monomial, ((number, -1),))
                if difference.terms(n) != {count: Fraction(1)} or monomial not in left:
                    continue
                made.append((sign * float(coefficient), difference.emit(MANY_LOGS, n, v)))
                del left[monomial]
    return (made, left) if made else ([], rest)


def _slopes(difference: Difference, node: Node) -> list[tuple[Node, Node, float]]:
    """(n, v, sign), where a node is sign log(1 + v/n)."""
    call = node.equation.call if node.equation is not None else None
    if "log1p" in (node.operation, getattr(call, "name", "")):
        read = difference.terms(node.children[0])
        if len(read) != 1:
            return []
        ((monomial, c),) = read.items()
        below = [number for number, power in monomial if power == -1]
        return [
            (difference.node(number), difference.plain({times(monomial, ((number, 1),)): c}, node), 1.0)
            for number in below
        ]
    if node.operation == "log" and len(node.children) == 2 and node.children[0].operation == "div":
        n, whole = node.children[0].children
        rest = difference.minus(whole, n)
        return [(n, difference.plain(rest, node), -1.0)] if len(rest) == 1 else []
    return []


def _matched(
    difference: Difference, polynomial: Polynomial, logs: _Logarithms
) -> tuple[list[tuple[Fraction, Node, Node, Fraction]], Polynomial]:
    """(c, r, x = r + k, k > 0) for all gammas that vary, and the other terms; no pairs where one is left over."""
    gammas: list[tuple[Fraction, Node]] = []
    rest: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        node = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        g = node if node is not None and node.operation in _READ else difference.single(monomial, 1)
        if g is not None and g.operation == "lgamma" and difference.sign.varies(g):
            gammas.append((coefficient, g.children[0]))
        elif g is not None and g.operation == "lgamma_difference" and difference.sign.varies(g):
            gammas += [(coefficient, g.children[0]), (-coefficient, g.children[1])]
        elif g is not None and g.operation == "lgamma_of_sum":
            gammas += [(c * coefficient, child) for c, child in zip((1, -1, -1), g.children, strict=False)]
        else:
            rest = plus(rest, {monomial: coefficient})
    for c, x in gammas:
        number = constant_of(x)
        logs.number += float(c) * math.lgamma(number) if number is not None and number > 0 else 0.0
    gammas = [(c, x) for c, x in gammas if (constant_of(x) or 0) <= 0]
    pairs: list[tuple[Fraction, Node, Node, Fraction]] = []
    while gammas:
        c, x = gammas.pop(0)
        for k, (other, y) in enumerate(gammas):
            gap = difference.minus(x, y)
            if other != -c or set(gap) != {ONE}:
                continue
            number = gap[ONE]
            pairs.append((c, y, x, number) if number > 0 else (-c, x, y, -number))
            del gammas[k]
            break
        else:
            return [], polynomial
    return pairs, rest


__all__ = ["LOG_SIZE_OF_RATIO", "log_size_of_ratio", "ratios"]
