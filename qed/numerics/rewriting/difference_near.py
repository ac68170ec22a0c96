"""m x - n f(x) for an f that is x near 0 up to a rest of third order: Kepler's equation and its like.

::

    m x - n sin x = (m - n) x + n (x - sin x)        |x| < 1;    as it stands elsewhere

Where n is near m, the left side loses the digits that m - n keeps, and those of x - sin x, the rest of a Taylor series.
Near 0 both terms on the right are smaller than those on the left. The derivative in x is (m - n) + n (1 - cos x).

Reference: Murray and Dermott, *Solar System Dynamics*, 1999, section 2.4.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_reading import Reading
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_series import SERIES, rest
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, power_of, times
from qed.numerics.rewriting.laws import Law

LINEAR_AND_REST = Law("m a + n f(a) = (m + n) a + n (f(a) - a), f(a) - a by its series", "|a| < 1; elsewhere as it is")

LIKE_X = frozenset("sin sinh tan tanh atan atanh asin asinh".split())
RADIUS = {"tan": 0.8, "tanh": 0.8, "atan": 0.6, "atanh": 0.6, "asin": 0.6, "asinh": 0.6}


@cache
def near_linear(name: str) -> Any:
    """(x, m, n, s) -> m x + n f(x) for s = m + n, with its derivative.

    Example:
        >>> import jax.numpy as jnp
        >>> x, e = jnp.float32(0.01), jnp.float32(0.9999)
        >>> print(f"{near_linear('sin')(x, 1.0, -e, 1 - e):.5g}")
        1.1668e-06
    """
    function, limit = SERIES[name].function, RADIUS.get(name, 1.0)
    beyond = rest(name, 3)

    def split(x: Any) -> tuple[Any, Any, Any]:
        near = jnp.abs(x) < limit
        return near, jnp.where(near, x, 0).astype(x.dtype), jnp.where(near, limit / 2, x).astype(x.dtype)

    @jax.custom_jvp
    def value_of(x: Any, m: Any, n: Any, s: Any) -> Any:
        near, small, large = split(x)
        return jnp.where(near, s * small + n * beyond(small), m * large + n * function(large))

    @value_of.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, m, n, s = primals
        along_x, along_m, along_n, along_s = tangents
        near, small, large = split(x)
        curve, steep = jax.jvp(beyond, (small,), (jnp.ones_like(small),))
        value, slope = jax.jvp(function, (large,), (jnp.ones_like(large),))
        in_x = jnp.where(near, s + n * steep, m + n * slope)
        in_n = jnp.where(near, curve, value)
        zero = jnp.zeros_like(x)
        tangent = in_x * along_x + jnp.where(near, zero, large) * along_m + in_n * along_n
        tangent = tangent + jnp.where(near, small, zero) * along_s
        total = value_of(x, m, n, s)
        return total, jnp.broadcast_to(tangent, jnp.shape(total)).astype(total.dtype)

    return value_of


NEAR_LINEAR = Operation("near_linear", lambda x, m, n, s, f: near_linear(f)(x, m, n, s), whole=True)


def linear_and_rest(difference: Reading, polynomial: Polynomial, like: Node) -> Found | None:
    """m x + n f(x), where m + n is sharp and no number."""
    if len(polynomial) != 2 or difference.builder.derivative:
        return None
    for monomial, d in polynomial.items():
        ((other, c),) = ((m, c) for m, c in polynomial.items() if m != monomial)
        for number, power in monomial:
            g = difference.node(number)
            if power != 1 or g.operation not in LIKE_X:
                continue
            x = difference.terms(g.children[0])
            if len(x) != 1 or ONE in x:
                continue
            ((inner, a),) = x.items()
            if a != 1 or any(dict(other).get(each, 0) < p for each, p in inner):
                continue
            m: Polynomial = {times(other, power_of(inner, -1)): c}
            n: Polynomial = {times(monomial, ((number, -1),)): d}
            return _emitted(difference, g, m, n, like)
    return None


def _emitted(difference: Reading, g: Node, m: Polynomial, n: Polynomial, like: Node) -> Found | None:
    total = _sum(m, n)
    if any(power < 0 for monomial in (*m, *n) for _, power in monomial) or len(total) != 2:
        return None
    found = difference.sharp(total, like)
    if found is None:
        return None
    parts = [difference.plain(m, like), difference.plain(n, like), found[0]]
    x, *others = (difference.algebra.filled(each, like.shape) for each in (g.children[0], *parts))
    return difference.emit(NEAR_LINEAR, x, *others, f=g.operation), (LINEAR_AND_REST, *found[1])


def _sum(m: Polynomial, n: Polynomial) -> dict[Monomial, Fraction]:
    found = dict(m)
    for monomial, c in n.items():
        found[monomial] = found.get(monomial, Fraction(0)) + c
    return {monomial: c for monomial, c in found.items() if c}
