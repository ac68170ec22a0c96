"""Differences of inverse functions and of the error function, from d = x - y.

::

    atan   atan(d / (1 + x y)),  x y > 0             atanh  atanh(d / (1 - x y))
    asin   asin(d (x + y) / (x sqrt(1 - y^2) + y sqrt(1 - x^2))),  x y > 0
    asinh  asinh(d (x + y) / (x sqrt(1 + y^2) + y sqrt(1 + x^2))),  x y > 0
    erf    the integral of its derivative over [y, x], by Gauss and Legendre

Reference: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 4.4, 4.6.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.numerics.rewriting.difference_factory import Function, chosen, exact_product, kernel, over, short, within

# --- inverse functions ---


def _close(x: Any, y: Any, d: Any) -> Any:
    return within(x, y, d) | short(x, y, d)


def _same_sign(x: Any, y: Any) -> Any:
    return (x > 0) & (y > 0) | (x < 0) & (y < 0)


def _inside_one(x: Any, y: Any, d: Any) -> Any:
    """Whether two numbers of one sign are at most 1: beyond, the formula has a value and the function has none."""
    return _same_sign(x, y) & (jnp.abs(x) <= 1) & (jnp.abs(y) <= 1)


def root_above(x: Any) -> Any:
    """sqrt(1 + x^2) without overflow."""
    square = x * x
    return jnp.where(1 + square == square, jnp.abs(x), jnp.sqrt(1 + square))


def _co_root(x: Any) -> Any:
    """sqrt(1 - x^2)."""
    return jnp.sqrt((1 - x) * (1 + x))


def _sine_of_difference(root: Function) -> Function:
    """(x^2 - y^2) / (x root(y) + y root(x)), for x y > 0."""

    def argument(x: Any, y: Any, d: Any) -> Any:
        total = jnp.where(_same_sign(x, y), x + y, 1.0)
        below = (x / total) * root(y) + (y / total) * root(x)
        return over(d, below)

    return argument


def _atan_value(x: Any, y: Any, d: Any) -> Any:
    product = x * y
    first = jnp.abs(x) > jnp.abs(y)  # of (d / x) / y a compiler makes d / (x y), which overflows
    far = (d / jnp.where(first, x, y)) * (1 / jnp.where(first, y, x))
    ratio = jnp.where(jnp.abs(product) > 4 / jnp.finfo(product.dtype).eps, far, d / (1 + product))
    return jnp.where((product > -0.5) & jnp.isfinite(d), jnp.arctan(ratio), jnp.arctan(x) - jnp.arctan(y))


def _atan_slope(x: Any) -> Any:
    return (1 / root_above(x)) / root_above(x)


def _atan_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = root_above(x), root_above(y)
    return -(((d / a) / b) * (x / a / b + y / a / b))


def _atanh_formula(x: Any, y: Any, d: Any) -> Any:
    return jnp.arctanh(d / ((1 - x) + x * (1 - y)))


def _atanh_slopes(x: Any, y: Any, d: Any) -> Any:
    return d * (x + y) / ((1 - x) * (1 + x)) / ((1 - y) * (1 + y))


def _asinh_value(x: Any, y: Any, d: Any) -> Any:
    formula = jnp.arcsinh(_sine_of_difference(root_above)(x, y, d))
    least, most = jnp.minimum(jnp.abs(x), jnp.abs(y)), jnp.maximum(jnp.abs(x), jnp.abs(y))
    alike = _same_sign(x, y) & jnp.isfinite(d) & (least > jnp.finfo(most.dtype).eps ** 2 * most)  # no weight vanishes
    return jnp.where(alike, formula, jnp.arcsinh(x) - jnp.arcsinh(y))


def _asinh_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = root_above(x), root_above(y)
    return -((d / (a + b)) * (x / a + y / a)) / b


def _asin_value(x: Any, y: Any, d: Any) -> Any:
    formula = jnp.arcsin(jnp.clip(_sine_of_difference(_co_root)(x, y, d), -1.0, 1.0))
    return jnp.where(_same_sign(x, y), formula, jnp.arcsin(x) - jnp.arcsin(y))


def _asin_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = _co_root(x), _co_root(y)
    return d * (x + y) / (a + b) / a / b


atan = kernel("atan_difference", _atan_value, _atan_slope, _close, _atan_slopes)
atanh = kernel(
    "atanh_difference",
    chosen(_inside_one, _atanh_formula, jnp.arctanh),
    lambda x: 1 / ((1 - x) * (1 + x)),
    lambda x, y, d: jnp.abs(d) <= 0.5 * jnp.minimum(1 - jnp.abs(x), 1 - jnp.abs(y)),
    _atanh_slopes,
)
asinh = kernel(
    "asinh_difference",
    _asinh_value,
    lambda x: 1 / root_above(x),
    _close,
    _asinh_slopes,
)
asin = kernel(
    "asin_difference",
    _asin_value,
    lambda x: 1 / _co_root(x),
    lambda x, y, d: jnp.abs(d) <= 0.5 * jnp.minimum(1 - jnp.abs(x), 1 - jnp.abs(y)),
    _asin_slopes,
)

# --- error functions: an integral over [y, x] by Gauss and Legendre ---

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(10)


def _bell_erf(x: Any) -> Any:
    power, rest = exact_product(x, x)
    return 2 / math.sqrt(math.pi) * (jnp.exp(-power) * (1 - rest))


def _near_erf(x: Any, y: Any, d: Any) -> Any:
    return jnp.abs(d) * (1 + jnp.abs(x) + jnp.abs(y)) <= 1


def bell_integral(y: Any, d: Any) -> Any:
    """The integral of exp(y^2 - t^2) over t from y to y + d, for d (1 + 2 |y|) up to 1 or so."""
    steps = [0.5 * (1 + point) * d for point in _POINTS]
    return d * sum(0.5 * w * jnp.exp(-(h * (2 * y + h))) for h, w in zip(steps, _WEIGHTS, strict=True))


def _erf_formula(x: Any, y: Any, d: Any) -> Any:
    return (_bell_erf(y) * bell_integral(y, d)).astype(jnp.result_type(x, y))


def _erf_value(x: Any, y: Any, d: Any) -> Any:
    plain = jnp.where(
        (x > 0.5) & (y > 0.5),
        jax.scipy.special.erfc(y) - jax.scipy.special.erfc(x),
        jnp.where(
            (x < -0.5) & (y < -0.5),
            jax.scipy.special.erfc(-x) - jax.scipy.special.erfc(-y),
            jax.scipy.special.erf(x) - jax.scipy.special.erf(y),
        ),
    )
    return jnp.where(_near_erf(x, y, d), _erf_formula(x, y, d), plain)


def _erf_slopes(x: Any, y: Any, d: Any) -> Any:
    return _bell_erf(y) * jnp.expm1(-d * (x + y))


erf = kernel("erf_difference", _erf_value, _bell_erf, _near_erf, _erf_slopes)
