r"""Logarithms of running sums of exponentials beside the last of them: partial likelihoods and losses of rankings.

::

    log sum_(j <= i) exp(u_j) - u_i = softplus(t_i),        t_i = log sum_(j < i) exp(u_j) - u_i
    d = w_i (D_i - du_i),        w_i = sigmoid(t_i),        D_(i+1) = w_i D_i + (1 - w_i) du_i

Where u_i is the largest so far the left side is small, and the difference of two logarithms has lost it. The sums are
kept as the largest term and a number in [1, i]; what the largest less u_i rounds off is put back, as it counts |t|
times in exp(t). D_i is the mean of du under the weights of the terms before i.

References: Cox, *Regression models and life-tables*, 1972; Xia, Liu, Wang, Zhang and Li, *Listwise approach to learning
to rank*, 2008.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Builder, Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.laws import Law

RUNNING_ENTRY = Law("log(sum(exp(a_j)) over j <= i) - a_i = softplus(log(sum(exp(a_j)) over j < i) - a_i)", "always")


def _before(u: Any, axis: int, reverse: bool) -> tuple[Any, Any]:
    """t_i as a number and what it leaves out."""

    def joined(a: Any, b: Any) -> tuple[Any, Any]:
        (m, s), (n, t) = a, b
        high = jnp.maximum(m, n)
        first, second = (jnp.where(x == high, 1, jnp.exp(x - jnp.where(x == high, x, high))) for x in (m, n))
        return high, s * first + t * second

    moved = jnp.moveaxis(u, axis, 0)
    high, total = jax.lax.associative_scan(joined, (moved, jnp.ones_like(moved)), reverse=reverse)
    nothing = jnp.full_like(moved[:1], -jnp.inf)
    parts = (high[1:], nothing) if reverse else (nothing, high[:-1])
    ones = jnp.ones_like(moved[:1])
    totals = (total[1:], ones) if reverse else (ones, total[:-1])
    high, total = jnp.concatenate(parts), jnp.concatenate(totals)
    gap = high - moved
    of_high = gap + moved
    rest = (high - of_high) + (of_high - gap - moved)
    more = jnp.where(jnp.isfinite(gap), rest, 0) + jnp.log(total)
    t = gap + more
    low = jnp.where(jnp.isfinite(t), (gap - (t - (t - gap))) + (more - (t - gap)), 0)
    t, low = (jnp.moveaxis(each.astype(u.dtype), 0, axis) for each in (t, low))
    return t, low


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def running_less_last(u: Any, axis: int, reverse: bool) -> Any:
    """cumlogsumexp(u) - u along an axis.

    Example:
        >>> import jax.numpy as jnp
        >>> print(running_less_last(jnp.array([0.0, 40.0, 1.0]), 0, False))
        [0.000000e+00 4.248354e-18 3.900000e+01]
    """
    if not u.shape[axis]:
        return u
    t, low = _before(u, axis, reverse)
    return (jax.nn.softplus(t) + jax.nn.sigmoid(t) * low).astype(u.dtype)


@running_less_last.defjvp
def _running_slope(axis: int, reverse: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u,), (along,) = primals, tangents
    value = running_less_last(u, axis, reverse)
    if not u.shape[axis]:
        return value, along
    t, low = _before(u, axis, reverse)
    first = jax.nn.sigmoid(t)
    w, own = first * (1 + jax.nn.sigmoid(-t) * low), jax.nn.sigmoid(-t)
    w, own = (jnp.where(jnp.isnan(t), 0, each) for each in (w, own))  # -inf after nothing else
    w, own, along = (jnp.moveaxis(each, axis, 0) for each in (w, own, along))
    mean = _means(w, own * along, reverse)
    return value, jnp.moveaxis(w * (mean - along), 0, axis).astype(u.dtype)


def _means(w: Any, b: Any, reverse: bool) -> Any:
    """D_i of D_(i+1) = w_i D_i + b_i, along the first axis, from D_0 = 0."""

    def joined(x: Any, y: Any) -> tuple[Any, Any]:
        return x[0] * y[0], y[0] * x[1] + y[1]

    found = jax.lax.associative_scan(joined, (w, b), reverse=reverse)[1]
    nothing = jnp.zeros_like(found[:1])
    return jnp.concatenate([found[1:], nothing] if reverse else [nothing, found[:-1]])


RUNNING_LESS_LAST = Operation(
    "cumlogsumexp_less_last", lambda u, axis, reverse: running_less_last(u, axis, reverse), whole=True
)


def running_entry(builder: Builder, total: Node, u: Node) -> Node | None:
    """cumlogsumexp(u) - u, or both reversed."""
    turned = total.operation == "rev" and total.equation is not None
    running = total.children[0] if turned else total
    if running.operation != "cumlogsumexp" or total.shape != u.shape or builder.derivative:
        return None
    (inner,) = running.children
    reverse = bool(running.params["reverse"])
    if turned:
        same = inner.operation == "rev" and inner.params == total.params and inner.children[0] is u
        if not same or tuple(total.params["dimensions"]) != (running.params["axis"],):
            return None
        reverse = not reverse
    elif inner is not u:
        return None
    return builder.emit(RUNNING_LESS_LAST, u, axis=int(running.params["axis"]), reverse=reverse)


def difference_of(builder: Builder, node: Node) -> Node | None:
    """The running entry that a difference is, or its negative."""
    first, second = node.children
    found = running_entry(builder, first, second)
    if found is not None:
        return found
    found = running_entry(builder, second, first)
    return None if found is None else builder.emit(stable.NEG, found)


__all__ = ["RUNNING_ENTRY", "RUNNING_LESS_LAST", "difference_of", "running_entry", "running_less_last"]
