"""Relative entropies: a sum of a log(a / b) in which the a and the b have the same sum.

::

    sum a_i log(a_i / b_i) = sum (a_i log(a_i / b_i) - a_i + b_i)     where sum a_i = sum b_i

Near a = b the terms on the left cancel: each is of the size of a - b, their sum of its square. Each term on the right
is >= 0 for positive a and b, so nothing cancels between them, and each is found with all its digits from d = a - b::

    a log(a / b) - a + b = b psi(d / b),    psi(t) = (1 + t) log(1 + t) - t = t^2/2 - t^3/6 + ...

Its derivatives are log(a / b) and -d / b. The Kullback-Leibler divergence of two coins is such a sum: p + (1 - p) =
q + (1 - q).

Reference: Csiszar, *Why least squares and maximum entropy?*, Annals of Statistics 19, 1991 (the terms as a distance).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_outer import log_ratio
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_series import log_rest
from qed.numerics.rewriting.difference_terms import Monomial, Polynomial, Terms, plus, times
from qed.numerics.rewriting.entropy import relative_entropy
from qed.numerics.rewriting.laws import Law

ENTROPY = Law(
    "sum(a log(a / b)) - sum(a) + sum(b) = sum(b psi((a - b) / b)), psi(t) = (1 + t) log(1 + t) - t",
    "a / b > 0, as for the original",
)


@jax.custom_jvp
def log_ratio_times(a: Any, b: Any, d: Any) -> Any:
    """a log(a / b) from d = a - b, with the derivative (log(a/b) - d/b) a' + (a/b) d' near a = b.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> a, d = jnp.float32(1e4), jnp.float32(-3.0)
        >>> print(f"{jax.grad(lambda a: log_ratio_times(a, a - d, d))(a):.5g}")  # -(d/a)^2 / 2
        -4.4982e-08
    """
    return a * log_ratio(a, b, d)


@log_ratio_times.defjvp
def _log_ratio_times_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, d = primals
    along_a, along_b, along_d = tangents
    near = jnp.abs(d) < 0.5 * jnp.abs(b)
    over = jnp.where(near, d, 0) / jnp.where(near, b, 1)
    rest, far = log_rest(1 + over, over), jnp.where(near, 0, log_ratio(a, b, d) + 1)
    ratio, zero = a / b, jnp.zeros_like(d)
    tangent = jnp.where(near, rest, far) * along_a + jnp.where(near, ratio, zero) * along_d
    value = log_ratio_times(a, b, d)
    tangent = tangent - jnp.where(near, zero, ratio) * along_b
    return value, jnp.broadcast_to(tangent, jnp.shape(value)).astype(value.dtype)


LOG_RATIO_TIMES = Operation("log_ratio_times", log_ratio_times, whole=True)
LOG_RATIO_LAW = Law("a log(a / b), its derivative from a - b", "a / b > 0, as for the original")


def ratio_times(difference: Difference, node: Node) -> Found | None:
    """a log(a / b), where the logarithm is taken from a - b."""
    for a, log in (node.children, node.children[::-1]):
        if log.operation == "log_ratio" and log.children[0] is a and a.shape == node.shape:
            return difference.emit(LOG_RATIO_TIMES, a, *log.children[1:]), (LOG_RATIO_LAW,)
    return None


RELATIVE_ENTROPY = Operation("relative_entropy", relative_entropy, whole=True)


def divergence(difference: Difference, node: Node) -> Found | None:
    """A sum of c a log(a / b) and of multiples of the a and the b, that is sum c (a log(a / b) - a + b).

    Sums over the same axes count as the sum of what is summed.
    """
    for read in (difference.terms, difference.deep):
        polynomial = read(node)
        if len(polynomial) < 2:
            continue
        found = _entropies(difference, polynomial, node) or _of_sums(difference, polynomial, read)
        if found is not None:
            return found
    return None


def _of_sums(difference: Difference, polynomial: Polynomial, read: Terms) -> Found | None:
    inner: Polynomial = {}
    sums = [difference.node(m[0][0]) if len(m) == 1 and m[0][1] == 1 else None for m in polynomial]
    first = sums[0]
    if first is None or first.operation != "reduce_sum":
        return None
    child = first.children[0]
    for each, coefficient in zip(sums, polynomial.values(), strict=True):
        if each is None or each.operation != "reduce_sum" or each.params["axes"] != first.params["axes"]:
            return None
        if each.children[0].shape != child.shape or each.children[0].dtype != child.dtype:
            return None
        inner = plus(inner, read(each.children[0]), coefficient)
    found = _entropies(difference, inner, child) if len(inner) > 1 else None
    if found is None:
        return None
    filled = difference.algebra.filled(found[0], child.shape)
    return difference.emit(stable.SUM, filled, axes=first.params["axes"], shape=first.shape), found[1]


def _entropies(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    parts: list[tuple[Node, Node, Fraction]] = []
    total: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        pair = _logarithm(difference, monomial, like)
        if pair is None:
            total = plus(total, {monomial: coefficient})
            continue
        a, b, sign = pair
        parts.append((a, b, coefficient * sign))
        total = plus(total, plus(difference.terms(a), difference.terms(b), -1), coefficient * sign)
    if not parts or difference.multiplied(total) or len({weight > 0 for _, _, weight in parts}) != 1:
        return None
    value: Node | None = None
    used: tuple[Law, ...] = (ENTROPY,)
    for a, b, weight in parts:
        gap = difference.sharp(difference.minus(a, b), a)
        if gap is None:
            return None
        shape = like.shape if a.shape != b.shape else a.shape
        of = [difference.algebra.filled(each, shape) for each in (a, b, gap[0])]
        term = difference.algebra.times(float(weight), difference.emit(RELATIVE_ENTROPY, *of))
        used += gap[1]
        value = term if value is None else difference.emit(stable.ADD, value, term)
    assert value is not None
    return value, used


def _logarithm(difference: Difference, monomial: Monomial, like: Node) -> tuple[Node, Node, int] | None:
    """a, b and 1 where a monomial is a log(a / b); -1 where it is a log(b / a); b is 1 in a log(a)."""
    for number, power in monomial:
        ratio = _ratio(difference, difference.node(number)) if power == 1 else None
        if ratio is None:
            continue
        rest: Polynomial = {times(monomial, ((number, -1),)): Fraction(1)}
        for a, b, sign in ((*ratio, 1), (*ratio[::-1], -1)):
            if difference.terms.generator(a) == rest or difference.terms(a) == rest:
                return a, b, sign
    return None


def _ratio(difference: Difference, node: Node) -> tuple[Node, Node] | None:
    """a and b, where a node is log(a / b) or log(a) - log(b); a and 1, where it is log(a)."""
    if node.operation in ("log_ratio", "log_difference"):
        return node.children[0], node.children[1]
    inner = node.children[0] if node.operation == "log" and node.equation is not None else None
    if inner is None:
        return None
    if inner.operation != "div" or any(child.shape != node.shape for child in inner.children):
        return (inner, difference.algebra.number(1.0, inner)) if difference.exact(inner) else None
    return inner.children[0], inner.children[1]
