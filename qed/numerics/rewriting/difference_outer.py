"""Logarithms of what is near 1, and logarithms that are inverse hyperbolic functions written by hand.

::

    log(a / b) = log1p((a - b) / b)          where (a - b)/b is small; a - b found without cancellation
    log(m + sqrt(m^2 + 1)) = asinh m         log(m + sqrt(m^2 - 1)) = acosh m

The derivative of the first is (a - b)'/a + (1/a - 1/b) b', a difference taken without cancellation again.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_inverses import root_above
from qed.numerics.rewriting.difference_logs import log_of_sinhc
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus, product

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found


def _near(a: Any, b: Any, d: Any) -> Any:
    return jnp.abs(d) < 0.5 * jnp.abs(b)


@jax.custom_jvp
def log_ratio(a: Any, b: Any, d: Any) -> Any:
    """log(a / b) from d = a - b; log|a| - log|b| where the quotient is beyond the range.

    Example:
        >>> import jax.numpy as jnp
        >>> a, b = jnp.float32(1e30), jnp.float32(1e-30)
        >>> print(jnp.log(a / b), f"{log_ratio(a, b, a - b):.6g}")
        inf 138.155
    """
    ratio = a / b
    beyond = (jnp.isinf(ratio) | (ratio < jnp.finfo(ratio.dtype).tiny)) & ((a > 0) == (b > 0))
    beyond &= jnp.isfinite(a) & jnp.isfinite(b) & (a != 0) & (b != 0)
    large, small = (jnp.where(beyond, jnp.abs(part), 1) for part in (a, b))
    apart = jnp.log(jnp.where(beyond, 1, ratio)) + (jnp.log(large) - jnp.log(small))
    return jnp.where(_near(a, b, d), logspace.log1p(d / b), apart).astype(ratio.dtype)


@log_ratio.defjvp
def _log_ratio_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, d = primals
    along_a, along_b, along_d = tangents
    near = _near(a, b, d)
    inverse = 1 / a
    zero = jnp.zeros_like(inverse)
    change = jnp.where(near, -(d / a) / b, -1 / b)
    tangent = jnp.where(near, inverse, zero) * along_d + jnp.where(near, zero, inverse) * along_a + change * along_b
    value = log_ratio(a, b, d)
    return value, jnp.broadcast_to(tangent, jnp.shape(value)).astype(value.dtype)


@jax.custom_jvp
def asinh(x: Any) -> Any:
    """The inverse of sinh."""
    return jnp.arcsinh(x)


@jax.custom_jvp
def acosh(x: Any) -> Any:
    """The inverse of cosh, accurate near 1."""
    t = x - 1
    return jnp.where(t < 1, jnp.log1p(t + jnp.sqrt(t) * jnp.sqrt(x + 1)), jnp.arccosh(x))


asinh.defjvp(lambda primals, tangents: (asinh(*primals), tangents[0] / root_above(primals[0])))
acosh.defjvp(
    lambda primals, tangents: (
        acosh(*primals),
        (tangents[0] / jnp.sqrt(primals[0] - 1)) / jnp.sqrt(primals[0] + 1),
    )
)

LOG_RATIO = Operation("log_ratio", log_ratio, whole=True)
ASINH = Operation("asinh", asinh, whole=True)
ACOSH = Operation("acosh", acosh, whole=True)


def logarithm(difference: Difference, node: Node) -> Found | None:
    """log of a node's only child, or None."""
    child = node.children[0]
    polynomial = difference.terms(child)
    if len(polynomial) == 2:
        found = _inverse(difference, polynomial, child)
        if found is not None:
            return found
    if len(polynomial) == 1:
        found = log_of_sinhc(difference, polynomial) or _ratio(difference, polynomial, child)
        if found is not None:
            return found
    return _near_one(difference, polynomial, child)


def _near_one(difference: Difference, polynomial: Polynomial, child: Node) -> Found | None:
    rest = plus(polynomial, {ONE: Fraction(1)}, -1)
    if not rest or (ONE in polynomial and len(polynomial) == 1):
        return None
    found = difference(rest, child)
    if found is None and len(polynomial) > 1:
        found = difference.sharp(rest, child)
    if found is None:
        return None
    if len(rest) == 1 and ONE in polynomial and child.ghost is None:
        return difference.emit(stable.LOG1P, found[0]), (laws.LOG1P, *found[1])
    one = difference.algebra.number(1.0, child)
    return difference.emit(LOG_RATIO, child, one, found[0]), (laws.LOG1P, *found[1])


def _ratio(difference: Difference, polynomial: Polynomial, child: Node) -> Found | None:
    ((monomial, coefficient),) = polynomial.items()
    powers = dict(monomial)
    if coefficient != 1 or sorted(powers.values()) != [-1, 1]:
        return None
    a, b = (next(difference.node(n) for n, power in powers.items() if power == sign) for sign in (1, -1))
    gap = difference.sharp(difference.minus(a, b), child)
    return None if gap is None else (difference.emit(LOG_RATIO, a, b, gap[0]), (laws.LOG_RATIO, *gap[1]))


def _inverse(difference: Difference, polynomial: Polynomial, child: Node) -> Found | None:
    """log(m + sqrt(m^2 + c))."""
    for monomial, coefficient in polynomial.items():
        g = difference.single(monomial, 1)
        if g is None or g.operation != "sqrt" or coefficient != 1:
            continue
        ((m, a),) = ((m, a) for m, a in polynomial.items() if m != monomial)
        square = plus(difference.deeper(g.children[0]), product({m: a}, {m: a}), -1)
        square = difference.terms.expanded(square) or square
        if list(square) != [ONE] or m == ONE:
            continue
        c = float(square[ONE])
        scale = math.sqrt(abs(c))
        argument = difference.algebra.times(float(a) / scale, difference.monomial(m, child))
        value = difference.emit(ASINH if c > 0 else ACOSH, argument)
        if scale != 1:
            value = difference.emit(stable.ADD, value, difference.algebra.number(math.log(scale), child))
        return value, (laws.ASINH if c > 0 else laws.ACOSH,)
    return None
