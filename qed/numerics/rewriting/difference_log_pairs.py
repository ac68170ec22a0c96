"""a log(1 + u) + c log(1 - u) with weights that hardly differ: their first order terms cancel.

::

    a log(1 + u) + c log(1 - u) = (a - c) atanh(u) + (a + c)/2 log(1 - u^2)

The growth of a stake u that is won with probability p is p log(1 + u) + (1 - p) log(1 - u): near p = 1/2 two terms of
size u leave one of size u^2. a - c = 2 p - 1 and a + c = 1 are found as any difference is. Where |u| is above 1/2 the
sum is formed as it stands. The derivative in u is ((a - c) - (a + c) u)/(1 - u^2).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus, times
from qed.numerics.rewriting.laws import Law

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

PAIR = Law("a log(1 + u) + c log(1 - u) = (a - c) atanh(u) + (a + c)/2 log(1 - u**2)", "|u| < 1")


@jax.custom_jvp
def pair_of_logs(a: Any, c: Any, d: Any, s: Any, u: Any) -> Any:
    """a log(1 + u) + c log(1 - u), given d = a - c and s = a + c.

    Example:
        >>> print(f"{pair_of_logs(0.5, 0.5, 0.0, 1.0, 0.25):.6f}")
        -0.032269
    """
    near = jnp.abs(u) < 0.5
    v = jnp.where(near, u, 0).astype(jnp.result_type(u))
    beside = d * jnp.arctanh(v) + 0.5 * s * jnp.log1p(-v * v)
    return jnp.where(near, beside, a * jnp.log1p(u) + c * jnp.log1p(-u)).astype(jnp.result_type(u))


@pair_of_logs.defjvp
def _slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, c, d, s, u = primals
    *_, dd, ds, du = tangents
    above, below = jnp.log1p(u), jnp.log1p(-u)
    near = jnp.abs(u) < 0.5
    tilt = jnp.where(near, jnp.arctanh(jnp.where(near, u, 0)), 0.5 * above - 0.5 * below)
    square = jnp.where(near, jnp.log1p(-u * u), above + below)
    slope = jnp.where(near, (d - s * u) / (1 - u * u), a / (1 + u) - c / (1 - u))
    value = pair_of_logs(a, c, d, s, u)
    return value, (tilt * dd + 0.5 * square * ds + slope * du).astype(value.dtype)


PAIR_OF_LOGS = Operation("pair_of_logs", pair_of_logs, whole=True)


def weighted_pair(difference: Difference, polynomial: Polynomial, like: Node) -> Found | None:
    """a log(1 + u) + c log(1 - u), neither of the weights a number."""
    if len(polynomial) != 2 or difference.builder.derivative:
        return None
    (first, x), (second, y) = polynomial.items()
    for number, u in _logs(difference, first):
        for other, v in _logs(difference, second):
            if plus(u, v) or not u:
                continue
            a = {times(first, ((number, -1),)): x}
            c = {times(second, ((other, -1),)): y}
            if ONE in a or ONE in c:
                continue
            found = _weighted(difference, a, c, u, like)
            if found is not None:
                return found
    return None


def _weighted(difference: Difference, a: Polynomial, c: Polynomial, u: Polynomial, like: Node) -> Found | None:
    weights = [difference.terms.expanded(each) or each for each in (a, c)]
    found = []
    for sign in (-1, 1):
        total = plus(weights[0], weights[1], sign)
        sharp = difference.sharp(total, like) if total else (difference.number(Fraction(0), like), ())
        if sharp is None:
            return None
        found.append(sharp)
    nodes = [difference.plain(each, like) for each in (a, c)]
    (d, _), (s, _) = found
    value = difference.emit(PAIR_OF_LOGS, *nodes, d, s, difference.plain(u, like))
    return value, (PAIR, *(law for _, used in found for law in used))


def _logs(difference: Difference, monomial: Monomial) -> list[tuple[int, Polynomial]]:
    """(generator, u) for each log(1 + u) among the factors of a monomial."""
    found = []
    for number, power in monomial:
        g = difference.node(number)
        if power == 1 and g.operation in ("log", "log1p") and len(g.children) == 1:
            inner = difference.terms(g.children[0])
            found.append((number, inner if g.operation == "log1p" else plus(inner, {ONE: Fraction(1)}, -1)))
    return found


__all__ = ["PAIR", "PAIR_OF_LOGS", "pair_of_logs", "weighted_pair"]
