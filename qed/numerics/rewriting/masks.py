"""Softmax with weights, w exp(u) / sum(w exp(u)): attention whose mask is data.

The shift M is the largest u + log|w|, so that what is masked cannot overflow. With e = exp(u - M) / sum(w exp(u - M))
and p = w e the derivative is

    dp = s - p sum(s),        s = p du + e dw

of which the terms cancel where one p is near 1. As in `kernels.softmax`, s is replaced by s - p t with t = s_r / p_r
for r with the largest p: that of r is exactly 0, and what r gets is minus the sum of the others.

Reference: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting.forms import Form
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import source_of, spread_along
from qed.numerics.rewriting.signs import Sign
from qed.numerics.rewriting.sums import scaled

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

MASKED = Law("w exp(a) / sum(w exp(a)) = w exp(a - m) / sum(w exp(a - m))", "always")


def _parts(w: Any, u: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """w exp(u) and exp(u), each over sum(w exp(u))."""
    seen = jnp.where(w == 0, -jnp.inf, u + jnp.log(jnp.where(w == 0, 1, jnp.abs(w))))
    shift = jax.lax.stop_gradient(jnp.max(seen, axis=axes, keepdims=True))
    shift = jnp.where(jnp.isfinite(shift), shift, 0)
    limit = jnp.log(jnp.finfo(u.dtype).max) - 1
    terms = jnp.exp(jnp.where(w == 0, jnp.minimum(u - shift, limit), u - shift).astype(u.dtype))
    total = jnp.sum(w * terms, axis=axes, keepdims=True)
    return w * terms / total, terms / total


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def masked_softmax(w: Any, u: Any, axes: tuple[int, ...]) -> Any:
    """w exp(u) / sum(w exp(u)) along axes; NaN where every w is 0, and its derivative 0 there.

    Example:
        >>> import jax.numpy as jnp
        >>> print(masked_softmax(jnp.array([0.0, 1.0, 1.0]), jnp.array([900.0, 100.0, 100.0]), (0,)))
        [0.  0.5 0.5]
    """
    return _parts(w, u, axes)[0]


@masked_softmax.defjvp
def _masked_softmax_slope(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    w, u = primals
    value, e = _parts(w, u, axes)
    nothing = jnp.all(w == 0, axis=axes, keepdims=True)
    p, e = (jnp.where(nothing, 0, part).astype(part.dtype) for part in (value, e))
    first = (p == jnp.max(p, axis=axes, keepdims=True)).astype(p.dtype)
    largest = jax.lax.stop_gradient(first / jnp.maximum(jnp.sum(first, axis=axes, keepdims=True), 1))
    at = jnp.sum(
        largest * (tangents[1] + tangents[0] / jnp.where((largest > 0) & ~nothing, w, 1)), axis=axes, keepdims=True
    )
    beside = p * (tangents[1] - at) + e * tangents[0]  # w e is 0 where e w would be 0 times infinity, transposed
    inner = beside - p * jnp.sum(beside, axis=axes, keepdims=True)
    return value, inner - largest * jnp.sum(inner, axis=axes, keepdims=True)


MASKED_SOFTMAX = Operation("masked_softmax", lambda w, u, axes: masked_softmax(w, u, axes), whole=True)


def masked_softmax_of(log: Logarithm, a: Node, below: Form) -> Node | None:
    """a / exp(below), where a = w exp(u) and below is the logarithm of the sum of the same, its axes put back."""
    only = below.terms[0] if len(below.terms) == 1 else None
    source = source_of(only.node) if only is not None and only.coefficient == 1 else None
    if only is None or source is None or source.operation not in ("logsumexp", "weighted_logsumexp"):
        return None
    axes = source.params["axes"]
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    if a.shape != source.children[-1].shape or not spread_along(only.node, source, kept):
        return None
    parts = _of_any_sign(log, a, source) if source.operation == "weighted_logsumexp" else _of_mask(log, a, source)
    return None if parts is None else log.emit(MASKED_SOFTMAX, *parts, axes=axes)


def _of_any_sign(log: Logarithm, a: Node, source: Node) -> tuple[Node, Node] | None:
    """The w and u of log sum w exp(u), where a node is w exp(u)."""
    w, u = source.children
    above = scaled(log, a)
    if above is None or above[0] is None:
        return None
    same = log.algebra.filled(above[0], a.shape) is w and log.algebra.filled(log.whole(above[1], a), a.shape) is u
    return (w, u) if same else None


def _of_mask(log: Logarithm, a: Node, source: Node) -> tuple[Node, Node] | None:
    """w >= 0, which may be 0, and u, where a node is w exp(u) and u + log w is what the sum is of."""
    form = log.gained(a) if a.operation == "mul" and a.equation is not None else None
    if form is None or form.fragile or log.algebra.filled(log.whole(form, a), a.shape) is not source.children[0]:
        return None
    for w, e in (a.children, a.children[::-1]):
        of_e = log.gained(e)
        nothing_known = log.gained(w) is None and log.sign(w) == Sign.NONNEGATIVE
        if nothing_known and of_e is not None and not of_e.fragile:
            filled = log.algebra.filled
            return filled(w, a.shape), filled(log.whole(of_e, e), a.shape)
    return None
