"""Norms of any order without overflow in the middle: everything divided by a power of two first.

::

    (sum |x_i|^k)^p = s^(k p) (sum |x_i / s|^k)^p,    s = 2^e near the largest |x_i|

The sum is taken as it stands where it neither overflows nor loses terms. The derivative is k p N r_i^(k-1) / (s sum
r_j^k) sign(x_i) with r = |x| / s and N the value: no power of it overflows. Where p is the rounded 1/k, s^(k p - 1) is
not 1, and is multiplied with.

The derivative at the origin is taken to be 0, one of the subgradients of a norm.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, sections 6.1 and 27.8.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import ONE
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.lengths import power_of_two
from qed.numerics.rewriting.scales import constant_of

NORM_OF_ORDER = Law("sum(|a|**k)**p = s**(k p) sum(|a/s|**k)**p", "s > 0")


def _usable(total: Any) -> Any:
    info = jnp.finfo(total.dtype)
    return (total <= float(info.max)) & (total >= float(info.tiny) / float(info.eps) ** 2)


def norm_of_order(x: Any, total: Any, axes: tuple[int, ...], k: float, p: float | None) -> Any:
    """total^p for total = sum |x|^k along axes, scaled where that overflows or vanishes; p = None is the cube root.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([3e30, 4e30])
        >>> total = jnp.sum(x**4)
        >>> print(total**0.25, f"{norm_of_order(x, total, (0,), 4.0, 0.25):.5g}")
        inf 4.2846e+30
    """
    beyond = 0.0 if p is None else float(Fraction(k) * Fraction(p) - 1)
    degree = 1.0 if p is None else k * p

    def root(t: Any) -> Any:
        return jnp.cbrt(t) if p is None else t**p

    def scaled(x: Any) -> tuple[Any, Any, Any, Any]:
        scale, inverse = power_of_two(jnp.max(jnp.abs(x), axis=axes, initial=0.0))
        r = jnp.abs(x) * jnp.expand_dims(inverse, axes)
        return r, jnp.sum(r**k, axis=axes), scale, inverse

    def value_of(x: Any, total: Any) -> Any:
        _, summed, scale, _ = scaled(x)
        value = scale * root(summed)
        if beyond:
            value = value * jnp.exp(beyond * jnp.log(scale))
        usable = _usable(total)
        return jnp.where(usable, root(jnp.where(usable, total, 1)), value).astype(total.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        value = found(*primals)
        r, summed, _, inverse = scaled(primals[0])
        over = jnp.where(summed == 0, 0, value * inverse / jnp.where(summed == 0, 1, summed))
        slope = jnp.sign(primals[0]) * r ** (k - 1) * jnp.expand_dims(degree * over, axes)
        tangent = jnp.sum(slope * tangents[0], axis=axes)
        return value, tangent.astype(value.dtype)

    return found(x, total)


NORM = Operation("norm_of_order", norm_of_order, whole=True)


def root_of_powers(difference: Difference, node: Node) -> tuple[Node, tuple[Law, ...]] | None:
    """(c sum |x|^k)^p with k p = 1 up to rounding, k > 2."""
    p = 1 / 3 if node.operation == "cbrt" else constant_of(node.children[1]) if node.operation == "pow" else None
    if p is None or not 0 < p < 0.45:
        return None
    polynomial = difference.terms(node.children[0])
    ((monomial, c),) = polynomial.items() if len(polynomial) == 1 else (((), Fraction(0)),)
    summed = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 and c > 0 else None
    if summed is None or summed.operation != "reduce_sum" or summed.equation is None or summed.shape != node.shape:
        return None
    found = powers_in(difference, summed.children[0])
    cube = node.operation == "cbrt"
    if found is None or abs(found[1] * p - 1) > 1e-6 or (cube and found[1] != 3):
        return None
    x, k = difference.algebra.filled(found[0], summed.children[0].shape), found[1]
    axes, exponent = tuple(summed.params["axes"]), None if cube else p
    value = difference.emit(NORM, x, summed, axes=axes, k=k, p=exponent, shape=summed.shape)
    return difference.algebra.times(math.cbrt(c) if cube else math.pow(c, p), value), (NORM_OF_ORDER,)


def powers_in(difference: Difference, node: Node) -> tuple[Node, float] | None:
    """x and k, where a node is |x|^k."""
    inner = difference.terms(node)
    if node.operation == "pow":
        k = constant_of(node.children[1])
        x = node.children[0]
        return (x, k) if k is not None and k > 2 and x.operation == "abs" else None
    if len(inner) != 1 or ONE in inner:
        return None
    ((monomial, c),) = inner.items()
    if c != 1 or len(monomial) != 1 or monomial[0][1] < 3:
        return None
    x, k = difference.node(monomial[0][0]), monomial[0][1]
    return (x, float(k)) if k % 2 == 0 or x.operation == "abs" else None
