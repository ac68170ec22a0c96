"""Pairs in Bose's statistics, (e^(u + v) - 1) / ((e^u - 1)(e^v - 1)), which neither over- nor underflow.

With n(u) = 1/(e^u - 1), B(u) = u n(u) and S(x) = sinh(x)/x,

    n(u) n(v) / n(u + v) = 1 + n(u) + n(v)
    K(u, v) = S((u + v)/2) / (S(u/2) S(v/2)) = (u v / (u + v)) (1 + n(u) + n(v)) = K(-u, -v)

The quotient is as it stands where its parts are moderate. For t the larger of both in size, taken positive,
s the other one, a = |s| and r = s/t::

    K = (B(a) + a (1 + n(t))) / (1 + r)   for s >= 0,        K = (B(a) - a n(t)) / (1 + r)   for s < 0

where 1 + r >= 1/t, as u + v is not small there.

Reference: Landau and Lifshitz, *Statistical Physics, Part 1*, 1980, section 54 (the distribution n).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.bose import bernoulli, bose
from qed.numerics.rewriting.difference_series import remainder
from qed.numerics.rewriting.difference_terms import plus

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

LARGE = 15.0
"""From which argument on the quotient is not formed."""


def bose_pair(w: Any, u: Any, v: Any) -> Any:
    """S(w) / (S(u) S(v)) for w = u + v, S(x) = sinh(x)/x.

    Example:
        >>> import jax.numpy as jnp
        >>> u, v = jnp.float32(150.0), jnp.float32(-1.0)
        >>> print(f"{bose_pair(u + v, u, v):.5f} {bose_pair(-u - v, -u, -v):.5f} {150 / 149 * bernoulli(-2 * v):.5f}")
        0.31514 0.31514 0.31514
    """
    far = (jnp.maximum(jnp.abs(u), jnp.abs(v)) > LARGE) & (jnp.abs(w) > 1)
    first = jnp.abs(u) >= jnp.abs(v)
    larger, other = jnp.where(first, u, v), jnp.where(first, v, u)
    t = 2 * jnp.where(far, jnp.abs(larger), LARGE)
    s = 2 * jnp.where(far, jnp.sign(larger) * other, 1)
    a, rest = jnp.abs(s), bose(t)
    beyond = (bernoulli(a) + jnp.where(s < 0, -a * rest, a * (1 + rest))) / (1 + s / t)
    above, *below = (remainder("sinh", 1)(jnp.where(far, 1, each).astype(u.dtype)) for each in (w, u, v))
    return jnp.where(far, beyond, above / below[0] / below[1]).astype(u.dtype)


BOSE_PAIR = Operation("bose_pair", bose_pair, whole=True)


def paired(difference: Difference, factors: list[tuple[Node, int]]) -> list[tuple[Node, int]]:
    """Factors with their powers, S(u + v) / (S(u) S(v)) among them made one."""
    sines = [each for each in factors if each[0].operation == "remainder" and each[0].params["f"] == "sinh"]
    sines = [each for each in sines if each[0].params["k"] == 1]
    for node in (each for each, power in sines if power == 1):
        total = difference.terms(node.children[0])
        for one, other in combinations([each for each, power in sines if power == -1], 2):
            u, v = one.children[0], other.children[0]
            gap = plus(total, plus(difference.terms(u), difference.terms(v)), -1)
            if u.shape == v.shape and not difference.multiplied(gap):
                left = [(each, power) for each, power in factors if each not in (node, one, other)]
                return [*left, (difference.emit(BOSE_PAIR, node.children[0], u, v), 1)]
    return factors


__all__ = ["BOSE_PAIR", "bose_pair", "paired"]
