"""Sums of squares and products of exact numbers, x^2 + y^2 - 1 and the like, where three terms and more cancel.

Each product is a number and what its rounding leaves out (Dekker), each sum likewise (Knuth); the rests are added last.
The result is as good as one computed with twice the digits. The logarithm of a norm near 1 is taken of it::

    log |x| = log1p(|x|^2 - 1) / 2        where ||x|^2 - 1| < 1/2

References: Ogita, Rump and Oishi, *Accurate sum and dot product*, SIAM J. Scientific Computing 26, 2005; Kahan, *Branch
cuts for complex elementary functions*, 1987, for the logarithm of a complex number.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import two_words
from qed.numerics.rewriting.difference_factory import exact_product
from qed.numerics.rewriting.difference_reading import Reading
from qed.numerics.rewriting.difference_rules import Found
from qed.numerics.rewriting.difference_terms import ONE, Monomial, Polynomial
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.lengths import norm
from qed.numerics.rewriting.rows import rows

EXACT_SUM = Law("a sum of products, each and their sum with twice the digits", "always")
LOG_NORM_LAW = Law("log |a| = log1p(|a|**2 - 1)/2", "always")


def _added(total: Any, rest: Any, term: Any) -> tuple[Any, Any]:
    value = total + term
    of_term = value - total
    return value, rest + ((total - (value - of_term)) + (term - of_term))


def _accumulated(products: Any, low: Any, number: float) -> Any:
    """number + the sum of products along the first axis; in a loop, so that none is rounded only with its sum."""
    shape, dtype = products.shape[1:], products.dtype
    start = (jnp.full(shape, number, dtype), jnp.sum(low, axis=0))
    total, rest = jax.lax.fori_loop(0, products.shape[0], lambda i, c: _added(c[0], c[1], products[i]), start)
    return total + jnp.where(jnp.isfinite(rest), rest, 0).astype(dtype)


def sum_of_products(
    coefficients: tuple[float, ...], number: float, *factors: Any, axes: tuple[int, ...] | None = None
) -> Any:
    """number + sum c_i x_i y_i; the factors are x_1, y_1, x_2, y_2, ..., the c_i powers of two.

    Along axes, if any are given, that is added up with the same digits, and what cancels among the elements, too.

    Example:
        >>> import jax.numpy as jnp
        >>> x, y = jnp.float32(0.6), jnp.float32(0.8)
        >>> print(f"{sum_of_products((1.0, 1.0), -1.0, x, x, y, y):.4g}", x * x + y * y - 1)
        4.768e-08 0.0
    """

    def value_of(*factors: Any) -> Any:
        x = jnp.stack(jnp.broadcast_arrays(*(c * x for c, x in zip(coefficients, factors[::2], strict=True))))
        y = jnp.stack(jnp.broadcast_arrays(*factors[1::2]))
        if axes is not None:
            total, rest = two_words.total(two_words.two_product(x, y), (0, *(axis + 1 for axis in axes)))
            return total + jnp.where(jnp.isfinite(rest), rest, 0).astype(total.dtype)
        product, low = exact_product(x, y)
        return _accumulated(product, low, number)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        tangent = sum(
            c * (x * along_y + y * along_x)
            for c, x, y, along_x, along_y in zip(
                coefficients, primals[::2], primals[1::2], tangents[::2], tangents[1::2], strict=True
            )
        )
        return found(*primals), tangent if axes is None else jnp.sum(tangent, axis=axes)

    return found(*factors)


SUM_OF_PRODUCTS = Operation(
    "sum_of_products",
    lambda *f, coefficients, number, axes=None: sum_of_products(coefficients, number, *f, axes=axes),
    whole=True,
)


def exact_sum(difference: Reading, polynomial: Polynomial, like: Node) -> Found | None:
    """Three terms or more, each a product of two exact numbers times a power of two, or a number."""
    if len(polynomial) < 3 or difference.builder.derivative:
        return None
    number = polynomial.get(ONE, Fraction(0))
    factors: list[Node] = []
    coefficients: list[float] = []
    for monomial, c in polynomial.items():
        if monomial == ONE:
            continue
        pair = _pair(difference, monomial)
        above, below = abs(c.numerator), c.denominator
        if pair is None or above & (above - 1) or below & (below - 1):
            return None
        factors += [difference.algebra.filled(each, like.shape) for each in pair]
        coefficients.append(float(c))
    if Fraction(float(number)) != number:
        return None
    value = difference.emit(
        SUM_OF_PRODUCTS, *factors, coefficients=tuple(coefficients), number=float(number), shape=like.shape
    )
    return value, (EXACT_SUM,)


def added_up(difference: Reading, node: Node, axes: tuple[int, ...], shape: tuple[int, ...]) -> Node | None:
    """The sum along axes of what is a sum of products of exact numbers, formed with it."""
    if node.operation != "sum_of_products" or node.params["number"] or "axes" in node.params:
        return None
    coefficients = node.params["coefficients"]
    return difference.emit(
        SUM_OF_PRODUCTS, *node.children, coefficients=coefficients, number=0.0, axes=axes, shape=shape
    )


def _pair(difference: Reading, monomial: Monomial) -> tuple[Node, Node] | None:
    nodes = [difference.node(number) for number, power in monomial for _ in range(max(power, 0))]
    if len(nodes) != 2 or any(power < 0 for _, power in monomial) or not all(map(difference.exact, nodes)):
        return None
    return nodes[0], nodes[1]


def log_norm(x: Any, axes: tuple[int, ...]) -> Any:
    """log of the length of x along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_norm(jnp.array([0.6, 0.8]), (0,)):.4g}")
        2.384e-08
    """

    def value_of(x: Any) -> Any:
        numbers = rows(x, axes)
        product, low = exact_product(numbers, numbers)
        v = _accumulated(product, low, -1.0)
        near = jnp.abs(v) < 0.5
        far = jnp.log(jnp.where(near, 1, norm(x, axes)))
        return jnp.where(near, 0.5 * logspace.log1p(jnp.where(near, v, 0)), far).astype(x.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (x,), (along,) = primals, tangents
        length = jnp.expand_dims(norm(x, axes), axes)
        return found(x), jnp.sum(((x / length) / length) * along, axis=axes)

    return found(x)


LOG_NORM = Operation("log_norm", log_norm, whole=True)
"""The same as an operation of a rewriting."""
