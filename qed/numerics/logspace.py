r"""Sums and products of numbers that are kept as logarithms.

A product of a thousand probabilities underflows: 0.5 ^ 1100 is 0 in every format that is in use. Its logarithm,
the sum of the logarithms, is -762.5, an ordinary number. So numbers that are multiplied are kept as
logarithms u = log a, and a sum of such numbers is, for *every* shift m,

    log sum_i exp(u_i)  =  m + log sum_i exp(u_i - m)           because exp(m) factors out.

With m = max u every exponent is at most 0 and one of them is 0, so the sum lies in [1, n] and its logarithm in
[0, log n]: nothing overflows, and what underflows is smaller than the sum's own rounding. Every other shift lacks one
of the two guarantees; `shifts` tries some of them on given numbers. Differences use

    log(exp a - exp b)  =  a + log(1 - exp(b - a)),     log(1 - exp x) = log(-expm1 x)  for x > -log 2,
                                                                        log1p(-exp x)   else.

All functions here work under `jax.jit`, `jax.grad` and `jax.vmap`, keep the dtype, and have derivatives that keep their
digits where `jax.nn.logsumexp` and `jnp.logaddexp` give NaN (all terms -inf) or lose some (terms large beside their
difference). A logarithm of -inf stands for the number 0 and is an ordinary argument.

References: Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax functions*, IMA J. Numer.
Anal. 41 (2021); Maechler, *Accurately computing log(1 - exp(-|a|))*, 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.errors import QedError
from qed.graph.dtypes import is_real

__all__ = [
    "log1mexp",
    "logaddexp",
    "logdiffexp",
    "logmeanexp",
    "logprod",
    "logsumexp",
    "shifts",
    "signed_logsumexp",
]

_LOG_2 = 0.6931472  # where the two forms of log(1 - exp x) change places; they agree on both sides

Axis = int | Sequence[int] | None


def logsumexp(u: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """log sum exp(u): the logarithm of a sum of numbers given by their logarithms.

    Args:
        u: logarithms, a floating-point array; -inf stands for the number 0.
        axis: along which axes to sum; by default along all.
        keepdims: keep those axes with length 1.

    Returns:
        Between max u and max u + log n. The gradient is softmax(u); it is 0 where all of u is -inf, and
        where some u is +inf. The sum of nothing is -inf.

    Raises:
        QedError: QED007 where u holds no floating-point numbers, or has no such axis.

    Example:
        >>> import jax.numpy as jnp
        >>> float(logsumexp(jnp.array([1000.0, 1000.0]))), float(logsumexp(jnp.array([-jnp.inf, -jnp.inf])))
        (1000.6931762695312, -inf)
    """
    u = _floats(u, "logsumexp")
    axes = _axes(u, axis, "logsumexp")
    if any(u.shape[k] == 0 for k in axes):
        return jnp.sum(jnp.exp(u), axis=axes, keepdims=keepdims) - jnp.inf
    shift = largest(u, axes)
    total = shift + jnp.log(sum_exp(u, shift, axes))
    return jnp.expand_dims(total, axes) if keepdims else total


def logmeanexp(u: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """log((1/n) sum exp(u)): the logarithm of a mean, such as a likelihood averaged over samples.

    Args:
        u: logarithms, a floating-point array.
        axis: along which axes; by default along all.
        keepdims: keep those axes with length 1.

    Returns:
        Between max u - log n and max u. The mean of nothing is NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> float(logmeanexp(jnp.array([-1000.0, -1000.0])))
        -1000.0
    """
    u = _floats(u, "logmeanexp")
    axes = _axes(u, axis, "logmeanexp")
    count = 1
    for k in axes:
        count *= u.shape[k]
    if count == 0:
        return jnp.mean(u, axis=axes, keepdims=keepdims)
    shift = largest(u, axes)
    mean = shift + jnp.log(sum_exp(u, shift, axes) / count)
    return jnp.expand_dims(mean, axes) if keepdims else mean


def logaddexp(a: Any, b: Any) -> Any:
    """log(exp a + exp b), elementwise.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(jax.grad(logaddexp)(jnp.float32(1000.0), jnp.float32(1001.0)))  # 1 / (1 + e)
        0.26894143
    """
    a, b = jnp.broadcast_arrays(_floats(a, "logaddexp"), _floats(b, "logaddexp"))
    return logsumexp(jnp.stack(jnp.broadcast_arrays(*_same(a, b))), axis=0)


def logdiffexp(a: Any, b: Any) -> Any:
    """log(exp a - exp b) for a >= b, elementwise.

    Returns:
        -inf where a = b (the difference is the number 0), NaN where a < b: a negative number has no real
        logarithm (`signed_logsumexp` carries the sign). The derivative in a is 1 / (1 - exp(b - a)), inf at a = b.

    Example:
        >>> import jax.numpy as jnp
        >>> print(logdiffexp(jnp.float32(1000.0), jnp.float32(999.0)))  # 1000 + log(1 - 1/e)
        999.5413
    """
    a, b = _same(_floats(a, "logdiffexp"), _floats(b, "logdiffexp"))
    whole = b == -jnp.inf  # nothing is taken away
    below = jnp.where(whole, -1.0, b - a).astype(a.dtype)
    return jnp.where(whole, a, jnp.where(whole, 0.0, a).astype(a.dtype) + log1mexp(below))


def log1mexp(x: Any) -> Any:
    """log(1 - exp x) for x <= 0, elementwise: the logarithm of the complement of a probability exp x.

    Returns:
        -inf at 0, NaN for x > 0. The derivative is -1 / (exp(-x) - 1), -inf at 0; beyond 0 the formula goes on, as
        that of `jax.numpy.log` does for negative numbers, so that a `where` around it has no NaN in its gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> print(log1mexp(jnp.float32(-1e-10)), log1mexp(jnp.float32(-50.0)))
        -23.02585 -1.9287499e-22
    """
    x = _floats(x, "log1mexp")
    near = x > -_LOG_2
    close = jnp.where(near, x, -1.0).astype(x.dtype)
    far = jnp.where(near, -1.0, x).astype(x.dtype)
    return jnp.where(near, jnp.log(0.0 - jnp.expm1(close)), log1p(-jnp.exp(far)))  # 0 - 0, not -0: the slope's sign


def signed_logsumexp(u: Any, signs: Any, axis: Axis = None, *, keepdims: bool = False) -> tuple[Any, Any]:
    """(log |s|, sign of s) of s = sum signs exp(u): a sum of numbers of either sign, given by logarithms.

    Args:
        u: the logarithms of the absolute values.
        signs: weights, broadcast against u; usually -1, 0 and 1. A term of weight 0 does not count, even at u = +inf.
        axis: along which axes; by default along all.
        keepdims: keep those axes with length 1.

    Returns:
        The logarithm of the absolute value (-inf where the terms cancel) and the sign, -1, 0 or 1. Where terms of both
        signs nearly cancel, digits are lost as in every subtraction: the error is that of the largest term.

    Example:
        >>> import jax.numpy as jnp
        >>> size, sign = signed_logsumexp(jnp.array([1000.0, 1001.0]), jnp.array([1.0, -1.0]))
        >>> print(size, sign)  # exp(1000) - exp(1001) = -exp(1000) (e - 1)
        1000.5413 -1.0
    """
    u, weights = _same(_floats(u, "signed_logsumexp"), jnp.asarray(signs))
    u, weights = jnp.broadcast_arrays(u, weights)
    axes = _axes(u, axis, "signed_logsumexp")
    if any(u.shape[k] == 0 for k in axes):
        none = jnp.sum(jnp.exp(u), axis=axes, keepdims=keepdims)
        return none - jnp.inf, none
    counted = jnp.where(weights == 0, -jnp.inf, u).astype(u.dtype)
    shift = largest(counted, axes)
    terms = jnp.exp(relative(counted, jnp.expand_dims(shift, axes)))
    total = jnp.sum(weights * terms, axis=axes)
    empty = shift == -jnp.inf
    size = shift + jnp.log(jnp.where(empty, 1.0, jnp.abs(total)).astype(u.dtype))
    sign = jnp.where(empty, 0.0, jnp.sign(total)).astype(u.dtype)
    return (jnp.expand_dims(size, axes), jnp.expand_dims(sign, axes)) if keepdims else (size, sign)


def logprod(p: Any, axis: Axis = None, *, keepdims: bool = False) -> tuple[Any, Any]:
    """(log |prod p|, sign of prod p): a product that would underflow or overflow, as a sum of logarithms.

    Args:
        p: the factors, of any sign; for probabilities the sign is 1 or, with a factor 0, 0.
        axis: along which axes; by default along all.
        keepdims: keep those axes with length 1.

    Returns:
        The logarithm of the absolute value and the sign, -1, 0 or 1. The product of nothing is 1: (0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> half = jnp.full(1100, 0.5)
        >>> print(jnp.prod(half), logprod(half)[0].round(1))  # 1100 log(1/2) = -762.46
        0.0 -762.5
    """
    p = _floats(p, "logprod")
    axes = _axes(p, axis, "logprod")
    return (
        jnp.sum(jnp.log(jnp.abs(p)), axis=axes, keepdims=keepdims),
        jnp.prod(jnp.sign(p), axis=axes, keepdims=keepdims),
    )


def shifts(u: Any) -> Any:
    """Try the shifts that one might take for log sum exp(u); see `qed.numerics.shifts.shifts`."""
    from qed.numerics.shifts import shifts as tried

    return tried(u)


# --- the parts that the rewriting of whole programs emits one by one -------------------------------------------


def largest(u: Any, axes: tuple[int, ...]) -> Any:
    """The shift: the maximum along axes, of which no derivative is taken (the total does not depend on it)."""
    return jax.lax.stop_gradient(jnp.max(u, axis=axes))


def relative(u: Any, shift: Any) -> Any:
    """u - shift; where the shift is infinite, 0 for the elements that reach it, else -inf. What is NaN stays NaN."""
    finite = ~jnp.isinf(shift)
    return jnp.where(finite, u - shift, jnp.where(u == shift, 0.0, -jnp.inf).astype(u.dtype))


def exp_below(u: Any, shift: Any) -> Any:
    """exp(u - shift), what u - shift rounds off put back: it would count |u - shift| times."""
    below = relative(u, shift)
    of_shift = below - u
    rest = jax.lax.stop_gradient((u - (below - of_shift)) - (shift + of_shift))
    power = jnp.exp(below)
    return (power + power * jnp.where(jnp.isfinite(rest), rest, 0)).astype(u.dtype)


def sum_exp(u: Any, shift: Any, axes: tuple[int, ...]) -> Any:
    """sum exp(u - shift), between 1 and n for the shift of `largest`."""
    return jnp.sum(exp_below(u, jnp.expand_dims(shift, axes)), axis=axes)


def sum_exp_minus_one(u: Any, shift: Any, axes: tuple[int, ...]) -> Any:
    """sum exp(u - shift) - 1, the largest term being 1: the sum of the others, with all its digits."""
    shift = jnp.expand_dims(shift, axes)
    of_largest = jnp.expm1(relative(u, shift))
    return jnp.sum(jnp.where(one_of_largest(u, axes), of_largest, exp_below(u, shift)), axis=axes)


def one_of_largest(u: Any, axes: tuple[int, ...]) -> Any:
    """True at one of the largest elements along axes, found by its place.

    A compiler may compute u anew wherever it is read, with another rounding each time (a product and a subtraction
    in one step): a largest element that is found by u = max u is then found in one place and not in another.

    Example:
        >>> import jax.numpy as jnp
        >>> print(one_of_largest(jnp.array([1.0, 3.0, 3.0]), (0,)))
        [False  True False]
    """
    u = jax.lax.stop_gradient(u)
    axes = tuple(sorted(k % u.ndim for k in axes))
    kept = tuple(k for k in range(u.ndim) if k not in axes)
    rows = jnp.transpose(u, kept + axes)
    flat = rows.reshape(*(u.shape[k] for k in kept), -1)
    # JAX writes argmax out when it compiles, in the dtypes that are enabled then: not for float64 inside float32
    long = flat.dtype == np.float64
    first = jax.lax.top_k(flat, 1)[1] if long else jax.lax.argmax(flat, flat.ndim - 1, np.int32)[..., None]
    found = first == jax.lax.broadcasted_iota(np.int32, flat.shape, flat.ndim - 1)
    return jnp.transpose(found.reshape(rows.shape), tuple(np.argsort(kept + axes).tolist()))


@jax.custom_jvp
def log1p(x: Any) -> Any:
    """log(1 + x). XLA's loses 8 bits of float64 between -1/2 and 1/sqrt(2) - 1, where log keeps them."""
    x = jnp.asarray(x)
    if x.dtype != jnp.float64:
        return jnp.log1p(x)
    return jnp.where(x < -0.29, jnp.log(1 + x), jnp.log1p(x))


@log1p.defjvp
def _log1p_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (along,) = primals, tangents
    return log1p(x), along / (1 + x)


# --- arguments -------------------------------------------------------------------------------------------------


def _floats(u: Any, name: str) -> Any:
    u = jnp.asarray(u)
    if not is_real(u.dtype):
        raise QedError(
            "QED007",
            f"{name} needs real floating-point numbers",
            f"it was given an array of dtype {u.dtype}",
            "convert it: jnp.asarray(u, dtype=float)",
        )
    return u


def _same(a: Any, b: Any) -> tuple[Any, Any]:
    dtype = jnp.result_type(a, b)
    return a.astype(dtype), b.astype(dtype)


def _axes(u: Any, axis: Axis, name: str) -> tuple[int, ...]:
    wanted = range(u.ndim) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    found = tuple(k + u.ndim if k < 0 else k for k in wanted)
    if any(not 0 <= k < u.ndim for k in found) or len(set(found)) < len(found):
        raise QedError(
            "QED007",
            f"{name} cannot sum along axis {axis}",
            f"the array has the shape {list(u.shape)}",
            f"name axes between {-u.ndim} and {u.ndim - 1}, each once" if u.ndim else "leave axis out",
        )
    return found
