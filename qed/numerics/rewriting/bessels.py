"""I_1(k) / I_0(k), the mean resultant length A(k) of von Mises and Fisher, with 1 - A and with its derivative.

The derivative is 1 - A/k - A^2, of which 1/(2 k^2) is left for a large k; the quotient's own, which JAX forms of the
scaled Bessel functions, cancels as much. In power series of t = k^2/4, with c_m = (2m)! / m!^4::

    I_0(k)^2 = sum_m c_m t^m        I_0 I_1 / k = sum_m (2 m + 1) c_m t^m / (2 (m + 1)^2)
    I_0^2 - I_0 I_1 / k - I_1^2 = sum_m c_m t^m / (2 (m + 1)^2)

every term is positive, and their quotients are A(k)/k and A'(k). Beyond `FAR` the equation A' = 1 - A/k - A^2 gives
the coefficients of A = sum_j a_j k^-j one by one, a_0 = 1 and then all negative: neither A' nor 1 - A cancels. Below::

    1 - A = (A' + A/k) / (1 + A)

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 9.6.10, 9.6.26 and 9.7.1; Mardia and Jupp,
*Directional Statistics*, 2000, appendix 1; Watson, *Theory of Bessel Functions*, 1944, 5.41, for products of series.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference

RATIO_OF_BESSELS = Law("I_1(a) / I_0(a), its derivative as a quotient of sums of positive terms", "always")
BESIDE_RATIO = Law("1 - I_1(a) / I_0(a) = (A' + A/a) / (1 + A) for A = I_1(a) / I_0(a)", "always")
SLOPE_OF_RATIO = Law("1 - A**2 - A/a = A' for A = I_1(a) / I_0(a)", "a != 0, as for the original")

FAR = {True: 24.0, False: 12.0}
"""From where the expansion in 1/k has the digits of float64, and those of shorter formats."""
UNIT = {True: 32, False: 16}
"""A power of 2 above FAR."""
NEAR_TERMS, FAR_TERMS = {True: 85, False: 45}, {True: 45, False: 23}


@cache
def _series(terms: int, unit: int) -> tuple[list[float], list[float], list[float]]:
    """c_m, c_m / (2 (m + 1)^2), and (2 m + 1) times that: I_0^2, what A' is above it, and I_0 I_1 / k.

    As series of (k / unit)^2, which is below 1: a high power of t leaves the range of float32.
    """
    squares = [Fraction(factorial(2 * m), factorial(m) ** 4) * Fraction(unit, 2) ** (2 * m) for m in range(terms)]
    above = [c / (2 * (m + 1) ** 2) for m, c in enumerate(squares)]
    mixed = [(2 * m + 1) * c for m, c in enumerate(above)]
    return [float(c) for c in squares], [float(c) for c in above], [float(c) for c in mixed]


@cache
def _expansion(terms: int) -> list[float]:
    """-a_j for j = 1, 2, ...

    Example:
        >>> _expansion(5)
        [0.5, 0.125, 0.125, 0.1953125, 0.40625]
    """
    a = [Fraction(1)]
    for n in range(1, terms + 1):
        inner = sum((a[i] * a[n - i] for i in range(1, n)), Fraction(0))
        a.append(((n - 2) * a[n - 1] - inner) / 2)
    return [-float(each) for each in a[1:]]


def _sum(coefficients: list[float], x: Any) -> Any:
    """Horner's scheme in x^2, for even and odd powers by themselves: half as many roundings in a row."""
    square, parts = x * x, []
    for chosen in (coefficients[0::2], coefficients[1::2]):
        total = jnp.full_like(x, chosen[-1])
        for c in chosen[-2::-1]:
            total = total * square + jnp.asarray(c, x.dtype)
        parts.append(total)
    return parts[0] + x * parts[1]


def _parts(k: Any) -> tuple[bool, Any, Any, Any]:
    """Whether the numbers are long, which are far, 1/k of those, and |k| of the others."""
    long, size = k.dtype == jnp.float64, jnp.abs(k)
    far = size > FAR[long]
    return long, far, 1 / jnp.where(far, size, FAR[long]), jnp.where(far, 1, size)


def _wide(k: Any) -> Any:
    return k.astype(jnp.promote_types(k.dtype, jnp.float32))


def slope(k: Any) -> Any:
    """A'(k).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{slope(jnp.float32(1000.0)):.5g}")
        5.0025e-07
    """
    long, far, u, near = _parts(_wide(k))
    squares, above, _ = _series(NEAR_TERMS[long], UNIT[long])
    t = (near / UNIT[long]) ** 2
    beyond = u * u * _sum([(j + 1) * c for j, c in enumerate(_expansion(FAR_TERMS[long]))], u)
    return jnp.where(far, beyond, _sum(above, t) / _sum(squares, t)).astype(k.dtype)


@jax.custom_jvp
def ratio(k: Any) -> Any:
    """I_1(k) / I_0(k)."""
    wide = _wide(k)
    long, far, u, near = _parts(wide)
    squares, _, mixed = _series(NEAR_TERMS[long], UNIT[long])
    t = (near / UNIT[long]) ** 2
    below = near * (_sum(mixed, t) / _sum(squares, t))
    size = jnp.where(far, 1 - u * _sum(_expansion(FAR_TERMS[long]), u), below)
    return (jnp.sign(wide) * size).astype(k.dtype)


@ratio.defjvp
def _ratio_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return ratio(primals[0]), slope(primals[0]) * tangents[0]


@jax.custom_jvp
def beside(k: Any) -> Any:
    """1 - I_1(k) / I_0(k).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{beside(jnp.float32(1000.0)):.5g}")
        0.00050013
    """
    wide = _wide(k)
    long, far, u, near = _parts(wide)
    a = ratio(near)
    below = (slope(near) + a / jnp.where(near == 0, 1, near)) / (1 + a)
    below = jnp.where(near == 0, 1, below)
    positive = jnp.where(far, u * _sum(_expansion(FAR_TERMS[long]), u), below)
    return jnp.where(wide > 0, positive, 1 - ratio(wide)).astype(k.dtype)


@beside.defjvp
def _beside_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    return beside(primals[0]), -slope(primals[0]) * tangents[0]


RATIO = Operation("bessel_ratio", ratio, whole=True)
BESIDE = Operation("beside_bessel_ratio", beside, whole=True)
SLOPE = Operation("slope_of_bessel_ratio", slope, whole=True)

Found = tuple[Node, tuple[Law, ...]]


def bessel_ratio(difference: Difference, node: Node) -> Found | None:
    """I_1(k) / I_0(k), scaled or not, times what else is there."""
    first, zeroth = (_read(child) for child in node.children)
    if first is not None and zeroth is not None and (first[0], zeroth[0]) == ("bessel_i1e", "bessel_i0e"):
        if first[2] != zeroth[2] or _size(first[1]) is not _size(zeroth[1]) or first[1].shape != node.shape:
            return None
        return difference.emit(RATIO, first[1]), (RATIO_OF_BESSELS,)
    polynomial = difference.terms(node)
    if len(polynomial) != 1:
        return None
    ((monomial, coefficient),) = polynomial.items()
    factors = {difference.node(number).operation: number for number, _ in monomial}
    first, zeroth = factors.get("bessel_i1e"), factors.get("bessel_i0e")
    powers = dict(monomial)
    if first is None or zeroth is None or powers[first] != 1 or powers[zeroth] != -1:
        return None
    k = difference.node(first).children[0]
    if k is not difference.node(zeroth).children[0]:
        return None
    rest = tuple((number, power) for number, power in monomial if number not in (first, zeroth))
    found, laws = difference.by((difference.emit(RATIO, k), (RATIO_OF_BESSELS,)), rest, node)
    return difference.algebra.times(float(coefficient), found), laws


def _read(node: Node) -> tuple[str, Node, bool] | None:
    """Which scaled Bessel function a node is, of what, and whether times exp |k|; through the rule of a library."""
    if node.operation == "custom_jvp_call" and node.ghost is not None and node.equation is not None:
        own = node.equation.call is None or node.equation.call.graph.span is not None
        return None if own else _read(node.ghost)
    if node.operation in ("bessel_i1e", "bessel_i0e"):
        return node.operation, node.children[0], False
    if node.operation != "mul":
        return None
    for growth, scaled in (node.children, node.children[::-1]):
        found = _read(scaled) if scaled.operation != "mul" else None
        if growth.operation == "exp" and found is not None and not found[2]:
            size = growth.children[0]
            if size.operation == "abs" and _size(found[1]) is size.children[0]:
                return found[0], found[1], True
    return None


def _size(k: Node) -> Node:
    """k of |k|: I_0 is even."""
    return k.children[0] if k.operation == "abs" else k


def beside_ratio(difference: Difference, k: Node, r: Fraction) -> Found | None:
    """I_1(k) / I_0(k) - r, for an r that is 1 or -1."""
    if abs(r) != 1:
        return None
    found = difference.emit(BESIDE, k if r == 1 else difference.minus_of(k))
    return difference.algebra.times(-float(r), found), (BESIDE_RATIO,)


def slope_of_ratio(difference: Difference, polynomial: Polynomial) -> Found | None:
    """c (1 - A^2 - A/k), as Newton's method for the concentration has it; 1 - A^2 may be a product already."""
    c = polynomial.get(ONE)
    for monomial, e in polynomial.items():
        if len(monomial) != 1:
            continue
        ((number, power),) = monomial
        a = difference.node(number)
        if c is None and power == 1 and len(polynomial) == 2 and a.operation == "difference_of_squares":
            if constant_of(a.children[1]) != 1:
                continue
            c, a = -e, a.children[0]
        elif c != -e or power != 2 or len(polynomial) != 3:
            continue
        over = _over(difference, a) if a.operation == "bessel_ratio" else None
        if c is not None and over is not None and polynomial.get(over) == -c:
            return difference.algebra.times(float(c), difference.emit(SLOPE, a.children[0])), (SLOPE_OF_RATIO,)
    return None


def _over(difference: Difference, a: Node) -> Monomial | None:
    """A(k) / k as a monomial, where k is one."""
    number, k = a.number, a.children[0]
    found = difference.terms(k)
    if len(found) != 1:
        return None
    ((monomial, coefficient),) = found.items()
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    return tuple(sorted([(number, 1), (monomial[0][0], -1)]))


__all__ = ["BESIDE", "RATIO", "SLOPE", "beside_ratio", "bessel_ratio", "slope_of_ratio"]
