"""The sum of p log p of a softmax, with the derivative of the entropy in its logits.

::

    h = sum p log p,    p = softmax(u):        dh = sum p (log p - h) du

Through p alone the derivative is that of p log p, log p + 1, times that of the softmax, p (t - sum p t). The 1 drops
out of it: where one p is near 1, log p is far below the rounding error of log p + 1, and nothing is left of it. With r
the largest p, log p - h is (log p - log p_r) - sum p (log p - log p_r), of which nothing cancels for r.

Reference: Williams and Peng, *Function optimization using connectionist reinforcement learning algorithms*, 1991 (the
entropy of a policy as a term of its objective).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics.rewriting import stable
from qed.numerics.rewriting.balanced import beside_mean
from qed.numerics.rewriting.forms import Form
from qed.numerics.rewriting.kernels import x_log_x
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import source_of, spread_along

if TYPE_CHECKING:
    from qed.numerics.rewriting.recursion import Logarithm

ENTROPY = Law("sum(p log(p)) of p = softmax(u), its derivative p (log(p) - sum(p log(p))) u'", "always")


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def sum_p_log_p(u: Any, p: Any, log: Any, axes: tuple[int, ...]) -> Any:
    """sum(p log p) along axes, differentiated in u alone.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> u = jnp.array([30.0, 0.0])
        >>> f = lambda u: sum_p_log_p(u, jax.nn.softmax(u), jnp.array([-9.357623e-14, -30.0]), (0,))
        >>> print(jax.grad(f)(u)[0])  # 30 exp(-30) = 2.807287e-12
        2.807287e-12
    """
    return jnp.sum(x_log_x(p, log), axis=axes)


@sum_p_log_p.defjvp
def _slope(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    _, p, log = primals
    slope = p * beside_mean(jnp.where(p == 0, 0, log).astype(p.dtype), p, axes)
    return sum_p_log_p(*primals, axes), jnp.sum(slope * tangents[0], axis=axes)


SUM_P_LOG_P = Operation("sum_p_log_p", lambda u, p, log, axes: sum_p_log_p(u, p, log, axes), whole=True)


def negative_entropy(log: Logarithm, node: Node) -> Node | None:
    """A sum of p log p over at least the axes of the softmax that p is."""
    child, axes = node.children[0], tuple(node.params["axes"])
    negative = child.operation == "neg"
    child = child.children[0] if negative else child
    if child.operation != "x_log_x":
        return None
    p, logarithm = child.children
    form = log.gained(p)
    found = None if form is None else softmax_in(form, p)
    if found is None or not set(found[1]) <= set(axes):
        return None
    u, inner = found
    rows = tuple(n for i, n in enumerate(p.shape) if i not in inner)
    kept = [i for i in range(len(p.shape)) if i not in inner]
    value = log.emit(SUM_P_LOG_P, u, p, logarithm, axes=inner, shape=rows)
    rest = tuple(kept.index(i) for i in axes if i not in inner)
    if rest:
        value = log.emit(stable.SUM, value, axes=rest, shape=node.shape)
    return log.algebra.negative(value) if negative else value


def softmax_in(form: Form, p: Node) -> tuple[Node, tuple[int, ...]] | None:
    """u and the axes, where a form is u - log(sum(exp(u))) along axes that are kept."""
    if len(form.terms) != 2:
        return None
    one, total = sorted(form.terms, key=lambda term: -term.coefficient)
    source = source_of(total.node)
    if (one.coefficient, total.coefficient) != (1, -1) or one.node.shape != p.shape:
        return None
    outer, inside = source, source.children[0] if source.children else source
    if source.operation == "log":
        source = source_of(inside)
        if source.operation != "reduce_sum" or source.children[0].operation != "exp":
            return None
        inside = source.children[0].children[0]
        if outer is not inside and not _same_elements(outer, source):
            return None
    elif source.operation != "logsumexp":
        return None
    axes = tuple(source.params["axes"])
    kept = tuple(1 if i in axes else n for i, n in enumerate(p.shape))
    if inside is not one.node or not spread_along(total.node, outer, kept):
        return None
    return inside, axes


def _same_elements(outer: Node, source: Node) -> bool:
    """Whether the logarithm is of the sum itself, its axes put back or not."""
    return len(outer.children) == 1 and [n for n in outer.shape if n != 1] == [n for n in source.shape if n != 1]


__all__ = ["ENTROPY", "SUM_P_LOG_P", "negative_entropy", "softmax_in", "sum_p_log_p"]
