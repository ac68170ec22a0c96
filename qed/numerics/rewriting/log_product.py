"""log of a product of numbers of any sign, without under- or overflow, and no worse than the product itself.

Each factor is split as x = m 2^e with |m| between sqrt(1/2) and sqrt 2. The exponents are added as integers, which is
exact; the m are multiplied in groups too small to overflow, and split again. So

    log prod x  =  log m + e log 2,        m = prod m_i up to powers of two,

has the rounding errors of the product, not those of a sum of logarithms, which are large beside it where the logarithms
cancel. Factors near 1 of which the distance v from 1 is known, as that of 1 + r and of a / (a + b), add log1p(v), whose
error is smaller still. The result is NaN where the product is negative, as the logarithm is. Its derivative is
d log prod x = sum dx/x.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.binary_exponents import mantissa_and_exponent
from qed.numerics.rewriting.rows import rows


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_product(x: Any, axes: tuple[int, ...]) -> Any:
    """log of the product along axes; NaN where it is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> print(log_product(jnp.full(1000, -0.5), (0,)), abs(log_product(jnp.array([1e30, 1e-30]), (0,))) < 1e-6)
        -693.14716 True
    """
    factors = rows(x, axes)
    if x.size == 0:  # no factors, whose product is 1, or no products
        return jnp.zeros(factors.shape[1:], x.dtype)
    negative = jnp.sum(factors < 0, axis=0) % 2 == 1
    m, e = _split(jnp.abs(factors))
    group = int(jnp.finfo(x.dtype).maxexp) // 2
    while m.shape[0] > 1:
        size = min(group, m.shape[0])
        short = -m.shape[0] % size
        m = jnp.concatenate([m, jnp.ones((short, *m.shape[1:]), m.dtype)])
        e = jnp.concatenate([e, jnp.zeros((short, *e.shape[1:]), e.dtype)])
        m, more = _split(jnp.prod(m.reshape((-1, size, *m.shape[1:])), axis=1))
        e = jnp.sum(e.reshape((-1, size, *e.shape[1:])), axis=1) + more
    total = jnp.log(m[0]) + e[0].astype(x.dtype) * jnp.asarray(0.6931471805599453, x.dtype)
    return jnp.where(negative & (jnp.prod(m != 0, axis=0) > 0), jnp.nan, total).astype(x.dtype)


@log_product.defjvp
def _derivative(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    return log_product(x, axes), jnp.sum(t / x, axis=axes)


def _split(x: Any) -> tuple[Any, Any]:
    """(m, e) with x = m 2^e, m between sqrt(1/2) and sqrt 2; 0, inf and NaN are m themselves."""
    m, e = mantissa_and_exponent(x)
    small = (m < 0.70710678) & (m > 0)
    return jnp.where(small, 2 * m, m).astype(x.dtype), jnp.where(small, e - 1, e)


def log_powers(x: Any, exponent: Any, axes: tuple[int, ...]) -> Any:
    """log of the product of powers along axes, none of which is formed; NaN where it is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_powers(jnp.array([1e-20, -0.5]), jnp.array([3, 100]), (0,)):.6g}")
        -207.47
    """

    def value_of(x: Any, exponent: Any) -> Any:
        odd, whole = jnp.abs(jnp.fmod(exponent, 2)) == 1, exponent == jnp.round(exponent)
        logs = jnp.where(exponent == 0, 0, exponent * jnp.log(jnp.abs(jnp.where(exponent == 0, 1, x))))
        total = jnp.sum(logs, axis=axes)
        negative = (jnp.sum((x < 0) & odd, axis=axes) % 2 == 1) & (total != -jnp.inf)  # the logarithm of -0 is -inf
        return jnp.where(negative | jnp.any((x < 0) & ~whole, axis=axes), jnp.nan, total).astype(x.dtype)

    found = jax.custom_jvp(value_of)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, exponent = primals
        base = jnp.where((x < 0) & (exponent != jnp.round(exponent)), jnp.nan, jnp.where(exponent == 0, 1, x))
        in_x = (exponent / base).astype(x.dtype)
        in_exponent = jnp.log(jnp.where(x > 0, x, 1))  # as JAX has it for powers of 0
        return found(x, exponent), jnp.sum(in_x * tangents[0] + in_exponent * tangents[1], axis=axes)

    return found(x, jnp.asarray(exponent, x.dtype))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def log_product_near_one(x: Any, v: Any, axes: tuple[int, ...]) -> Any:
    """log of the product along axes of x = 1 + v, v known to more digits: the sum of log1p(v) where |v| < 1/2.

    Example:
        >>> import jax.numpy as jnp
        >>> v = jnp.array([1e-9, 2e-9, 1.0])
        >>> print(f"{log_product_near_one(1 + v, v, (0,)):.6g} {log_product_near_one(1 + v[:2], v[:2], (0,)):.6g}")
        0.693147 3e-09
    """
    near = jnp.abs(v) < 0.5
    of_near = jnp.sum(logspace.log1p(jnp.where(near, v, 0).astype(x.dtype)), axis=axes)
    return (of_near + log_product(jnp.where(near, 1, x).astype(x.dtype), axes)).astype(x.dtype)


@log_product_near_one.defjvp
def _near_one_derivative(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, v = primals
    return log_product_near_one(x, v, axes), jnp.sum(tangents[0] / x, axis=axes)


LOG_PRODUCT_NEAR_ONE = Operation(
    "log_product_near_one", lambda x, v, axes: log_product_near_one(x, v, axes), whole=True
)
LOG_POWERS = Operation("log_of_powers", log_powers, whole=True)
LOG_PRODUCT = Operation("log_product", lambda x, axes: log_product(x, axes), whole=True)
"""The same as an operation of a rewriting."""
