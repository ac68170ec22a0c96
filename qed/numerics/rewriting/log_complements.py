"""log(1 - p) of entries of a softmax: the logarithm of the sum of the others, which may lie far below 1 - p's range.

::

    log(1 - p_i) = log sum_(j != i) exp(u_j) - log sum_j exp(u_j)
    d = -p_i (du_i - sum_(j != i) q_j du_j),        q = the softmax of the others

At most one p_i of a row is above 1/2; for the others it is log1p(-p_i), whose digits p_i has. -log1p(-exp(log p_i)), in
its place, rounds log p_i, and with it p_i, by |log p_i| times as much, and is infinite where log p_i rounds to 0.

Unlikelihood training, noisy-or and one-against-the-rest losses are made of these.

Reference: Welleck, Kulikov, Roller, Dinan, Cho and Weston, *Neural text generation with unlikelihood training*, 2020.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.kernels import softmax
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.picks import PICK, chain, picked_from, taken
from qed.numerics.rewriting.scales import constant_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm


def _without_largest(u: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """softmax(u), where it is above 1/2, and u with -inf there."""
    p = softmax(u, axes)
    most = p > 0.5
    return p, most, jnp.where(most, -jnp.inf, u).astype(u.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_beside_softmax(u: Any, axes: tuple[int, ...]) -> Any:
    """log(1 - softmax(u)) along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(log_beside_softmax(jnp.array([400.0, 0.0]), (0,)))
        [-400.   -0.]
    """
    p, most, rest = _without_largest(u, axes)
    others = jnp.sum(jnp.where(most, 0, p), axis=axes, keepdims=True)
    largest, of_rest = (jnp.expand_dims(logspace.largest(each, axes), axes) for each in (u, rest))
    sums = [
        jnp.sum(logspace.exp_below(each, shift), axis=axes, keepdims=True)
        for each, shift in ((u, largest), (rest, of_rest))
    ]
    far = jnp.where(of_rest == -jnp.inf, -jnp.inf, of_rest - largest + jnp.log(sums[1]) - jnp.log(sums[0]))
    usable = others > float(jnp.finfo(p.dtype).tiny) / float(jnp.finfo(p.dtype).eps)
    above = jnp.where(usable, jnp.log(jnp.where(usable, others, 1)), far)
    return jnp.where(most, above, jnp.log1p(-jnp.where(most, 0, p))).astype(u.dtype)


@log_beside_softmax.defjvp
def _log_beside_softmax_slope(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u,), (t,) = primals, tangents
    p, most, rest = _without_largest(u, axes)
    alone = jnp.expand_dims(logspace.largest(rest, axes), axes) == -jnp.inf
    q = jnp.where(alone, 0, softmax(jnp.where(alone, 0, rest), axes)).astype(p.dtype)
    first = (p == jnp.max(p, axis=axes, keepdims=True)).astype(p.dtype)
    largest = jax.lax.stop_gradient(first / jnp.maximum(jnp.sum(first, axis=axes, keepdims=True), 1))
    beside = t - jnp.sum(largest * t, axis=axes, keepdims=True)  # all slopes are of differences
    of_all, of_others = (jnp.sum(each * beside, axis=axes, keepdims=True) for each in (p, q))
    small = jnp.where(most, 0, p)
    slope = jnp.where(most, p * of_others, (small / (1 - small)) * (of_all - beside))
    return log_beside_softmax(u, axes), slope.astype(u.dtype)


LOG_OTHERS = Law("log(1 - softmax(a)_i) = log(sum(exp(a_j)) over j != i) - logsumexp(a)", "always")
LOG_BESIDE = Operation("log_beside_softmax", lambda u, axes: log_beside_softmax(u, axes), whole=True)


def log_of_rest(log: Logarithm, argument: Node) -> Node | None:
    """log(1 - p), where a node is -expm1(log p), as `complements` makes it of an entry of a softmax."""
    inner = argument.children[0] if argument.operation == "neg" and argument.equation is None else None
    if inner is None or inner.operation != "expm1" or inner.equation is not None:
        return None
    value = log_beside(log, inner.children[0])
    return value if value is not None and value.shape == argument.shape else None


def log_beside(log: Logarithm, entry: Node) -> Node | None:
    """log(1 - p), where a node is the logarithm of entries p of a softmax, as `log_softmax.entry` makes it."""
    if entry.operation == "log_softmax_at":
        s, factor = entry.children[0], entry.params["factor"]
        number = log.algebra.number(factor, s)
        scale = stable.DIV if entry.params["divides"] else stable.MUL
        u = s if factor == 1 else log.emit(scale, s, number)
        value = log.emit(LOG_BESIDE, u, axes=(0,))
        return log.emit(PICK, value, shape=(), index=(entry.params["index"],), axes=(0,))
    source = picked_from(entry)
    if source.operation != "tempered_log_softmax" or source.equation is not None:
        return None
    s, c = source.children
    moves = chain(entry, source)
    if moves is None or constant_of(c) != 1 or s.shape != source.shape:
        return None
    return taken(log.builder, moves, log.emit(LOG_BESIDE, s, axes=source.params["axes"]))


__all__ = ["LOG_BESIDE", "LOG_OTHERS", "log_beside", "log_beside_softmax", "log_of_rest"]
