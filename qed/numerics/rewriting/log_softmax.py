"""log of one entry of a softmax, from the differences to that entry: small where it is small, and so is its derivative.

::

    u_i - log sum_j exp u_j = -log(1 + sum_(j != i) exp(u_j - u_i))
    d = -sum_(j != i) p_j (du_j - du_i)

p_i - 1, which the derivative of the left side has at i, is 0 where p_i rounds to 1; the sum of the other p_j is not.
u = c s for a number c, as of a temperature: the differences are those of s, and what c (s_j - s_i) rounds off is put
back into the exponential, where it counts |u_j - u_i| times.

Reference: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.difference_factory import exact_product
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import source_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.difference_recursion import Difference
    from qed.numerics.rewriting.forms import Form

LOG_SOFTMAX = Law("a_i - logsumexp(a) = -log1p(sum(exp(a_j - a_i)) over j != i)", "always")


def _gaps(s: Any, index: int, factor: float, divides: bool) -> tuple[Any, Any]:
    """c (s_j - s_i) as numbers, and what they round off; c is the factor, or its inverse."""
    at = s[index]
    d = s - at
    of_at = d - s
    more = (s - (d - of_at)) - (at + of_at)
    number = jnp.full_like(d, factor)
    if divides:
        q = d / number
        product, low = exact_product(q, number)
        rest = (((d - product) - low) + more) / number
    else:
        q, low = exact_product(d, number) if factor != 1 else (d, jnp.zeros_like(d))
        rest = low + more * number
    return q, jnp.where(jnp.isfinite(q) & jnp.isfinite(rest), rest, 0).astype(s.dtype)


def _weights(s: Any, index: int, factor: float, divides: bool) -> tuple[Any, Any, Any]:
    """The largest exponent M >= 0, exp(u_j - u_i - M) with 0 at i, and exp(-M) + their sum."""
    q, rest = _gaps(s, index, factor, divides)
    shift = jnp.maximum(jnp.max(q), 0)
    power = jnp.exp(q - jnp.where(jnp.isfinite(shift), shift, 0))
    terms = jnp.where(jnp.arange(s.shape[0]) == index, 0, power + power * rest).astype(s.dtype)
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


AT = Operation("log_softmax_at", log_softmax_at, whole=True)


def entry(difference: Difference, form: Form) -> Node | None:
    """u_i - log(sum(exp(u))) for a static i and a vector u; the node that is that, where a form is so."""
    live = sorted((term for term in form.terms if term.coefficient), key=lambda term: -term.coefficient)
    if form.shape or [term.coefficient for term in live] != [1, -1]:
        return None
    u = _summed(source_of(live[1].node))
    index = None if u is None else _index(live[0].node, u)
    if u is None or index is None:
        return None
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


def _summed(node: Node) -> Node | None:
    """u, where a node is log(sum(exp(u))) of a vector."""
    if node.operation == "logsumexp":
        return node.children[0] if len(node.children[0].shape) == 1 else None
    if node.operation != "log" or len(node.children) != 1:
        return None
    total = node.children[0]
    if total.operation != "reduce_sum" or len(total.children[0].shape) != 1 or total.children[0].operation != "exp":
        return None
    return total.children[0].children[0]


def _index(node: Node, u: Node) -> int | None:
    """i, where a node is u[i] by a static slice."""
    while node.operation in ("squeeze", "reshape", "copy") and int(np.prod(node.children[0].shape)) == 1:
        node = node.children[0]
    if node.operation != "slice" or node.children[0] is not u or int(np.prod(node.shape)) != 1:
        return None
    return int(node.params["start_indices"][0])


__all__ = ["LOG_SOFTMAX", "entry", "log_softmax_at"]
