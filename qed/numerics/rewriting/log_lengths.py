"""Logarithms of sums of squares, without the squares: log(x^2 + y^2) = 2 log |(x, y)|.

::

    log(c sum x^2) = log c + 2 log |x|                 where c sum x^2 is far from 1
    log(1 + x^2 + y^2) = log(1 + |(x, y)|^2)

The squares over- and underflow, the lengths do not. Near 1 a logarithm is small and has to be found from c sum x^2 - 1;
for c = 1 that is a sum of exact products (`difference_squares.log_norm`).

Reference: Kahan, *Branch cuts for complex elementary functions*, 1987, for the logarithm of a complex number.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.algorithms import LOG1P_SQUARE
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_squares import LOG_NORM
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial, plus
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.lengths import hypot, norm
from qed.numerics.rewriting.pairwise import sum_of_squares
from qed.numerics.rewriting.scales import constant_of, root_of

LOG_LENGTH = Law("log(sum(a**2)) = 2 log |a|", "a != 0, as for the original")
LOG_ALONE = Law("log(sqrt(sum(a**2))) = log |a|", "a != 0, as for the original")
LOG_SCALED = Law("log(c sum(a**2)) = log(c) + 2 log |a|", "c > 0 and a != 0, as for the original")
LOG_ONE_MORE = Law("log(1 + sum(a**2)) = log(1 + |a|**2)", "always")
MOST = 4
"""How many squares of single numbers are put together."""
POWERS = frozenset(["exp", "softmax", "exp_of_sum", "tempered_softmax"])
"""What has a logarithm of its own, of which that of a sum of squares is made."""


def log_of_squares(difference: Difference, polynomial: Polynomial, node: Node) -> Found | None:
    """The logarithm of a sum of squares, if a node is one and nothing better is known of it.

    Args:
        difference: the reader of nodes and the maker of new ones.
        polynomial: what the logarithm is taken of.
        node: the logarithm.
    """
    if len(polynomial) == 1:
        ((monomial, c),) = polynomial.items()
        return _of_sum(difference, monomial, float(c), node) if c > 0 else None
    if not 1 < len(polynomial) <= MOST:
        return None
    parts = [_root(difference, m, math.inf if (r := root_of(c)) is None else r, node) for m, c in polynomial.items()]
    roots = [part for part in parts if part is not None]
    if len(roots) < len(parts):
        return None
    if polynomial.get(ONE) == 1:
        return _one_more(difference, [r for m, r in zip(polynomial, roots, strict=True) if m != ONE], node)
    if not all(map(difference.exact, roots)) and difference(plus(polynomial, {ONE: Fraction(1)}, -1), node) is not None:
        return None
    spread = [difference.algebra.filled(each, node.shape) for each in roots]
    rows = difference.emit(STACKED, *spread, shape=(len(spread), *node.shape))
    value = difference.emit(LOG_NORM, rows, axes=(0,), shape=node.shape)
    return difference.algebra.times(2.0, value), (LOG_LENGTH,)


def log_of_length(difference: Difference, length: Node, node: Node) -> Found | None:
    """The logarithm of a length as that, and not as the logarithm of a root, whose derivative divides by the square."""
    if length.operation == "norm":
        return difference.emit(LOG_NORM, length.children[0], axes=length.params["axes"], shape=node.shape), (LOG_ALONE,)
    if length.operation not in ("sqrt", "root_of_squares") or length.shape != node.shape:
        return None
    found = log_of_squares(difference, difference.terms(length.children[0]), node)
    if found is None:
        return None
    value = found[0]
    twice = value.operation == "mul" and constant_of(value.children[0]) == 2
    return value.children[1] if twice else difference.algebra.times(0.5, value), (LOG_ALONE,)


def _root(difference: Difference, monomial: Monomial, coefficient: float, like: Node) -> Node | None:
    """The root of a square."""
    if not math.isfinite(coefficient) or any(power % 2 or power < 0 for _, power in monomial):
        return None
    if monomial == ONE:
        return difference.algebra.number(coefficient, like)
    half = tuple((number, power // 2) for number, power in monomial)
    return difference.algebra.times(coefficient, difference.monomial(half, like))


def _one_more(difference: Difference, roots: list[Node], node: Node) -> Found | None:
    if len(roots) < 2:
        return None
    spread = [difference.algebra.filled(each, node.shape) for each in roots]
    length = difference.emit(LENGTH, *spread)
    return difference.emit(LOG1P_SQUARE, length), (LOG_ONE_MORE,)


def _of_sum(difference: Difference, monomial: Monomial, c: float, node: Node) -> Found | None:
    """log(c sum x^2), the sum taken by a reduction or a product of matrices."""
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    summed = difference.node(monomial[0][0])
    if summed.shape != node.shape or summed.equation is None:
        return None
    found = None
    if summed.operation == "dot_general":
        found = sum_of_squares(difference, summed)
    elif summed.operation == "reduce_sum":
        inner = difference.terms(summed.children[0])
        ((m, d),) = inner.items() if len(inner) == 1 else ((ONE, None),)
        r = None if d is None else root_of(d)
        x = None if r is None or m == ONE else _root(difference, m, r, summed)
        if x is not None:
            found = difference.algebra.filled(x, summed.children[0].shape), tuple(summed.params["axes"])
    if found is None or 0 in found[0].shape or found[0].operation in POWERS:
        return None
    if c == 1:
        value = difference.emit(LOG_NORM, found[0], axes=found[1], shape=node.shape)
        return difference.algebra.times(2.0, value), (LOG_LENGTH,)
    value = difference.emit(LOG_SCALED_SQUARE, found[0], node.children[0], axes=found[1], c=c, shape=node.shape)
    return value, (LOG_SCALED,)


def log_scaled_square(x: Any, total: Any, axes: tuple[int, ...], c: float) -> Any:
    """log(c sum x^2) for total = c sum x^2, which is used near 1.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.float32([3e-30, 4e-30])
        >>> print(f"{log_scaled_square(x, 0.5 * jnp.sum(x * x), (0,), 0.5):.5g}")
        -135.63
    """

    def value_of(x: Any, total: Any) -> Any:
        near = jnp.abs(total - 1) < 0.5
        far = math.log(c) + 2 * jnp.log(norm(x, axes))
        return jnp.where(near, jnp.log(jnp.where(near, total, 1)), far).astype(x.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, along = primals[0], tangents[0]
        length = jnp.expand_dims(norm(x, axes), axes)
        return found(*primals), 2 * jnp.sum(((x / length) / length) * along, axis=axes)

    return found(x, total)


def _length(*parts: Any) -> Any:
    squares = sum(jnp.multiply(part, part) for part in parts)
    return hypot(squares, jnp.zeros_like(parts[0]), *parts)


LENGTH = Operation("length", _length, whole=True)
LOG_SCALED_SQUARE = Operation("log_of_squares", log_scaled_square, whole=True)
STACKED = Operation("stacked", lambda *parts: jnp.stack(parts), whole=True)
