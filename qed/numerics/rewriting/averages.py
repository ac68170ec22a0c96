"""Logarithms of means and of running sums of exponentials, with derivatives that keep their digits.

*Mean.* log((1/n) sum exp u) is small where the mean is near 1, and shift - log n + log(sum) cancels there. It is
log1p((1/n) sum expm1 u), whose terms are as small as the u themselves; used where max u is near 0 and the mean is above
1/2. The derivative is softmax(u).

*Running sums.* y_j = log sum_(i <= j) exp u_i has the derivative sum_(i <= j) exp(u_i - y_j) du_i. The exponent rounds
as much as y does, log2 |y| bits. With M_j = max_(i <= j) u_i the sums

    S_j = sum_(i <= j) exp(u_i - M_j),        T_j = sum_(i <= j) exp(u_i - M_j) du_i

are joined in pairs, (M, S, T) and (M', S', T') to max(M, M') and the sums weighted by exp(M - max), exp(M' - max); the
derivative is T/S, linear in du, forward and transposed.

References: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021; Blelloch,
*Prefix sums and their applications*, 1990.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.kernels import softmax


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_mean_exp(u: Any, axes: tuple[int, ...]) -> Any:
    """log of the mean of exp(u) along axes.

    Example:
        >>> import jax.numpy as jnp
        >>> u = jnp.array([3e-5, -1e-5], jnp.float32)
        >>> print(f"{log_mean_exp(u, (0,)):.5g} {jnp.log(jnp.mean(jnp.exp(u))):.5g}")
        1e-05 1.0014e-05
    """
    shift = logspace.largest(u, axes)
    count = math.log(math.prod(u.shape[k] for k in axes))
    far = (shift - jnp.asarray(count, u.dtype)) + logspace.log1p(logspace.sum_exp_minus_one(u, shift, axes))
    beside = (shift > -1) & (shift < count + 1)
    rest = jnp.mean(jnp.expm1(jnp.where(jnp.expand_dims(beside, axes), u, 0).astype(u.dtype)), axis=axes)
    near = beside & (rest > -0.5)
    return jnp.where(near, logspace.log1p(jnp.where(near, rest, 0).astype(u.dtype)), far)


@log_mean_exp.defjvp
def _log_mean_exp_slope(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u,), (along,) = primals, tangents
    return log_mean_exp(u, axes), jnp.sum(softmax(u, axes) * along, axis=axes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def running_logsumexp(u: Any, axis: int, reverse: bool) -> Any:
    """log of the running sums of exp(u) along an axis, from its end where it is reversed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(jax.grad(lambda u: running_logsumexp(u, 0, False)[1])(jnp.array([120.0, 120.0])))
        [0.5 0.5]
    """
    return jax.lax.cumlogsumexp(u, axis, reverse)


@running_logsumexp.defjvp
def _running_slope(axis: int, reverse: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u,), (along,) = primals, tangents

    def joined(first: Any, second: Any) -> Any:
        top = jnp.maximum(first[0], second[0])
        finite = jnp.isfinite(top)
        a, b = (jnp.exp(jnp.where(finite, m[0] - top, 0).astype(u.dtype)) for m in (first, second))
        return top, a * first[1] + b * second[1], a * first[2] + b * second[2]

    whole = (jax.lax.stop_gradient(u), jnp.ones_like(u), along)
    _, total, slope = jax.lax.associative_scan(joined, whole, reverse=reverse, axis=axis)
    return running_logsumexp(u, axis, reverse), slope / total


LOG_MEAN_EXP = Operation("log_mean_exp", log_mean_exp, whole=True)
RUNNING = Operation("cumlogsumexp", running_logsumexp, whole=True)
