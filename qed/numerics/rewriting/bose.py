"""1 / (e^v - 1) and what it makes of powers of v and e^v, with derivatives that neither cancel nor overflow.

::

    b(v) = 1 / (e^v - 1)             b' = b(v) b(-v)                 e^v b(v) = -b(-v)
    B(v) = v b(v)                    B' = b (1 + v b(-v))            B(-v) = e^v B(v)
    E(v) = B(v) B(-v)                E' = E (2/v) (1 - (v/2) coth(v/2))
    v^k b(v) = (v^k e^(-v/2)) e^(-v/2) / (1 - e^-v)                where b(v) is below the range

The quotient rule divides e^v by (e^v - 1)^2, which is inf/inf long before b is 0. b is the Bose distribution, B the
generating function of the Bernoulli numbers, E = ((v/2) / sinh(v/2))^2 the heat capacity of an oscillator (Einstein,
1907). Near 0 the derivatives of B and of log E are summed as series.

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 23.1.1, 27.1.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from math import factorial
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics.rewriting.power_series import Laurent, quotient

TERMS = 64
NEAR = 2.5


def _series(above: list[Fraction], below: list[Fraction]) -> list[Fraction]:
    return list(quotient(Laurent(0, tuple(above)), Laurent(0, tuple(below))).coefficients)


_BERNOULLI = _series([Fraction(1)] + [Fraction(0)] * (TERMS - 1), [Fraction(1, factorial(k + 1)) for k in range(TERMS)])
_SLOPE = tuple(float(k * c) for k, c in enumerate(_BERNOULLI) if k)
_COTH = tuple(float(-2 * c) for c in _BERNOULLI[2:])
"""(2/v)(1 - (v/2) coth(v/2)), whose coefficients are -2 B_k / k!, k >= 2, divided by v."""


def _sum(values: tuple[float, ...], v: Any) -> Any:
    count = len(values) if v.dtype == jnp.float64 else 28
    total = jnp.zeros_like(v)
    for value in values[count - 1 :: -1]:
        total = total * v + value
    return total


def _split(v: Any) -> tuple[Any, Any, Any]:
    near = jnp.abs(v) <= NEAR
    return near, jnp.where(near, v, 0).astype(v.dtype), jnp.where(near, NEAR, v).astype(v.dtype)


@jax.custom_jvp
def bose(v: Any) -> Any:
    """1 / (e^v - 1).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(jax.grad(bose)(90.0), jax.grad(lambda v: 1 / jnp.expm1(v))(90.0))
        -0.0 nan
    """
    return 1 / jnp.expm1(v)


@bose.defjvp
def _bose_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (v,), (t,) = primals, tangents
    return bose(v), bose(v) * bose(-v) * t


@jax.custom_jvp
def over_bose(above: Any, beside: Any, v: Any) -> Any:
    """above / (beside (e^v - 1)), formed as that: the distribution may be too small a number where this is none.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(f"{over_bose(jnp.float32(1e30), jnp.float32(1.0), jnp.float32(88.0)):.4g}")
        6.055e-09
    """
    return above / (beside * jnp.expm1(v))


@over_bose.defjvp
def _over_bose_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    above, beside, v = primals
    value = over_bose(above, beside, v)
    along = tangents[0] / (beside * jnp.expm1(v)) - (value / beside) * tangents[1]
    return value, along + (value * bose(-v)) * tangents[2]


@jax.custom_jvp
def bernoulli(v: Any) -> Any:
    """v / (e^v - 1), 1 at 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(f"{jax.grad(bernoulli)(jnp.float32(1e-3)):.6g}")  # -1/2 + v/6
        -0.499833
    """
    zero = v == 0
    usable = jnp.where(zero | (v == jnp.inf), 1, v).astype(v.dtype)
    return jnp.where(zero, 1, jnp.where(v == jnp.inf, 0, usable / jnp.expm1(usable))).astype(v.dtype)


@bernoulli.defjvp
def _bernoulli_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (v,), (t,) = primals, tangents
    near, small, large = _split(v)
    far = bose(large) * (1 + large * bose(-large))
    return bernoulli(v), jnp.where(near, _sum(_SLOPE, small), far) * t


@jax.custom_jvp
def einstein(v: Any) -> Any:
    """v^2 e^v / (e^v - 1)^2, 1 at 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> v = jnp.float32(1e-3)
        >>> print(f"{einstein(v):.5g} {jax.grad(einstein)(v):.5g}")  # 1 - v^2/12
        1 -0.00016667
    """
    return bernoulli(v) * bernoulli(-v)


@einstein.defjvp
def _einstein_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (v,), (t,) = primals, tangents
    near, small, large = _split(v)
    far = 2 / large - 1 / jnp.tanh(large / 2)
    return einstein(v), einstein(v) * jnp.where(near, small * _sum(_COTH, small), far) * t


def _far(v: Any, k: int, factor: Any) -> Any:
    """factor v^k / (e^v - 1) for large v, of which 1 / (e^v - 1) may be below the range: e^-v in two halves."""
    half = jnp.exp(-0.5 * v)
    return ((v**k * half) * (factor / -jnp.expm1(-v))) * half


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def planck(v: Any, k: int) -> Any:
    """v^k / (e^v - 1), k > 1: the radiation of a black body for k = 3.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> v = jnp.float32(95.0)
        >>> print(f"{planck(v, 3):.4g} {jax.grad(planck)(v, 3):.4g}", v**3 / (jnp.exp(v) - 1))
        4.734e-36 -4.584e-36 0.0
    """
    far = v > NEAR
    near, large = jnp.where(far, 0, v).astype(v.dtype), jnp.where(far & (v < jnp.inf), v, NEAR).astype(v.dtype)
    found = jnp.where(far, _far(large, k, jnp.ones_like(v)), near ** (k - 1) * bernoulli(near))
    return jnp.where(v == jnp.inf, 0, found).astype(v.dtype)


@planck.defjvp
def _planck_slope(k: int, primals: Any, tangents: Any) -> tuple[Any, Any]:
    (v,), (t,) = primals, tangents
    far = v > NEAR
    near, large = jnp.where(far, 0, v).astype(v.dtype), jnp.where(far & (v < jnp.inf), v, NEAR).astype(v.dtype)
    rest = _far(large, k - 1, k + large / jnp.expm1(-large))
    slope = jax.jvp(bernoulli, (near,), (jnp.ones_like(v),))[1]
    inside = (k - 1) * near ** (k - 2) * bernoulli(near) + near ** (k - 1) * slope
    return planck(v, k), jnp.where(v == jnp.inf, 0, jnp.where(far, rest, inside)).astype(v.dtype) * t


PLANCK = Operation("planck", lambda v, k: planck(v, k), whole=True)
BOSE = Operation("bose", bose, whole=True)
OVER_BOSE = Operation("over_bose", over_bose, whole=True)
BERNOULLI = Operation("bernoulli", bernoulli, whole=True)
EINSTEIN = Operation("einstein", einstein, whole=True)
