"""Products minus 1, from factors minus 1: a b - 1 = s + t + s t for a = 1 + s and b = 1 + t.

The product of numbers near 1 rounds what makes them differ from 1: the probability 1 - (1 - p)(1 - q) of either of two
events, the growth (1 + r)(1 + q) - 1 of two periods. With |s| <= |t| it is taken as s + t (1 + s): then no term is
larger than the numbers that a b - 1 would have rounded. The derivative is b s' + a t'.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import difference_laws as laws
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_terms import Monomial
from qed.numerics.rewriting.rows import rows

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.difference_rules import Found

ONE = Fraction(1)


@jax.custom_jvp
def product_minus_one(a: Any, b: Any, s: Any, t: Any) -> Any:
    """a b - 1 for a = 1 + s and b = 1 + t.

    Example:
        >>> import jax.numpy as jnp
        >>> s = jnp.float32(1e-9)
        >>> print(f"{product_minus_one(1 + s, 1 + s, s, s):.5g}", (1 + s) * (1 + s) - 1)
        2e-09 0.0
    """
    return jnp.where(jnp.abs(s) <= jnp.abs(t), s + t * a, t + s * b)


@product_minus_one.defjvp
def _product_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, _, _ = primals
    value = product_minus_one(*primals)
    return value, jnp.broadcast_to(b * tangents[2] + a * tangents[3], value.shape).astype(value.dtype)


def all_minus_one(s: Any, axes: tuple[int, ...]) -> Any:
    """The product of all 1 + s along axes, minus 1; pairs of halves.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{all_minus_one(jnp.full(1000, 1e-9, jnp.float32), (0,)):.4g}")
        1e-06
    """
    left = rows(s, axes)
    while left.shape[0] > 1:
        half = left.shape[0] // 2
        first, second, rest = left[:half], left[half : 2 * half], left[2 * half :]
        both = product_minus_one(1 + first, 1 + second, first, second)
        left = jnp.concatenate([both, rest]) if rest.shape[0] else both
    return left[0] if left.shape[0] else jnp.zeros(left.shape[1:], s.dtype)


PRODUCT_MINUS_ONE = Operation("product_minus_one", product_minus_one, whole=True)
ALL_MINUS_ONE = Operation("products_minus_one", lambda s, axes: all_minus_one(s, axes), whole=True)


def product_against_one(difference: Difference, monomial: Monomial, like: Node) -> Found | None:
    """A product of two or more factors minus 1, where of each the difference from 1 is known.

    That of an input is, too, where another factor is a function near 1, as in 1 - e cos x.
    """
    factors = [number for number, power in monomial for _ in range(max(power, 0))]
    if not 2 <= len(factors) <= 8 or any(power < 0 for _, power in monomial):
        return None
    value, gap, used = None, None, (laws.PRODUCT,)
    nodes = [difference.node(number) for number in factors]
    near = [_from_one(difference, node) or _by_rule(difference, node) for node in nodes]
    ruled = any(each is not None and each[1] for each in near)
    for node, found in zip(nodes, near, strict=True):
        if found is None and ruled and difference.exact(node):
            found = difference.plain(difference.shifted(node, ONE), node), ()
        if found is None or node.shape != like.shape:
            return None
        used += found[1]
        if value is None or gap is None:
            value, gap = node, found[0]
        else:
            gap = difference.emit(PRODUCT_MINUS_ONE, value, node, gap, found[0])
            value = difference.emit(stable.MUL, value, node)
    return None if gap is None else (gap, used)


def _by_rule(difference: Difference, node: Node) -> Found | None:
    """f(u) - 1 by the rule of f."""
    return difference(difference.shifted(node, ONE), node) if node.operation in ("cos", "exp", "cosh") else None


def all_against_one(difference: Difference, node: Node, r: Fraction) -> Found | None:
    """A product along axes, minus 1."""
    if r != 1 or node.operation != "reduce_prod":
        return None
    found = _from_one(difference, node.children[0])
    if found is None:
        return None
    gap = difference.algebra.filled(found[0], node.children[0].shape)
    value = difference.emit(ALL_MINUS_ONE, gap, axes=tuple(node.params["axes"]), shape=node.shape)
    return value, (laws.PRODUCT, *found[1])


def _from_one(difference: Difference, node: Node) -> Found | None:
    """node - 1, where that is one term or a rule finds it."""
    for read in (difference.terms, difference.deep):
        rest = dict(read(node))
        one = rest.pop((), 0)
        if one == 1 and len(rest) == 1:
            return difference.plain(rest, node), ()
    return None
