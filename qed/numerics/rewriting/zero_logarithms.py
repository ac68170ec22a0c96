"""u log v, which is 0 where u is 0.

As written it is NaN where u and v are both 0: 0 log 0 is taken to be 0, the limit of x log x, a convention that every
report names. It is not needed where v is never 0 (`qed.numerics.rewriting.signs`), and neither where a number that is
added keeps v from 0 wherever u is 0::

    v = a u + c,  c > 0          u log(u + 1e-9):  v = c where u = 0
    v = p + c,    c small        y log(p + 1e-12) of an input p:  v = 0 at p = -c alone

Below p = -c there is no logarithm, and no program means that one point; what is added is the user's own guard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.longer.candidates import Rounded
from qed.numerics.rewriting.difference_recursion import Difference
from qed.numerics.rewriting.difference_terms import ONE, plus
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.table import Replacement

ZERO_LOG_ZERO = "0 log 0 = 0"
XLOGY = Law("u log(v) = u log(v)", "u != 0; 0 where u = 0")
ADDED = 1e-2
"""The largest number that is taken for one that is added to an input to keep it from 0, and for nothing else."""


@jax.custom_jvp
def xlog(u: Any, v: Any) -> Any:
    """u log v, 0 where u is 0."""
    return jnp.where(u == 0, 0, u * jnp.log(jnp.where(u == 0, 1, v))).astype(jnp.result_type(u, v))


@xlog.defjvp
def _xlog_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    u, v = primals
    positive = v > 0
    in_u = jnp.where(v == 0, 0, jnp.log(jnp.where(v == 0, 1, v)))
    in_v = jnp.where(u == 0, 0, u / jnp.where((u == 0) & ~positive, 1, v))
    return xlog(u, v), in_u * tangents[0] + in_v * tangents[1]


XLOG = Operation("xlogy", xlog, whole=True)


def of_logarithm(difference: Difference, rounded: Callable[[Node], Rounded], node: Node) -> Replacement | None:
    """What takes the place of a product with a logarithm.

    Args:
        difference: the signs and polynomials of the nodes.
        rounded: how nodes are rounded; what is not rounded at all is an input.
        node: the product.
    """
    for u, log in (node.children, node.children[::-1]):
        if log.operation != "log" or log.equation is None or constant_of(u) is not None or u.shape != log.shape:
            continue
        if u.operation == "log":
            return None
        v = log.children[0]
        if difference.sign(v) >= Sign.BOUNDED or difference.sign(u) >= Sign.POSITIVE:
            return None
        if _beside(difference, u, v) or _guarded(rounded, v):
            return None
        return difference.emit(XLOG, u, v), (XLOGY,), ZERO_LOG_ZERO
    return None


def _beside(difference: Difference, u: Node, v: Node) -> bool:
    """Whether v = a u + c with a number c > 0."""
    first, second = difference.terms(u), difference.terms(v)
    shared = next((each for each in first if each != ONE and each in second), None)
    if shared is None:
        return False
    rest = plus(second, first, -second[shared] / first[shared])
    return set(rest) == {ONE} and rest[ONE] > 0


def _guarded(rounded: Callable[[Node], Rounded], v: Node) -> bool:
    """Whether v is an input with a small number added."""
    if v.operation != "add":
        return False
    pairs = [(w, constant_of(c)) for w, c in (v.children, v.children[::-1])]
    return any(c is not None and 0 < c <= ADDED and rounded(w) is Rounded.NOT for w, c in pairs)
