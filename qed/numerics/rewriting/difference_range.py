r"""A common denominator where its products are numbers of the format, the terms as they stand elsewhere.

::

    t_1 + ... + t_n = N / B,        N = B t_1 + ... + B t_n multiplied out

does not cancel, but B and the products B t_i leave the range of floating point long before the terms do:
1/x^6 - 1/x^2 is (1 - x^4)/x^6, and x^6 overflows in float32 from x = 3e6 on, where the terms are ordinary numbers. So
the fraction is taken where |B| and |B| (|t_1| + ... + |t_n|) are normal numbers with all their digits and the terms
cancel; elsewhere the sum is what the program has. Nor would the derivative of the fraction keep the digits of every
component there: with y small beside x, d/dx (1/x^2 - 1/y^2) = -2/x^3 is what two terms of the size of 1/(x y^2)
leave. Both sides see ordinary numbers where they are not taken, so that 0 times a derivative that overflows is not
added to the gradient.

Reference: Hauser, *Handling floating-point exceptions in numeric programs*, 1996, for the choice by size.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from qed import facts
from qed.graph.build import Node, Operation, reachable
from qed.numerics.rewriting.difference_terms import Monomial, Polynomial, scaled
from qed.numerics.rewriting.lengths import OVER_AGAIN
from qed.numerics.rewriting.signs import MOVES
from qed.numerics.rewriting.stable import DIV, MUL

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_reading import Reading

LARGEST = 64
"""Nodes of a fraction that are made anew, of other operands."""

CANCELS = 0.5
"""What a sum is at most of the sum of its terms' sizes, where it is said to cancel."""

BOUNDED = frozenset(["logistic", "sech2", "exp_difference"])
"""Of what products with their inverses are cancelled before anything is divided.

See `sigmoid_products` and `over_differences`.
"""

ORDINARY = (1.0, 0.7, 0.45, 0.3)
"""What the numbers are taken for, in turn, on the side that is not taken."""


def in_range(*values: Any, powers: tuple[int, ...], minus: bool = False) -> Any:
    """Whether terms cancel, and products B = b_1^p_1 b_2^p_2 ..., B b and B t are numbers with all their digits.

    Where B b is too large for the format, N/(B b) is 0 for |N| <= 4.

    Args:
        values: N, the terms t, then the numbers b.
        powers: p.
        minus: whether the terms after the first are subtracted.

    Example:
        >>> x, y = jnp.float32([2.0, 1e8, 2.0]), jnp.float32([2.1, 1.1e8, 9.0])
        >>> in_range(y**6 - x**6, 1 / x**6, -1 / y**6, x, y, powers=(6, 6)).tolist()
        [True, False, False]
    """
    values = tuple(jax.lax.stop_gradient(each) for each in values)
    above, values = values[0], values[1:]
    count = len(values) - len(powers)
    terms, below = values[:count], values[count:]
    total, size, product = terms[0], jnp.abs(terms[0]), jnp.ones_like(below[0])
    for term in terms[1:]:
        total, size = total - term if minus else total + term, size + jnp.abs(term)
    least, most = jnp.ones_like(product), jnp.ones_like(product)
    for each, power in zip(below, powers, strict=True):
        product = product * jax.lax.integer_pow(each, power)
        least, most = jnp.minimum(least, jnp.abs(each)), jnp.maximum(most, jnp.abs(each))
    info, product = jnp.finfo(product.dtype), jnp.abs(product)
    scaled = size * product
    inside = (product * least >= info.tiny) & (product * most <= info.max)
    inside = inside & (scaled >= info.tiny / info.eps) & (scaled <= info.max / 4)
    vanishes = (product * most > info.max) & (jnp.abs(above) <= info.max * info.tiny)
    return (inside | vanishes) & (jnp.abs(total) <= CANCELS * size)


def _seen(inside: Any, x: Any, *, ordinary: float, taken: bool) -> Any:
    return jnp.where(inside if taken else ~inside, x, jnp.asarray(ordinary, x.dtype))


def _chosen(inside: Any, fraction: Any, *terms: Any, minus: bool) -> Any:
    total = terms[0]
    for term in terms[1:]:
        total = total - term if minus else total + term
    return jnp.where(inside, fraction, total)


def close(*terms: Any, minus: bool = False) -> Any:
    """Whether terms cancel, or are no numbers.

    Example:
        >>> x = jnp.float32([0.0, 0.1, 9.0])
        >>> close(1 / jnp.tanh(x), 1 / x, minus=True).tolist()
        [True, True, False]
    """
    first, *others = (jax.lax.stop_gradient(each) for each in terms)
    total, size = first, jnp.abs(first)
    for term in others:
        total, size = total - term if minus else total + term, size + jnp.abs(term)
    return ~(jnp.abs(total) > CANCELS * size) | ~jnp.isfinite(size)


CLOSE = Operation("close", close, whole=True)
IN_RANGE = Operation("in_range", in_range, whole=True)
SEEN = Operation("seen_in_range", _seen, whole=True)
CHOSEN = Operation("fraction_in_range", _chosen, whole=True)


def guarded(difference: Reading, polynomial: Polynomial, below: Monomial, above: Node, node: Node, like: Node) -> Node:
    """A fraction where its products are in range, else the sum of its terms.

    Args:
        difference: the recursion.
        polynomial: the terms.
        below: the common denominator.
        above: what is divided by it.
        node: the fraction.
        like: a node of the dtype and shape of the sum.
    """
    multiplied = scaled(polynomial, Fraction(1), below)
    degrees = [sum(power for _, power in monomial if power > 0) for monomial in multiplied]
    builder = difference.builder
    terms, written, minus = _written(difference, polynomial, like)
    generators = [difference.node(number) for number, _ in below]
    if max(degrees) < 2 or node.shape != like.shape:
        return node
    if all(each.operation in BOUNDED for each in generators):
        return node
    if any(each.shape not in ((), like.shape) for each in (above, *terms, *written, *generators)):
        return node
    if any(builder.flows is not None and builder.flows(each) is not False for each in (*terms, *written)):
        return node
    powers, less = tuple(power for _, power in below), minus and terms is written
    inside = difference.emit(
        IN_RANGE, above, *terms, *generators, shape=like.shape, dtype=np.dtype(bool), powers=powers, minus=less
    )
    return _choice(difference, inside, node, written, minus, like)


def unless_apart(difference: Reading, polynomial: Polynomial, node: Node, like: Node) -> Node:
    """What is made of rests of series where terms cancel or are no numbers, else the sum of the terms.

    The rests R_k f(v) of tanh and its like are divided by v^k, which overflows where the terms do not.

    Args:
        difference: the recursion.
        polynomial: the terms.
        node: their sum by rests.
        like: a node of the dtype and shape of the sum.
    """
    if difference.builder.derivative or difference.builder.flows is not None or node.shape != like.shape:
        return node
    terms, written, minus = _written(difference, polynomial, like)
    if any(each.shape not in ((), like.shape) for each in (*terms, *written)):
        return node
    less = minus and terms is written
    inside = difference.emit(CLOSE, *terms, shape=like.shape, dtype=np.dtype(bool), minus=less)
    return _choice(difference, inside, node, written, minus, like)


def _choice(difference: Reading, inside: Node, node: Node, written: Sequence[Node], minus: bool, like: Node) -> Node:
    """One of two nodes, each of ordinary numbers where the other one is taken."""
    leaves = None if difference.builder.derivative else _leaves(difference, node, written)
    if leaves is not None:
        node = _over(difference, [node], leaves, inside, True)[0]
        written = _over(difference, written, leaves, inside, False)
    return difference.emit(CHOSEN, inside, node, *written, shape=like.shape, dtype=like.dtype, minus=minus)


def _written(difference: Reading, polynomial: Polynomial, like: Node) -> tuple[list[Node], list[Node], bool]:
    """The terms of a sum, what it is the sum of in the program, and whether the second of that is subtracted.

    JAX's derivative of a / b has b^-2, which leaves the range before the terms do: its own terms are formed anew.
    """
    terms = [_term(difference, monomial, c, like) for monomial, c in polynomial.items()]
    summed = not difference.builder.derivative and like.operation in ("add", "add_any", "sub")
    if not summed or difference.terms(like) != polynomial:
        return terms, terms, False
    written, minus = list(like.children), like.operation == "sub"
    if any(each.equation is None and each.operation in ("div", "neg") for each in written):  # a pair made a fraction
        return terms, terms, False
    return (written if all(len(difference.terms(each)) == 1 for each in written) else terms), written, minus


def _term(difference: Reading, monomial: Monomial, coefficient: Fraction, like: Node) -> Node:
    """c a_1 / b_1 a_2 / b_2 ...: what multiplies and what divides in turn."""
    above = [difference.node(number) for number, power in monomial for _ in range(power)]
    below = [difference.node(number) for number, power in monomial for _ in range(-power)]
    value = above.pop(0) if above else difference.algebra.number(1.0, like)
    divided = False
    while above or below:
        if below:
            value = difference.emit(OVER_AGAIN if divided else DIV, value, below.pop(0))
            divided = True
        if above:
            value = difference.emit(MUL, value, above.pop(0))
            divided = False
    return difference.algebra.times(float(coefficient), value)


def _leaves(difference: Reading, node: Node, terms: Sequence[Node]) -> list[Node] | None:
    """What the fraction and the terms are made of, element by element; None where that is not to be had."""
    atoms = [each for each in reachable([node, *terms]) if each.operation != "constant" and _is_atom(each)]
    atoms = [each for each in reachable([node, *terms], atoms) if _is_atom(each)]
    if _elementwise([node, *terms], atoms, node):
        return atoms
    numbers = sorted({number for each in terms for monomial in difference.terms(each) for number, _ in monomial})
    generators = [difference.node(number) for number in numbers]
    return generators if len(generators) == 1 and _elementwise([node, *terms], generators, node) else None


def _is_atom(node: Node) -> bool:
    return node.operation == "input" or (node.operation in MOVES and node.operation != "fill")


def _elementwise(nodes: Sequence[Node], leaves: Sequence[Node], like: Node) -> bool:
    within, given = reachable(nodes, leaves), {each.number for each in leaves}
    if len(within) > LARGEST or any(each.shape != like.shape or each.dtype != like.dtype for each in leaves):
        return False
    return all(each.number in given or _is_elementwise(each, like) for each in within)


def _is_elementwise(node: Node, like: Node) -> bool:
    if node.operation == "constant":
        return node.shape in ((), like.shape)
    if node.operation == "input" or node.shape != like.shape or "axes" in node.params:
        return False
    name = node.operation
    return node.equation is None or name in facts.ARITHMETIC or name in facts.CARDS or name == "integer_pow"


def _over(difference: Reading, nodes: Sequence[Node], leaves: Sequence[Node], inside: Node, taken: bool) -> list[Node]:
    """Nodes of leaves that are ordinary numbers where a side is not taken."""
    new: dict[int, Node] = {}
    for i, leaf in enumerate(leaves):
        ordinary = ORDINARY[i % len(ORDINARY)]
        seen = difference.emit(SEEN, inside, leaf, shape=leaf.shape, dtype=leaf.dtype, ordinary=ordinary, taken=taken)
        difference.sign.know(seen, difference.sign(leaf), difference.sign.varies(leaf))  # ordinary numbers are positive
        new[leaf.number] = seen
    difference.builder.anew(reachable(nodes, leaves), new)
    return [new[each.number] for each in nodes]


__all__ = ["CHOSEN", "CLOSE", "IN_RANGE", "SEEN", "close", "guarded", "in_range", "unless_apart"]
