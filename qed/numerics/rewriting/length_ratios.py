"""Powers of a vector over powers of its length, without the powers.

::

    c a b |x|^-q = c (a / |x|) (b / |x|) |x|^-(q - 2),        q >= 2

The gravity of a point, x / |x|^3, is of moderate size where |x|^3 is 0 or infinite, and so is what JAX makes of the
derivative of a norm of order k: |x_i|^(k-1) N^(1-k). Each factor of the product is divided by the length before they
are multiplied; what is left of the power divides one after the other. A sum of squares that the same x is divided by
counts as the square of its length: x / sum(x^2) = (x / |x|) / |x|.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 27.8.
"""

from __future__ import annotations

from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.difference_laws import CANCEL
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.lengths import NORM_OF, OVER, OVER_AGAIN
from qed.numerics.rewriting.lengths_of_order import NORM, powers_in
from qed.numerics.rewriting.scales import constant_of, source_of, summed
from qed.numerics.rewriting.signs import MOVES

EXPONENTIALS = frozenset("exp exp2 expm1 logistic erfc cosh sinh tanh".split())
"""Functions whose products have rules of their own."""
LENGTHS = frozenset(["norm", "norm_of_order", "root_of_squares"])
POW = Operation("pow", jnp.power)
DEEP = 12
"""Through how many products a factor is followed."""
RATIOS = Law("a b |x|**-2 = (a / |x|) (b / |x|)", "x != 0, as for the original")

Factors = list[tuple[Node, int]]
"""What a node is a product of, each with its power; the shape of each is the node's own or that of one number."""


def over_lengths(difference: Difference, node: Node) -> tuple[Node, tuple[Law, ...]] | None:
    """A product of which a length divides at least two factors, or one factor twice."""
    number, read = factors_of(difference, node)
    length, power = next(((each, power) for each, power in read if power < -1 and _is_length(each)), (None, 0))
    above = [each for each, power in read for _ in range(max(power, 0))]
    if not above or not np.isfinite(number):
        return None
    if length is None:
        value = _over_square(difference, read)
    else:
        value = _product(difference, above, [length] * -power)
        for divisor in [each for each, power in read if each is not length for _ in range(max(-power, 0))]:
            value = difference.emit(stable.DIV, value, divisor)
    return None if value is None else (difference.algebra.times(number, value), (RATIOS,))


def factors_of(difference: Difference, node: Node) -> tuple[float, Factors]:
    """The number among the factors of a node, and the others, each once; what is no product is one factor."""
    return _merged(_read(difference, node, DEEP))


def reduced(difference: Difference, node: Node) -> tuple[Node, tuple[Law, ...]] | None:
    """A product without a factor that it is divided by as well, as the derivative of log(x / y) has them by JAX."""
    read = _read(difference, node, DEEP)
    number, factors = _merged(read)
    powers = dict[int, set[bool]]()
    for each, power in read:
        if each.operation in EXPONENTIALS or (each.equation is None and each.operation not in ("input", "constant")):
            return None
        if constant_of(each) is None:
            powers.setdefault(each.number, set()).add(power > 0)
    if all(len(signs) == 1 for signs in powers.values()) or not np.isfinite(number):
        return None
    value: Node | None = None
    for each in [each for each, power in factors for _ in range(max(power, 0))]:
        value = each if value is None else difference.emit(stable.MUL, value, each)
    value = difference.algebra.times(number, value) if value is not None else difference.algebra.number(number, node)
    for each in [each for each, power in factors for _ in range(max(-power, 0))]:
        value = difference.emit(stable.DIV, value, each)
    return value, (CANCEL,)


def _product(difference: Difference, above: list[Node], lengths: list[Node]) -> Node:
    """All factors, each divided by one of the lengths as long as there are any."""
    parts = [difference.emit(OVER, a, b) for a, b in zip(above, lengths, strict=False)] + above[len(lengths) :]
    value = parts[0]
    for part in parts[1:]:
        value = difference.emit(stable.MUL, value, part)
    for length in lengths[len(above) :]:
        value = difference.emit(OVER_AGAIN, value, length)
    return value


def _over_square(difference: Difference, read: Factors) -> Node | None:
    """x / sum(x^2)."""
    x, total = next(((x, total) for x, p in read for total, q in read if (p, q, len(read)) == (1, -1, 2)), (None, None))
    inner = None if total is None else summed(source_of(total))
    inside = difference.terms(inner[0]) if inner is not None else {}
    if x is None or total is None or inner is None or inner[0].shape != x.shape or len(inside) != 1:
        return None
    ((monomial, c),) = inside.items()
    if c != 1 or [power for _, power in monomial] != [2] or difference.node(monomial[0][0]) is not x:
        return None
    length = _moved(difference, difference.emit(NORM_OF, x, axes=inner[1], shape=source_of(total).shape), total)
    return difference.emit(OVER_AGAIN, difference.emit(OVER, x, length), length)


def _moved(difference: Difference, value: Node, like: Node) -> Node:
    """A value in the place of the source of a node, moved as that is."""
    if like.operation not in MOVES:
        return value
    inner = _moved(difference, value, like.children[0])
    return difference.builder.over(like, (inner, *like.children[1:]))


def _is_length(node: Node) -> bool:
    return source_of(node).operation in LENGTHS


def _read(difference: Difference, node: Node, deep: int) -> Factors:
    """The factors of a node; the node itself where it is no product."""
    name = node.operation
    if not deep or constant_of(node) is not None:
        return [(node, 1)]
    if name in ("mul", "div", "over_length"):
        second = 1 if name == "mul" else -1
        first, other = (_read(difference, child, deep - 1) for child in node.children)
        return [*first, *((each, second * power) for each, power in other)]
    if name == "integer_pow" and abs(node.params["y"]) <= DEEP:
        return [(each, power * node.params["y"]) for each, power in _read(difference, node.children[0], deep - 1)]
    if name == "square":
        return [(each, 2 * power) for each, power in _read(difference, node.children[0], deep - 1)]
    if name == "pow":
        return _power(difference, node, deep) or [(node, 1)]
    if name == "neg":
        return [(difference.algebra.number(-1.0, node), 1), *_read(difference, node.children[0], deep - 1)]
    if name in ("broadcast_in_dim", "fill"):
        inner = _read(difference, node.children[0], deep - 1)
        if all(each.shape in ((), node.children[0].shape) for each, _ in inner):
            return [(each if each.shape == () else difference.builder.over(node, (each,)), p) for each, p in inner]
    return [(node, 1)]


def _power(difference: Difference, node: Node, deep: int) -> Factors | None:
    """x^n for a whole number n, or (sum |x|^k)^q as the power k q of the norm of order k, k q whole up to rounding."""
    base, q = node.children[0], _exponent(node.children[1])
    if q is None or not np.isfinite(q):
        return None
    if q == round(q) and abs(q) <= DEEP:
        return [(each, power * round(q)) for each, power in _read(difference, base, deep - 1)]
    found = powers_in(difference, base.children[0]) if base.operation == "reduce_sum" and base.equation else None
    if found is None or base.shape != node.shape or round(found[1] * q) > -2:
        return None
    k, axes = found[1], tuple(base.params["axes"])
    j = round(k * q)
    rest = float(Fraction(k) * Fraction(q) - j)
    if abs(rest) > 1e-5:
        return None
    x, p = difference.algebra.filled(found[0], base.children[0].shape), None if k == 3 else 1 / k
    length = difference.emit(NORM, x, base, axes=axes, k=k, p=p, shape=base.shape)
    exponent = difference.algebra.number(rest, length)
    return [(length, j), *([(difference.emit(POW, length, exponent), 1)] if rest else [])]


def _exponent(node: Node) -> float | None:
    """A constant number, or the difference of two that JAX takes where it differentiates a power."""
    if node.operation != "sub" or node.equation is None:
        return constant_of(node)
    a, b = (constant_of(child) for child in node.children)
    return None if a is None or b is None else a - b


def _merged(read: Factors) -> tuple[float, Factors]:
    """The number among the factors, and the others, each once."""
    powers, number = dict[int, tuple[Node, int]](), 1.0
    for node, power in read:
        known = constant_of(node)
        if known is not None:
            number = number * known**power if known or power > 0 else np.nan
        else:
            powers[node.number] = node, powers.get(node.number, (node, 0))[1] + power
    return number, [pair for pair in powers.values() if pair[1]]


__all__ = ["RATIOS", "Factors", "factors_of", "over_lengths", "reduced"]
