r"""Free energies T log sum exp(s/T), softmaxes and log-softmaxes of s/T, with derivatives in the temperature T.

With z = s/T, p = softmax(z) and the largest s_r as the reference,

    F = T log sum_j exp(s_j/T) = s_r + T L,     L = log sum_j exp((s_j - s_r)/T),
    dF = sum_j p_j ds_j + H dT,                 H = -sum_j p_j log p_j = sum_j p_j (L - (s_j - s_r)/T),

every term of H is positive, while log sum exp(z) - sum p z, which the product rule has, cancels. Of a mean, or of
weights w of a sum W <= 1, H is log W - sum_j w_j/W phi(y_j), y = log(p W/w), phi(y) = y e^y - e^y + 1 >= 0, the
divergence of p from w (Gibbs): nothing cancels near p = w. A softmax does not change where all s are shifted; so

    dp_i/dT = -p_i sum_j p_j (s_i - s_j)/T^2

is found from the differences to s_r, and (s_j - s_r)/T is divided with what its rounding leaves out, which counts in
the exponential |s_j - s_r|/T times. An inverse temperature c, z = c s, is the same with T = 1/c.

References: Jaynes, *Information theory and statistical mechanics*, Physical Review 106, 1957; Blanchard, Higham and
Higham, *Accurately computing the log-sum-exp and softmax functions*, 2021.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.averages import log_mean_exp
from qed.numerics.rewriting.difference_factory import exact_product
from qed.numerics.rewriting.entropy import relative_entropy

Axes = tuple[int, ...]


def _kept(c: Any, axes: Axes) -> Any:
    """A scale, a number or one for each sum, against what is summed."""
    return jnp.expand_dims(c, axes) if jnp.ndim(c) else c


def scaled_gaps(s: Any, at: Any, c: Any, divides: bool) -> tuple[Any, Any]:
    """c (s - at), or (s - at)/c, and what its rounding leaves out.

    Example:
        >>> import jax.numpy as jnp
        >>> q, rest = scaled_gaps(jnp.float32(1.0), jnp.float32(0.0), jnp.float32(3.0), True)
        >>> print(q, f"{rest:.2g}")  # 1/3 - 0.33333334
        0.33333334 -9.9e-09
    """
    d = s - at
    of_at = d - s
    more = (s - (d - of_at)) - (at + of_at)
    c = jnp.broadcast_to(c, d.shape)
    if divides:
        q = d / c
        product, low = exact_product(q, c)
        rest = (((d - product) - low) + more) / c
    else:
        q, low = exact_product(d, c)
        rest = low + more * c
    return q, jnp.where(jnp.isfinite(q) & jnp.isfinite(rest), rest, 0).astype(s.dtype)


def _reference(s: Any, c: Any, w: Any, axes: Axes, divides: bool) -> Any:
    """The s of the largest w exp(z); 0 where there is none, or an infinite one."""
    z = s / c if divides else s * c
    seen = z if w is None else jnp.where(w == 0, -jnp.inf, z + jnp.log(jnp.where(w == 0, 1, jnp.abs(w))))
    at = jnp.sum(jnp.where(logspace.one_of_largest(seen, axes), s, 0), axis=axes, keepdims=True)
    return jnp.where(jnp.isfinite(at), at, 0).astype(s.dtype)


def _terms(s: Any, c: Any, w: Any, axes: Axes, divides: bool) -> tuple[Any, Any, Any]:
    """The reference, z less that of the reference, 0 where w is 0, and exp of it, not beyond the largest number."""
    c = _kept(c, axes)
    at = _reference(s, c, w, axes, divides)
    q, rest = scaled_gaps(s, at, c, divides)
    z, power = q + rest, q
    if w is not None:
        z = jnp.where(w == 0, 0, z).astype(q.dtype)
        power = jnp.where(w == 0, jnp.minimum(q, jnp.log(jnp.finfo(q.dtype).max) - 1), q).astype(q.dtype)
    power = jnp.exp(power)
    return at, z, jnp.where(rest == 0, power, power + power * rest)


def _log_sum(z: Any, e: Any, axes: Axes) -> Any:
    """log sum exp(z), z <= 0 and 0 for the largest: of 1 and the others."""
    terms = jnp.where(logspace.one_of_largest(z, axes), jnp.expm1(z), e)
    return logspace.log1p(jnp.sum(terms, axis=axes, keepdims=True))


def _divergence(z: Any, log: Any, w: Any, axes: Axes) -> Any:
    """sum w phi(z - log), w of the sum 1."""
    y = z - log
    return jnp.sum(w * relative_entropy(jnp.exp(y), jnp.ones_like(y), jnp.expm1(y)), axis=axes, keepdims=True)


def _mean(z: Any, axes: Axes) -> Any:
    return jnp.expand_dims(log_mean_exp(z, axes), axes)


def _entropy(z: Any, e: Any, w: Any, axes: Axes, mean: bool) -> Any:
    """-sum p log(p / w): the derivative of the free energy in the temperature."""
    if mean:
        return -_divergence(z, _mean(z, axes), jnp.asarray(1 / _count(z, axes), z.dtype), axes)
    if w is None:
        log = _log_sum(z, e, axes)
        return jnp.sum(e * (log - z), axis=axes, keepdims=True) / jnp.sum(e, axis=axes, keepdims=True)
    whole, total = jnp.sum(w, axis=axes, keepdims=True), jnp.sum(w * e, axis=axes, keepdims=True)
    log = jnp.log(total)
    below = jnp.log(whole) - _divergence(z, log - jnp.log(whole), w / whole, axes)
    near = (whole <= 1) & jnp.all(w >= 0, axis=axes, keepdims=True)
    return jnp.where(near, below, jnp.sum(w * e * (log - z), axis=axes, keepdims=True) / total)


def _count(z: Any, axes: Axes) -> int:
    count = 1
    for axis in axes:
        count *= z.shape[axis]
    return count


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def free_energy(s: Any, c: Any, w: Any, axes: Axes, divides: bool, mean: bool) -> Any:
    """T log sum w exp(s/T) along axes, for c = T where it divides, else c = 1/T.

    Args:
        s: energies, with the sign of the exponent.
        c: the scale: a number, or one for each sum.
        w: weights like s; None for a sum or a mean without any.
        axes: over which.
        divides: whether s is divided by c, or multiplied with it.
        mean: whether it is a mean.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> s, t = jnp.array([10.0, 11.0]), jnp.float32(0.05)
        >>> in_t = jax.grad(free_energy, 1)(s, t, None, (0,), True, False)
        >>> print(free_energy(s, t, None, (0,), True, False), f"{in_t:.5g}")  # 11 + T e^-20, (1 + 20) e^-20
        11.0 4.3284e-08
    """
    if mean:
        scaled = s / _kept(c, axes) if divides else s * _kept(c, axes)
        log = log_mean_exp(scaled, axes)
        return log * c if divides else log / c
    at, z, e = _terms(s, c, w, axes, divides)
    log = _log_sum(z, e, axes) if w is None else jnp.log(jnp.sum(w * e, axis=axes, keepdims=True))
    at, log = jnp.squeeze(at, axes), jnp.squeeze(log, axes)
    return at + (log * c if divides else log / c)


@free_energy.defjvp
def _free_energy_slope(axes: Axes, divides: bool, mean: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    s, c, w = primals
    along_s, along_c, along_w = tangents
    _, z, e = _terms(s, c, w, axes, divides)
    parts = e if w is None else w * e
    total = jnp.sum(parts, axis=axes, keepdims=True)
    entropy = jnp.squeeze(_entropy(z, e, w, axes, mean), axes)
    in_c = entropy if divides else -entropy / c / c
    tangent = jnp.sum(parts / total * along_s, axis=axes) + in_c * along_c
    if w is not None:
        most = jnp.finfo(s.dtype).max  # beyond it, a weight that is a constant, with the tangent 0, would give NaN
        of_w = jnp.sum(jnp.clip(e / total, -most, most) * along_w, axis=axes)
        tangent = tangent + (of_w * c if divides else of_w / c)
    return free_energy(s, c, w, axes, divides, mean), tangent


def _scaled_tangent(s: Any, c: Any, axes: Axes, divides: bool, at: Any, along_s: Any, along_c: Any) -> Any:
    """The tangent of z but for what all entries have in common."""
    c, along_c = _kept(c, axes), _kept(along_c, axes)
    if divides:
        return along_s / c - ((s - at) / c / c) * along_c
    return along_s * c + (s - at) * along_c


def _largest(p: Any, axes: Axes) -> Any:
    first = (p == jnp.max(p, axis=axes, keepdims=True)).astype(p.dtype)
    return jax.lax.stop_gradient(first / jnp.maximum(jnp.sum(first, axis=axes, keepdims=True), 1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def tempered_softmax(s: Any, c: Any, axes: Axes, divides: bool) -> Any:
    """softmax(s/T) along axes, for c = T where it divides, else c = 1/T.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> s, t = jnp.array([10.0, 11.0]), jnp.float32(0.05)
        >>> print(f"{jax.grad(lambda t: tempered_softmax(s, t, (0,), True)[1])(t):.5g}")  # -e^-20 / T^2
        -8.2446e-07
    """
    e = _terms(s, c, None, axes, divides)[2]
    return e / jnp.sum(e, axis=axes, keepdims=True)


@tempered_softmax.defjvp
def _tempered_softmax_slope(axes: Axes, divides: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    s, c = primals
    at, _, e = _terms(s, c, None, axes, divides)
    p = e / jnp.sum(e, axis=axes, keepdims=True)
    t = _scaled_tangent(s, c, axes, divides, at, *tangents)
    largest = _largest(p, axes)
    beside = t - jnp.sum(largest * t, axis=axes, keepdims=True)
    inner = p * (beside - jnp.sum(p * beside, axis=axes, keepdims=True))
    return tempered_softmax(s, c, axes, divides), inner - largest * jnp.sum(inner, axis=axes, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def tempered_log_softmax(s: Any, c: Any, axes: Axes, divides: bool) -> Any:
    """s/T - log sum exp(s/T) along axes, for c = T where it divides, else c = 1/T.

    The entry of the largest s is small where the others are, and so is its derivative: with t = d(s/T), r the largest
    and q = 1 - p_r, the sum of the others, it is q t_r - sum_(j != r) p_j t_j, elsewhere t_i - p_r t_r - the same sum.
    Transposed it gives s_r the part of q in what comes for r, and of -p_r in what comes for another: of the gradient
    of one entry each element is a product.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> s, one = jnp.array([0.0, 40.0]), jnp.float32(1.0)
        >>> print(f"{tempered_log_softmax(s, one, (0,), True)[1]:.5g}")
        -4.2484e-18
        >>> print(jax.grad(lambda s: tempered_log_softmax(s, one, (0,), True)[1])(s)[1] > 0)
        True
    """
    _, z, e = _terms(s, c, None, axes, divides)
    return z - _log_sum(z, e, axes)


@tempered_log_softmax.defjvp
def _tempered_log_softmax_slope(axes: Axes, divides: bool, primals: Any, tangents: Any) -> tuple[Any, Any]:
    s, c = primals
    at, _, e = _terms(s, c, None, axes, divides)
    p = e / jnp.sum(e, axis=axes, keepdims=True)
    t = _scaled_tangent(s, c, axes, divides, at, *tangents)
    largest = jax.lax.stop_gradient(logspace.one_of_largest(p, axes)).astype(p.dtype)
    others, most = (jnp.sum(each, axis=axes, keepdims=True) for each in ((1 - largest) * p, largest * p))
    at_largest = jnp.sum(largest * t, axis=axes, keepdims=True)
    beside = (largest * others - (1 - largest) * most) * at_largest
    mean = jnp.sum((1 - largest) * p * t, axis=axes, keepdims=True)
    return tempered_log_softmax(s, c, axes, divides), (1 - largest) * t + beside - mean


def _some(*energies_and_scale: Any, divides: bool) -> Any:
    *energies, c = energies_and_scale
    s = jnp.stack(jnp.broadcast_arrays(*energies))
    return free_energy(s, jnp.broadcast_to(c, s.shape[1:]), None, (0,), divides, False)


FREE_ENERGY = Operation(
    "free_energy", lambda s, c, axes, divides, mean: free_energy(s, c, None, axes, divides, mean), whole=True
)
WEIGHTED_FREE_ENERGY = Operation(
    "weighted_free_energy", lambda w, s, c, axes, divides: free_energy(s, c, w, axes, divides, False), whole=True
)
FREE_ENERGY_OF_SOME = Operation("free_energy_of_some", _some, whole=True)
TEMPERED_SOFTMAX = Operation(
    "tempered_softmax", lambda s, c, axes, divides: tempered_softmax(s, c, axes, divides), whole=True
)
TEMPERED_LOG_SOFTMAX = Operation(
    "tempered_log_softmax", lambda s, c, axes, divides: tempered_log_softmax(s, c, axes, divides), whole=True
)
