r"""Fractions of two rests of one series, (f - T_j)/(f - T_k) for j >= k, of exp, cosh, sinh, sin or cos.

    Q(v) = (f(v) - T_j(v)) / (f(v) - T_k(v)) = v^(j-k) R_j f(v) / R_k f(v)          (near 0)
         = 1 - (T_j(v) - T_k(v)) / (f(v) - T_k(v))                                  (elsewhere)

with the rests R of `difference_series`. v/(e^v - 1) - 1 is -Q for f = exp, j = 2, k = 1. Both parts, and v^j, overflow
long before v does, and inf/inf is no number; in the second form what grows is divided by e^|v|, and the derivative of
what is small there is not the difference of two large numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_series import SERIES, remainder
from qed.numerics.rewriting.difference_terms import Monomial, power_of, times

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

ENTIRE = ("exp", "cosh", "sinh", "sin", "cos")
NEAR = 3.0
"""Up to which |v| the series are divided."""


@cache
def fraction(f: str, j: int, k: int) -> Any:
    """(f(v) - T_j(v)) / (f(v) - T_k(v)) as a function of v.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> q = fraction("exp", 2, 1)  # 1 - v/(e^v - 1)
        >>> print(f"{q(jnp.float32(1e-4)):.6g} {q(jnp.float32(300.0)):.6g} {jax.grad(q)(jnp.float32(50.0)):.6g}")
        4.99992e-05 1 9.45087e-21
    """

    def value(v: Any) -> Any:
        near = jnp.abs(v) <= NEAR
        small = jnp.where(near, v, 0).astype(v.dtype)
        large = jnp.where(near, NEAR, v).astype(v.dtype)
        inside = jax.lax.integer_pow(small, j - k) * remainder(f, j)(small) / remainder(f, k)(small)
        return jnp.where(near, inside, 1 - _polynomial(f, k, j, large) * _reciprocal(f, k, large))

    value.__name__ = value.__qualname__ = f"{f}_fraction"
    return value


def _polynomial(f: str, first: int, end: int, v: Any) -> Any:
    """The terms of the series from one power of v to before another."""
    total = jnp.zeros_like(v)
    for coefficient in reversed(SERIES[f].coefficients(end)[first:]):
        total = total * v + float(coefficient)
    return total * jax.lax.integer_pow(v, first) if first else total


def _reciprocal(f: str, k: int, v: Any) -> Any:
    """1 / (f(v) - T_k(v)) away from 0."""
    if f in ("sin", "cos"):
        return 1 / (SERIES[f].function(v) - _polynomial(f, 0, k, v))
    if f != "exp":
        return _grown(f, k, v)
    falls = v < 0
    fallen = jnp.where(falls, v, -NEAR).astype(v.dtype)
    below = 1 / (jnp.exp(fallen) - _polynomial(f, 0, k, fallen))
    return jnp.where(falls, below, _grown(f, k, jnp.where(falls, NEAR, v).astype(v.dtype)))


def _grown(f: str, k: int, v: Any) -> Any:
    """The same where f grows: e^-|v| over e^-|v| (f(v) - T_k(v)); 0 from where the exponential is."""
    far = -1.2 * math.log(float(jnp.finfo(v.dtype).smallest_subnormal))
    v = jnp.clip(v, -far, far).astype(v.dtype)
    small = jnp.exp(-jnp.abs(v))
    squared = small * small
    whole = {"exp": 1.0, "cosh": 0.5 + 0.5 * squared, "sinh": jnp.sign(v) * (0.5 - 0.5 * squared)}[f]
    return small / (whole - _polynomial(f, 0, k, v) * small)


FRACTION = Operation("fraction_of_rests", lambda v, f, j, k: fraction(f, j, k)(v), whole=True)


def fractions(
    difference: Difference, coefficient: Fraction, monomial: Monomial, rests: Sequence[tuple[Node, int]]
) -> tuple[Fraction, Monomial, tuple[tuple[Node, int], ...]]:
    """A product c m prod R^p in which rests of one function of one argument that stand above and below are fractions.

    Args:
        difference: the recursion.
        coefficient: c.
        monomial: m.
        rests: R and p.
    """
    left = [power for _, power in rests]
    made: list[tuple[Node, int]] = []
    for a, (above, _) in enumerate(rests):
        for b, (below, _) in enumerate(rests):
            if not left[a] > 0 > left[b] or not _one_series(above, below):
                continue
            count, v = min(left[a], -left[b]), above.children[0]
            left[a], left[b] = left[a] - count, left[b] + count
            j, k = above.params["k"], below.params["k"]
            ((u, c),) = difference.terms(v).items()
            coefficient, monomial = coefficient * c ** (count * (k - j)), times(monomial, power_of(u, count * (k - j)))
            made.append((difference.emit(FRACTION, v, f=_name(below), j=j, k=k), count))
    kept = [(node, power) for (node, _), power in zip(rests, left, strict=True) if power]
    return coefficient, monomial, (*kept, *made)


def _name(rest: Node) -> str:
    """The function of a rest; R_k expm1 = R_k exp for k >= 1."""
    return "exp" if rest.params["f"] == "expm1" else rest.params["f"]


def _one_series(above: Node, below: Node) -> bool:
    """Whether two rests are of one entire function of one argument, the first of no lower an order."""
    if not above.operation == below.operation == "remainder" or above.children[0] is not below.children[0]:
        return False
    return _name(above) == _name(below) in ENTIRE and above.params["k"] >= below.params["k"] >= 1


__all__ = ["FRACTION", "fraction", "fractions"]
