"""Central moments of third and fourth order, from the deviations of the mean and not from sums of powers.

::

    S3 - 3 S1 S2 / n + 2 S1^3 / n^2                     = sum (x - m)^3         S_k = sum x^k, m = S1 / n
    S4 - 4 S1 S3 / n + 6 S1^2 S2 / n^2 - 3 S1^4 / n^3   = sum (x - m)^4

The deviations are taken twice, x - m and then minus their own mean, so that the rounding of m is no matter. The
derivative of sum (x - m)^k is k ((x - m)^(k-1) - mean (x - m)^(k-1)).

Reference: Chan, Golub and LeVeque, *Algorithms for computing the sample variance*, American Statistician 37, 1983.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import comb
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, power_of
from qed.numerics.rewriting.laws import Law

CENTRAL = Law("sum of comb(k, j) (-mean(a))**(k - j) a**j, j = 0 ... k, over all a = sum((a - mean(a))**k)", "always")


def _deviations(x: Any, axes: tuple[int, ...]) -> Any:
    first = x - jnp.mean(x, axis=axes, keepdims=True)
    return first - jnp.mean(first, axis=axes, keepdims=True)


def central_sum(x: Any, axes: tuple[int, ...], k: int) -> Any:
    """sum (x - mean x)^k along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(central_sum(jnp.array([1e4, 10001.0, 10005.0]), (0,), 3))
        18.0
    """

    def value_of(x: Any) -> Any:
        return jnp.sum(jax.lax.integer_pow(_deviations(x, axes), k), axis=axes)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (x,), (along,) = primals, tangents
        power = jax.lax.integer_pow(_deviations(x, axes), k - 1)
        slope = k * (power - jnp.mean(power, axis=axes, keepdims=True))
        return found(x), jnp.sum(slope * along, axis=axes)

    return found(x)


CENTRAL_SUM = Operation("sum_of_centred_powers", central_sum, whole=True)


def central_moment(
    difference: Difference,
    polynomial: Polynomial,
    summed: Callable[[int], Any],
    filled: Callable[[Monomial, Any], Node],
) -> tuple[Fraction, Node, Any] | None:
    """c, sum (x - mean x)^k and the sum whose moves apply to it, for k = 3 and 4."""
    k = len(polynomial)
    if k not in (3, 4) or ONE in polynomial:
        return None
    parts: dict[int, Any] = {number: summed(number) for monomial in polynomial for number, _ in monomial}
    if len(parts) != k or any(part is None for part in parts.values()):
        return None
    first = next(iter(parts.values()))
    if any(part.axes != first.axes or part.shape != first.shape for part in parts.values()):
        return None
    roots = [part for part in parts.values() if len(part.monomial) == 1 and part.monomial[0][1] == 1]
    for root in roots:
        orders = {number: _order(part.monomial, root.monomial) for number, part in parts.items()}
        if sorted(orders.values()) != list(range(1, k + 1)):
            continue
        c = _factor(polynomial, orders, parts, k, root.count)
        if c is None:
            continue
        x = filled(root.monomial, root)
        value = difference.emit(CENTRAL_SUM, x, axes=root.axes, k=k, shape=root.node.shape)
        return c, value, root
    return None


def _order(monomial: Monomial, root: Monomial) -> int:
    return next((j for j in (1, 2, 3, 4) if power_of(root, j) == monomial), 0)


def _factor(
    polynomial: Polynomial, orders: Mapping[int, int], parts: Mapping[int, Any], k: int, n: int
) -> Fraction | None:
    """c, where the polynomial is c times the sum of k-th powers of deviations."""
    by = {order: number for number, order in orders.items()}

    def term(j: int) -> Monomial:
        if j < 2:
            return ((by[1], k),)
        powers = {by[j]: 1} if j == k else {by[j]: 1, by[1]: k - j}
        return tuple(sorted(powers.items()))

    wanted: dict[Monomial, Fraction] = {}
    for j in range(k + 1):
        sign = Fraction((-1) ** (k - j) * comb(k, j), n ** (k - j))
        scale = Fraction(1) if j > 1 else Fraction(n if j == 0 else 1)
        inner = parts[by[j]].coefficient if j > 1 else Fraction(1)
        outer = parts[by[1]].coefficient ** (k if j < 2 else k - j)
        wanted[term(j)] = wanted.get(term(j), Fraction(0)) + sign * scale / (inner * outer)
    if set(wanted) != set(polynomial):
        return None
    ratios = {polynomial[m] / wanted[m] for m in wanted}
    return ratios.pop() if len(ratios) == 1 else None


__all__ = ["CENTRAL", "CENTRAL_SUM", "central_moment", "central_sum"]
