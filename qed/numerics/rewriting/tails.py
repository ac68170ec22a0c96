"""Densities over tails, exp(-z^2) / erfc(z), the inverse Mills ratio; and tails times what grows, exp(e) erfc(z).

Numerator and denominator vanish together beyond z = 5 (float32) or 26 (float64), and exp(-z^2) and erfc(z) round the
exponent z^2 by themselves. Laplace's continued fraction has no exponent::

    m(z) = exp(-z^2) / erfc(z) = sqrt(pi) (z + r(z)),    r(z) = (1/2)/(z + 1/(z + (3/2)/(z + ...))),    z > 0
    m'(z) = 2 m(z) (m(z)/sqrt(pi) - z) = 2 m(z) r(z)

In the derivative, z cancels: it is r that is wanted. Up to `FAR` the quotient stays as it is, where nothing vanishes,
with the exponent that was written: that of the rounded z would be another by z^2 units of the last place.

The same fraction gives what grows times a tail, where one overflows and the other vanishes::

    exp(e) erfc(z) = exp(e - z^2) / m(z),        z > 0,        also written erfc(z) / exp(-e)

with e - z^2 as a polynomial, so that what is common to both is never formed: the exponentially modified Gaussian.

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 7.1.14; Gautschi, *Computational aspects of
three-term recurrence relations*, SIAM Review 9, 1967, for the convergence.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Polynomial, plus, product, times
from qed.numerics.rewriting.laws import Law

MILLS = Law("exp(-a**2) / erfc(a) = sqrt(pi) (a + (1/2)/(a + 1/(a + ...)))", "a > 0; elsewhere as it is")

GROWN = Law("exp(b) erfc(a) = exp(b - a**2) / (sqrt(pi) (a + (1/2)/(a + 1/(a + ...))))", "a > 0; elsewhere as it is")

FAR = {True: 1.2, False: 0.6}
"""Beyond which the fraction has converged to the digits of float64, and to those of shorter formats."""
TERMS = 120
ROOT_PI = math.sqrt(math.pi)
SMALLEST = Fraction(1, 2**20)
"""A coefficient below it is the rounding of a constant: of 1/sqrt(2), say."""


def _rest(z: Any) -> Any:
    """r(z), for z > FAR."""
    found = z
    for k in range(TERMS, 1, -1):
        found = z + (k / 2) / found
    return 0.5 / found


def _split(z: Any) -> tuple[Any, Any, Any]:
    limit = FAR[z.dtype == jnp.float64]
    far = z > limit
    return far, jnp.where(far, z, limit).astype(z.dtype), jnp.where(far, limit, z).astype(z.dtype)


@jax.custom_jvp
def inverse_mills(z: Any, e: Any) -> Any:
    """exp(e) / erfc(z) for e = -z^2, of which the derivative is taken in z alone.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> z = jnp.float32(30.0)
        >>> print(f"{inverse_mills(z, -z * z):.6g}", jnp.exp(-z * z) / jax.scipy.special.erfc(z))  # 30.0166 sqrt(pi)
        53.2031 nan
    """
    far, large, small = _split(z)
    above = jnp.exp(jnp.where(far, 0, e).astype(z.dtype))
    return jnp.where(far, ROOT_PI * (large + _rest(large)), above / jax.lax.erfc(small)).astype(z.dtype)


@inverse_mills.defjvp
def _inverse_mills_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (z, e), (along, _) = primals, tangents
    value = inverse_mills(z, e)
    far, large, _ = _split(z)
    gap = jnp.where(far, _rest(large), value / ROOT_PI - z)
    return value, 2 * value * gap.astype(value.dtype) * along


@jax.custom_jvp
def inverse_mills_beside(z: Any, e: Any, rest: Any) -> Any:
    """exp(e) / erfc(z) for e = rest - z^2, of which the derivative is taken in z and the rest: z is a rounded multiple.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.float32(-5.0)  # the exponent is exact, the square of z is not
        >>> print(f"{inverse_mills_beside(x * jnp.float32(0.5**0.5), -x * x / 2, jnp.float32(0.0)):.7g}")
        1.863327e-06
    """
    far, large, small = _split(z)
    above = jnp.exp(jnp.where(far, 0, e).astype(z.dtype))
    beyond = ROOT_PI * (large + _rest(large)) * jnp.exp(jnp.where(far, rest, 0).astype(z.dtype))
    return jnp.where(far, beyond, above / jax.lax.erfc(small)).astype(z.dtype)


@inverse_mills_beside.defjvp
def _inverse_mills_beside_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    z, _, rest = primals
    value = inverse_mills_beside(*primals)
    far, large, _ = _split(z)
    gap = jnp.where(far, _rest(large), value * jnp.exp(-rest) / ROOT_PI - z)
    return value, 2 * value * gap.astype(value.dtype) * tangents[0] + value * tangents[2]


INVERSE_MILLS = Operation("inverse_mills", inverse_mills, whole=True)
INVERSE_MILLS_BESIDE = Operation("inverse_mills_beside", inverse_mills_beside, whole=True)


@jax.custom_jvp
def grown_tail(z: Any, e: Any, rest: Any) -> Any:
    """exp(e) erfc(z) for rest = e - z^2.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.float32(12.0)
        >>> print(f"{grown_tail(z, z * z, jnp.float32(0)):.6g}", jnp.exp(z * z) * jax.scipy.special.erfc(z))
        0.0468542 nan
    """
    far, large, small = _split(z)
    near = jnp.exp(jnp.where(far, 0, e).astype(z.dtype)) * jax.lax.erfc(small)
    return jnp.where(far, jnp.exp(jnp.where(far, rest, 0)) / (ROOT_PI * (large + _rest(large))), near).astype(z.dtype)


@grown_tail.defjvp
def _grown_tail_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    z, e, rest = primals
    value = grown_tail(z, e, rest)
    far, large, small = _split(z)
    density = jnp.exp(jnp.where(far, 0, e - small * small).astype(z.dtype)) * (2 / ROOT_PI)
    in_z = jnp.where(far, -2 * value * _rest(large), -density)
    none = jnp.zeros_like(value)
    tangent = in_z * tangents[0] + jnp.where(far, none, value) * tangents[1] + jnp.where(far, value, none) * tangents[2]
    return value, tangent.astype(value.dtype)


GROWN_TAIL = Operation("grown_tail", grown_tail, whole=True)


def grown(difference: Difference, node: Node) -> Found | None:
    """c exp(e) erfc(z) or c erfc(z) / exp(-e), other factors as they are, where e - z^2 has no more terms than e."""
    polynomial = difference.terms(node)
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    powers = {number: power for number, power in monomial if abs(power) == 1}
    factors = {number: difference.known(difference.node(number)) for number in powers}
    growth = [number for number, factor in factors.items() if factor.operation == "exp"]
    tails = [number for number, factor in factors.items() if factor.operation == "erfc" and powers[number] == 1]
    if len(growth) != 1 or len(tails) != 1:
        return None
    power = powers[growth[0]]
    z, e = factors[tails[0]].children[0], factors[growth[0]].children[0]
    e = e if power == 1 else difference.algebra.negative(e)
    read, written = difference.terms(z), difference.terms(e)
    if z.shape != node.shape or not read or not any(c > 0 for c in written.values()):
        return None
    written = difference.terms.expanded(written) or written
    square = difference.terms.expanded(product(read, read)) or product(read, read)
    rest = plus(written, _without_roots(difference, square), -1)
    if sum(abs(c) > SMALLEST for c in rest.values()) > max(1, len(written)):
        return None
    parts = (difference.algebra.filled(each, node.shape) for each in (e, difference.plain(rest, z)))
    value = difference.emit(GROWN_TAIL, z, *parts)
    others = times(times(monomial, ((growth[0], -power),)), ((tails[0], -1),))
    found = difference.by((value, (GROWN,)), others, node)
    return difference.algebra.times(float(coefficient), found[0]), found[1]


def mills(difference: Difference, node: Node) -> Found | None:
    """c exp(-z^2) / erfc(z), other factors left as they are."""
    polynomial = difference.terms(node)
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    powers = {number: power for number, power in monomial if abs(power) == 1}
    above = [n for n, power in powers.items() if power == 1 and difference.node(n).operation == "exp"]
    below = [n for n, power in powers.items() if power == -1 and difference.node(n).operation == "erfc"]
    if len(above) != 1 or len(below) != 1:
        return None
    z, exponent = difference.node(below[0]).children[0], difference.node(above[0]).children[0]
    square = difference.terms(z)
    if len(square) != 1 or ONE in square or z.shape != node.shape:
        return None
    rest = plus(difference.terms(exponent), _without_roots(difference, product(square, square)))
    if any(abs(c) > SMALLEST or m == ONE for m, c in rest.items()):
        return None
    exponent = difference.algebra.filled(exponent, z.shape)
    if rest:
        value = difference.emit(INVERSE_MILLS_BESIDE, z, exponent, difference.plain(rest, z))
    else:
        value = difference.emit(INVERSE_MILLS, z, exponent)
    others = times(times(monomial, ((above[0], -1),)), ((below[0], 1),))
    found = difference.by((value, (MILLS,)), others, node)
    return difference.algebra.times(float(coefficient), found[0]), found[1]


def _without_roots(difference: Difference, polynomial: Polynomial) -> Polynomial:
    """The polynomial with even powers of square roots of numbers written as numbers."""
    result: Polynomial = {}
    for monomial, coefficient in polynomial.items():
        kept = []
        for number, power in monomial:
            node = difference.node(number)
            inner = difference.terms(node.children[0]) if node.operation == "sqrt" and power % 2 == 0 else {}
            if list(inner) == [ONE]:
                coefficient *= inner[ONE] ** (power // 2)
            else:
                kept.append((number, power))
        result = plus(result, {tuple(kept): coefficient})
    return result
