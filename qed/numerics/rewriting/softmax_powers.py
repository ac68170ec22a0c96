"""The logarithm of a sum of powers of a softmax: Renyi's entropy, concentration, effective sample sizes.

::

    log sum p^k = log(1 + s_k) - k log(1 + s_1),    s_k = sum_(i != r) exp(k (u_i - u_r)),    p = softmax(u)

for the largest u_r: it is 0 up to a small rest where p_r is near 1, and p_r has lost that when it was rounded. In the
derivative k (softmax(k u) - softmax(u)) both shares of r are near 1 then; as all of it sums to 0, that of r is minus
the sum of the others. The effective number of weights w = exp(u) is sum(w)^2 / sum(w^2) = exp(-log sum p^2).

References: Renyi, *On measures of entropy and information*, 1961; Kong, Liu and Wong, *Sequential imputations and
Bayesian missing data problems*, 1994, for the effective sample size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from qed.graph.build import Node, Operation
from qed.numerics import logspace
from qed.numerics.rewriting.laws import Law
from qed.numerics.rewriting.scales import constant_of

if TYPE_CHECKING:
    from qed.numerics.rewriting.forms import Form
    from qed.numerics.rewriting.recursion import Logarithm

POWERS = Law(
    "log(sum(softmax(a)**k)) = log(1 + s(k)) - k log(1 + s(1)), s(k) = sum of the others' exp(k (a - max(a)))", "always"
)


def _parts(u: Any, k: float, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Where the largest u is, and exp(u - max(u)) and its power k elsewhere, what u - max(u) rounds off put back."""
    shift = jnp.expand_dims(logspace.largest(u, axes), axes)
    first = logspace.one_of_largest(u, axes)
    below = logspace.relative(u, shift)
    of_shift = below - u
    rest = (u - (below - of_shift)) - (shift + of_shift)
    rest = jnp.where(jnp.isfinite(rest), rest, 0)
    one, power = jnp.exp(below), jnp.exp(jnp.asarray(k, u.dtype) * below)
    one, power = one + one * rest, power + power * (k * rest)
    return first, jnp.where(first, 0, one).astype(u.dtype), jnp.where(first, 0, power).astype(u.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def log_sum_of_powers(u: Any, k: float, axes: tuple[int, ...]) -> Any:
    """log(sum(softmax(u)**k)) along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_sum_of_powers(jnp.array([30.0, 0.0]), 2.0, (0,)):.5g}")  # -2 exp(-30)
        -1.8715e-13
    """
    _, one, power = _parts(u, k, axes)
    others, of_powers = jnp.sum(one, axis=axes), jnp.sum(power, axis=axes)
    found = logspace.log1p(of_powers) - k * logspace.log1p(others)
    return jnp.where(logspace.largest(u, axes) == -jnp.inf, jnp.nan, found).astype(u.dtype)


@log_sum_of_powers.defjvp
def _slope(k: float, axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    first, one, power = _parts(primals[0], k, axes)
    others, of_powers = (1 + jnp.sum(each, axis=axes, keepdims=True) for each in (one, power))
    beside = power / of_powers - one / others
    slope = jnp.where(first, -jnp.sum(beside, axis=axes, keepdims=True), beside)
    slope = jnp.where(first & (others > 2), 1 / of_powers - 1 / others, slope)
    return log_sum_of_powers(primals[0], k, axes), jnp.sum(k * slope.astype(one.dtype) * tangents[0], axis=axes)


LOG_SUM_OF_POWERS = Operation("log_sum_of_powers", lambda u, k, axes: log_sum_of_powers(u, k, axes), whole=True)


def of_powers(
    log: Logarithm, node: Node, form: Form, softmax_of: Callable[[Form, Node], tuple[Node, tuple[int, ...]] | None]
) -> tuple[Node, tuple[Law, ...]] | None:
    """log of a sum of powers of a softmax, where `form` is the logarithm of what is summed."""
    live = [t for t in form.terms if t.coefficient]
    k = max((t.coefficient for t in live), default=0.0)
    if len(live) != 2 or k <= 1 or min(t.coefficient for t in live) != -k:
        return None
    child = node.children[0]
    plain = replace(form, terms=tuple(replace(t, coefficient=t.coefficient / k) for t in live))
    found = softmax_of(plain, child)
    if found is None or found[1] != tuple(node.params["axes"]):
        return None
    return log.emit(LOG_SUM_OF_POWERS, found[0], k=k, axes=found[1], shape=node.shape), (POWERS,)


def merged(form: Form, emit: Callable[..., Node]) -> Form | None:
    """The form with c log(sum(exp(k u))) - c k log(sum(exp(u))) written as c log(sum(softmax(u)**k))."""
    sums = [t for t in form.terms if t.node.operation == "logsumexp" and t.coefficient]
    for one in sums:
        for power in sums:
            u, v = one.node.children[0], power.node.children[0]
            k = _multiple(v, u)
            if k is None or one.coefficient != -k * power.coefficient or one.node.params != power.node.params:
                continue
            axes = one.node.params["axes"]
            value = emit(LOG_SUM_OF_POWERS, u, k=k, axes=axes, shape=one.node.shape)
            term = replace(power, node=value, shift=None, rest=None)
            rest = tuple(t for t in form.terms if t is not one and t is not power)
            return replace(form, terms=(*rest, term), laws=(*form.laws, POWERS))
    return None


def _multiple(v: Node, u: Node) -> float | None:
    """k > 1, where v is k u."""
    if v.operation != "mul" or u not in v.children or v.shape != u.shape:
        return None
    k = constant_of(v.children[0] if v.children[1] is u else v.children[1])
    return k if k is not None and k > 1 else None


__all__ = ["LOG_SUM_OF_POWERS", "POWERS", "log_sum_of_powers", "merged", "of_powers"]
