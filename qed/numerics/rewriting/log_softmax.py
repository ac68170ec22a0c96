"""log of one entry of a softmax, from the differences to that entry: small where it is small, and so is its derivative.

::

    u_i - log sum_j exp u_j = -log(1 + sum_(j != i) exp(u_j - u_i))
    d = -sum_(j != i) p_j (du_j - du_i)

p_i - 1, which the derivative of the left side has at i, is 0 where p_i rounds to 1; the sum of the other p_j is not.
u = c s for a number c, as of a temperature: the differences are those of s, and what c (s_j - s_i) rounds off is put
back into the exponential, where it counts |u_j - u_i| times. Far below the others, at -10^9 as a masked entry is, more
is rounded off than the others differ by; at -inf the differences are those to the largest.

Reference: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, Operation
from qed.numerics.logspace import one_of_largest
from qed.numerics.rewriting.difference_factory import exact_product
from qed.numerics.rewriting.free_energy import TEMPERED_LOG_SOFTMAX, tempered_log_softmax
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.picks import along_rows, by_data, chain, picked_from, position_in, taken
from qed.numerics.rewriting.scales import source_of, unshifted

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.forms import Form
    from qed.numerics.rewriting.tempered import Exponent, Scales

LOG_SOFTMAX = Law("a_i - logsumexp(a) = -log1p(sum(exp(a_j - a_i)) over j != i)", "always")


def _gaps(s: Any, index: int, factor: float, divides: bool) -> tuple[Any, Any, Any]:
    """u_j - u_i as numbers, c being the factor, or its inverse; what they round off; and whether u_i is -inf.

    Where it is, the differences are those to the largest.
    """
    s = jnp.asarray(s)
    number = jnp.full_like(s, factor)
    u = s / number if divides else s * number
    hidden = u[index] == -jnp.inf
    highest = jnp.sum(jnp.where(one_of_largest(u, (0,)), s, 0))
    at = jnp.where(hidden, highest, s[index])
    d = s - at
    of_at = d - s
    more = (s - (d - of_at)) - (at + of_at)
    if divides:
        q = d / number
        product, low = exact_product(q, number)
        rest = (((d - product) - low) + more) / number
    else:
        q, low = exact_product(d, number) if factor != 1 else (d, jnp.zeros_like(d))
        rest = low + more * number
    return q, jnp.where(jnp.isfinite(q) & jnp.isfinite(rest), rest, 0).astype(s.dtype), hidden


def _weights(s: Any, index: int, factor: float, divides: bool) -> tuple[Any, Any, Any]:
    """The largest exponent M >= 0, exp(u_j - u_i - M) with 0 at i, and exp(-M) + their sum."""
    q, rest, hidden = _gaps(s, index, factor, divides)
    largest = jnp.max(q)
    of_largest = jnp.max(jnp.where(q == largest, rest, -jnp.inf))
    largest, of_largest = jnp.where(jnp.isfinite(largest), largest, 0), jnp.where(jnp.isfinite(largest), of_largest, 0)
    below = q - largest
    of_q = below - q
    rounded = (q - (below - of_q)) - (largest + of_q)
    q, rest = below, rest - of_largest + jnp.where(jnp.isfinite(rounded), rounded, 0)
    small = jnp.abs(rest) < 1
    power = jnp.exp(jnp.where(small, q, q + rest))
    power = power + power * jnp.expm1(
        jnp.where(small, rest, 0)
    )  # a compiler makes exp(q + rest) of a product of the two
    terms = jnp.where(jnp.arange(s.shape[0], dtype=np.int32) == index, 0, power).astype(s.dtype)
    shift = jnp.where(hidden, jnp.inf, largest + of_largest).astype(s.dtype)
    return shift, terms, jnp.exp(-shift) + jnp.sum(terms)


def log_softmax_at(s: Any, index: int, factor: float, divides: bool) -> Any:
    """log of entry index of softmax(c s), c = factor, or 1/factor where it divides.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> s = jnp.array([40.0, 0.0])
        >>> print(f"{log_softmax_at(s, 0, 1.0, False):.5g}")
        -4.2484e-18
        >>> print(jax.grad(lambda s: log_softmax_at(s, 0, 1.0, False))(s)[0] > 0)
        True
    """

    def value_of(s: Any) -> Any:
        shift, terms, total = _weights(s, index, factor, divides)
        far = -(shift + jnp.log(jnp.where(shift > 0, total, 1)))
        return jnp.where(shift > 0, far, -jnp.log1p(jnp.where(shift > 0, 0, jnp.sum(terms)))).astype(s.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (s,), (along,) = primals, tangents
        _, terms, total = _weights(s, index, factor, divides)
        p = terms / total
        p = p / jnp.full_like(p, factor) if divides else p * jnp.full_like(p, factor)
        return found(s), jnp.sum(p) * along[index] - jnp.sum(p * along)

    return found(s)


def _first_of_two(u: Any, v: Any) -> Any:
    pair = jnp.stack(jnp.broadcast_arrays(u, v))
    return tempered_log_softmax(pair, jnp.ones((), pair.dtype), (0,), True)[0]


AT = Operation("log_softmax_at", log_softmax_at, whole=True)
FIRST_OF_TWO = Operation("log_share_of_two", _first_of_two, whole=True)


def entry(scales: Scales, form: Form) -> Node | None:
    """u_i - log(sum(exp(u))) for entries i that lie in the rows of the sums; the node that is that, where a form is so.

    Of one entry by a number, of a vector without a temperature, the differences are those to that entry; of others, of
    all of them and of s/T those to the largest.
    """
    live = sorted((term for term in form.terms if term.coefficient), key=lambda term: -term.coefficient)
    if [term.coefficient for term in live] != [1, -1] or len(live) < len(form.terms):
        return None
    if live[1].node.operation == "logaddexp":
        return _of_two(scales, live[0].node, live[1].node, form.shape)
    source = picked_from(live[1].node)
    summed = summed_of(source)
    if summed is None:
        return None
    u, axes = summed
    exponent = scales(u, axes)
    index = None
    if exponent is None and len(u.shape) == 1 and not form.shape:
        index = _index(live[0].node, u)
        index = position_in(scales.difference.builder, live[0].node, u) if index is None else index
    if index is not None:
        return _at(scales.difference, u, index)
    return _picked(scales, live[0].node, live[1].node, source, u, axes, exponent)


def _of_two(scales: Scales, u: Node, total: Node, shape: tuple[int, ...]) -> Node | None:
    """u - log(exp(u) + exp(v))."""
    a, b = total.children
    if u not in (a, b) or a is b:
        return None
    value = scales.difference.emit(FIRST_OF_TWO, u, b if u is a else a)
    return scales.difference.algebra.filled(value, shape)


def of_label(scales: Scales, pick: Node, total: Node) -> Node | None:
    """u[y] - log(sum(exp(u))) as it is written, u shifted already or not, for a y that is data."""
    source = picked_from(total)
    summed = summed_of(source)
    if summed is None:
        return None
    u, axes = summed
    moves = chain(pick, u)
    if moves is None or not by_data(moves):
        return None
    return _picked(scales, pick, total, source, u, axes, scales(u, axes))


def _picked(
    scales: Scales, pick: Node, total: Node, source: Node, u: Node, axes: tuple[int, ...], exponent: Exponent | None
) -> Node | None:
    difference = scales.difference
    beside, moves = chain(total, source), chain(pick, u)
    if moves is None:
        moves = _moves_of_scaled(scales, pick, u, exponent)
    if moves is None or beside is None or not along_rows(difference.builder, moves, u, beside, axes):
        return None
    plain = unshifted(u, axes)
    if plain is not None:
        u, exponent = plain, scales(plain, axes)
    if exponent is None:
        s, c, divides = u, difference.algebra.number(1.0, u), True
    else:
        s, c, divides = exponent.s, exponent.c, exponent.divides
    value = difference.emit(TEMPERED_LOG_SOFTMAX, s, c, axes=axes, divides=divides, shape=u.shape)
    return taken(difference.builder, moves, value)


def _moves_of_scaled(scales: Scales, pick: Node, u: Node, exponent: Exponent | None) -> list[Node] | None:
    """The moves by which pick = (moved s) / T takes its elements from u = s / T; T is a number where there is none."""
    parts = [_without(scales, node, exponent) for node in (pick, u)]
    if parts[0] is None or parts[1] is None or parts[0][1] != parts[1][1]:
        return None
    return chain(parts[0][0], parts[1][0]) if parts[1][0].shape == u.shape else None


def _without(scales: Scales, node: Node, exponent: Exponent | None) -> tuple[Node, Fraction] | None:
    """s and k, where a node is k s times the scale."""
    read = scales.difference.terms(node)
    if len(read) != 1:
        return None
    ((monomial, coefficient),) = read.items()
    powers, left = dict(exponent.sources if exponent is not None else ()), []
    for number, power in monomial:
        source = source_of(scales.difference.node(number))
        if powers.get(source.number) == power:
            del powers[source.number]
        else:
            left.append((number, power))
    if powers or len(left) != 1 or left[0][1] != 1:
        return None
    return scales.difference.node(left[0][0]), coefficient


def _at(difference: Difference, u: Node, index: int) -> Node:
    factor, divides, s = 1.0, False, u
    read = difference.terms(u)
    if len(read) == 1:
        ((monomial, c),) = read.items()
        inner = difference.node(monomial[0][0]) if len(monomial) == 1 and monomial[0][1] == 1 else None
        if inner is not None and inner.shape == u.shape and inner.dtype == u.dtype:
            exact = _number(c, u)
            if exact is not None:
                (factor, divides), s = exact, inner
    return difference.emit(AT, s, shape=(), index=index, factor=factor, divides=divides)


def _number(c: Fraction, like: Node) -> tuple[float, bool] | None:
    """A number of the dtype that c is, or whose inverse it is."""
    for value, divides in ((c, False), (1 / c, True)):
        rounded = np.asarray(float(value)).astype(like.dtype)
        if np.isfinite(rounded) and Fraction(float(rounded)) == value:
            return float(rounded), divides
    return None


def summed_of(node: Node) -> tuple[Node, tuple[int, ...]] | None:
    """u and the axes, where a node is log(sum(exp(u)))."""
    if node.operation == "logsumexp":
        return node.children[0], tuple(node.params["axes"])
    if node.operation != "log" or len(node.children) != 1:
        return None
    total = node.children[0]
    if total.operation != "reduce_sum" or total.children[0].operation != "exp":
        return None
    return total.children[0].children[0], tuple(total.params["axes"])


def _index(node: Node, u: Node) -> int | None:
    """i, where a node is u[i] by a static slice."""
    while node.operation in ("squeeze", "reshape", "copy") and int(np.prod(node.children[0].shape)) == 1:
        node = node.children[0]
    if node.operation != "slice" or node.children[0] is not u or int(np.prod(node.shape)) != 1:
        return None
    return int(node.params["start_indices"][0])


__all__ = ["LOG_SOFTMAX", "entry", "log_softmax_at", "of_label", "summed_of"]
