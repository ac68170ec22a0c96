"""Powers minus 1, from d = x - 1: x^k - 1 = expm1(k log x), and what is left of it when k d is divided out.

::

    (x^k - 1) / (k d) = R(k L) L / d,      L = log(1 + d),      R(w) = (e^w - 1)/w

The quotient is 1 where both k and d are 0; interest paid over a time, and the transformation of Box and Cox, are it
times a power of k or d. R and L/d are rests of Taylor series (`difference_series`), with derivatives of their own.

Reference: Box and Cox, *An analysis of transformations*, J. Royal Statistical Society B 26, 1964.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.graph.dtypes import is_real
from qed.numerics import logspace
from qed.numerics.rewriting.difference_series import remainder


def _parts(x: jax.Array, d: jax.Array, k: jax.Array, exact: bool) -> tuple[jax.Array, jax.Array]:
    """log x, and whether x^k - 1 is to be taken from it."""
    close = jnp.abs(d) < 0.5
    log = jnp.where(close, logspace.log1p(jnp.where(close, d, 0)), jnp.log(jnp.where(x > 0, x, 1)))
    small = jnp.abs(k * log) < 1
    return log, (x > 0) & (small if exact else close | small)


@cache
def power_minus_one(exact: bool) -> Callable[..., jax.Array]:
    """The function x^k - 1 of x, d = x - 1 and k; of an exact x, x^k is taken as it stands where it is far from 1."""

    @jax.custom_jvp
    def value_of(x: jax.Array, d: jax.Array, k: jax.Array) -> jax.Array:
        log, near = _parts(x, d, k, exact)
        return jnp.where(near, jnp.expm1(k * log), x**k - 1).astype(jnp.result_type(x, k))

    @value_of.defjvp
    def slope(primals, tangents):
        x, d, k = primals
        log, near = _parts(x, d, k, exact)
        value = value_of(x, d, k)
        inner = jnp.where(near, log, 0)
        power = jnp.where(near, jnp.exp(k * inner), jnp.where(near, 1, x) ** k)
        in_x = k * jnp.where(near, jnp.exp((k - 1) * inner), jnp.where(near, 1, x) ** (k - 1))
        zero = jnp.zeros_like(in_x)
        tangent = jnp.where(near, in_x, zero) * tangents[1] + jnp.where(near, zero, in_x) * tangents[0]
        if is_real(k.dtype):  # an exponent that counts has no tangent
            tangent = tangent + jnp.where(x > 0, power * log, 0) * tangents[2]
        return value, jnp.broadcast_to(tangent, value.shape).astype(value.dtype)

    return value_of


POWER = Operation("power_minus_one", lambda x, d, k, exact: power_minus_one(exact)(x, d, k), whole=True)


def power_rest(x: jax.Array, d: jax.Array, k: jax.Array, exact: bool) -> jax.Array:
    """(x^k - 1) / (k d) for d = x - 1.

    Example:
        >>> import jax.numpy as jnp
        >>> x, d, k = map(jnp.float32, (1.0, 0.0, 3.0))
        >>> print(power_rest(x, d, k, True))
        1.0
    """
    near = _parts(x, d, k, exact)[1]
    dtype = jnp.result_type(x, k)
    inner, exponent = jnp.where(near, d, 0).astype(dtype), jnp.where(near, k, 0).astype(dtype)
    log_over = remainder("log1p", 1)(inner)
    inside = remainder("exp", 1)(exponent * (inner * log_over)) * log_over
    base, gap, power = (jnp.where(near, one, value) for one, value in ((2, x), (1, d), (1, k)))
    return jnp.where(near, inside, ((base**power - 1) / power) / gap).astype(dtype)


@cache
def power_over(exact: bool) -> Callable[..., jax.Array]:
    """The function (x^k - 1) / d for d = x - 1; in k its derivative is x^k log x / d, of one term."""

    @jax.custom_jvp
    def value_of(x: jax.Array, d: jax.Array, k: jax.Array) -> jax.Array:
        return k * power_rest(x, d, k, exact)

    @value_of.defjvp
    def slope(primals, tangents):
        x, d, k = primals
        log, near = _parts(x, d, k, exact)
        along = jax.jvp(lambda x, d: k * power_rest(x, d, k, exact), (x, d), (tangents[0], tangents[1]))[1]
        inner = jnp.where(near, log, 0)
        power = jnp.where(near, jnp.exp(k * inner), jnp.where(near, 1, x) ** k)
        log_over = jnp.where(d == 0, 1, log / jnp.where(d == 0, 1, d))
        value = value_of(x, d, k)
        tangent = along + power * log_over * tangents[2] if is_real(k.dtype) else along
        return value, jnp.broadcast_to(tangent, value.shape).astype(value.dtype)

    return value_of


POWER_OVER = Operation("power_over", lambda x, d, k, exact: power_over(exact)(x, d, k), whole=True)
POWER_REST = Operation("power_rest", power_rest, whole=True)
