"""f(x) - f(y) from d = x - y, without cancellation: the operations that the difference rewriting emits.

::

    sqrt   d / (sqrt x + sqrt y)                     log    sign(d) log1p(|d| / min(x, y))
    exp    e^y expm1(d)                              cbrt   d / (a^2 + a b + b^2), a = cbrt x, b = cbrt y
    sin    2 cos(y + d/2) sin(d/2)                   cos    -2 sin(y + d/2) sin(d/2)
    sinh   2 cosh(y + d/2) sinh(d/2)                 cosh   2 sinh(y + d/2) sinh(d/2)
    tan    sin d / (cos x cos y)                     tanh   sinh d / (cosh x cosh y)
    atan   atan(d / (1 + x y)),  x y > 0             atanh  atanh(d / (1 - x y))
    asin   asin(d (x + y) / (x sqrt(1 - y^2) + y sqrt(1 - x^2))),  x y > 0
    asinh  asinh(d (x + y) / (x sqrt(1 + y^2) + y sqrt(1 + x^2))),  x y > 0
    x^k    y^k expm1(k log1p(d / y)),  x, y > 0

(Addition theorems: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 4.3, 4.4, 4.5, 4.6.) Both sides are
equal as real functions. Where x and y are far apart nothing cancels and the formula may overflow: there f(x) - f(y)
is taken as it stands.

The derivative is a difference again. With tangents x', y', d' of x, y and d::

    (f(x) - f(y))' = f'(x) d' + (f'(x) - f'(y)) y'      near,        f'(x) x' - f'(y) y'      far apart

where f'(x) - f'(y) is once more taken without cancellation; every kernel states it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.build import Operation
from qed.numerics.rewriting.smooth import sech2

Function = Callable[..., Any]


def kernel(name: str, value: Function, slope: Function, near: Function, slopes: Function) -> Function:
    """A difference of f as a function of (x, y, d) with the derivative of the head of this file.

    Args:
        name: of the function.
        value: (x, y, d) -> f(x) - f(y), everywhere.
        slope: f'.
        near: (x, y, d) -> where the slopes are to be subtracted without cancellation.
        slopes: (x, y, d) -> f'(x) - f'(y) near.
    """

    def difference(x: Any, y: Any, d: Any) -> Any:
        return value(x, y, d)

    difference.__name__ = difference.__qualname__ = name
    found = jax.custom_jvp(difference)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, y, d = primals
        along_x, along_y, along_d = tangents
        close = near(x, y, d)
        at_x = slope(x)
        zero = jnp.zeros_like(at_x)
        change = jnp.where(close, slopes(x, y, d), -slope(y))
        tangent = jnp.where(close, at_x, zero) * along_d + jnp.where(close, zero, at_x) * along_x + change * along_y
        primal = found(x, y, d)
        return primal, jnp.broadcast_to(tangent, jnp.shape(primal)).astype(primal.dtype)

    return found


def within(x: Any, y: Any, d: Any) -> Any:
    """Whether two numbers of one sign are within a factor 2 of each other."""
    return jnp.abs(d) <= 0.5 * jnp.maximum(jnp.abs(x), jnp.abs(y))


def short(x: Any, y: Any, d: Any) -> Any:
    """Whether the distance is at most 1/2."""
    return jnp.abs(d) <= 0.5


def _over(a: Any, b: Any) -> Any:
    """a / b; 0 where b is 0, which is where a is 0 too."""
    return jnp.where(b == 0, 0.0, a / jnp.where(b == 0, 1.0, b)).astype(jnp.result_type(a, b))


def _chosen(near: Function, formula: Function, f: Function) -> Function:
    """The formula where x and y are near, the plain difference elsewhere."""
    return lambda x, y, d: jnp.where(near(x, y, d), formula(x, y, d), f(x) - f(y))


def split(x: Any) -> tuple[Any, Any]:
    """x as the sum of two numbers of half the digits (Dekker, 1971)."""
    bits = (np.finfo(x.dtype).nmant + 2) // 2
    scaled = x * (2.0**bits + 1)
    high = scaled - (scaled - x)
    return high, x - high


def exact_product(x: Any, y: Any) -> tuple[Any, Any]:
    """x y as a number and what its rounding left out; 0 is left out where the splitting overflows."""
    (a, b), (c, d) = split(x), split(y)
    product = x * y
    rest = ((a * c - product) + a * d + b * c) + b * d
    return product, jnp.where(jnp.isfinite(rest), rest, 0.0).astype(product.dtype)


def exact_difference(y: Any, t: Any, x: Any) -> Any:
    """y - t x, the product exact."""
    product, rest = exact_product(jnp.broadcast_to(t, x.shape), x)
    return (y - product) - rest


# --- powers ---


def _sqrt_slopes(x: Any, y: Any, d: Any) -> Any:
    return -0.5 * _over(sqrt(x, y, d), jnp.sqrt(x)) / jnp.sqrt(y)


def _cbrt_value(x: Any, y: Any, d: Any) -> Any:
    a, b = jnp.cbrt(x), jnp.cbrt(y)
    return jnp.where(a * b > 0, _over(d, a * a + a * b + b * b), a - b)


def _cbrt_slope(x: Any) -> Any:
    a = jnp.cbrt(x)
    return 1 / (3 * a * a)


def _cbrt_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = jnp.cbrt(x), jnp.cbrt(y)
    return -(((cbrt(x, y, d) / a) * (a + b)) / (a * b)) / (3 * b)


def _rsqrt_formula(x: Any, y: Any, d: Any) -> Any:
    a, b = jnp.sqrt(x), jnp.sqrt(y)
    return -((d / (a + b)) / a) / b


def _rsqrt_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = jax.lax.rsqrt(x), jax.lax.rsqrt(y)
    return -0.5 * rsqrt(x, y, d) * (a * a + a * b + b * b)


sqrt = kernel(
    "sqrt_difference",
    lambda x, y, d: _over(d, jnp.sqrt(x) + jnp.sqrt(y)),
    lambda x: 0.5 / jnp.sqrt(x),
    within,
    _sqrt_slopes,
)
cbrt = kernel("cbrt_difference", _cbrt_value, _cbrt_slope, within, _cbrt_slopes)
rsqrt = kernel(
    "rsqrt_difference",
    _chosen(within, _rsqrt_formula, jax.lax.rsqrt),
    lambda x: -0.5 * jax.lax.rsqrt(x) / x,
    within,
    _rsqrt_slopes,
)


def _reciprocal_slopes(x: Any, y: Any, d: Any) -> Any:
    return ((d / x) / y) * (1 / x + 1 / y)


reciprocal = kernel(
    "reciprocal_difference",
    lambda x, y, d: -(d / x) / y,
    lambda x: -(1 / x) / x,
    within,
    _reciprocal_slopes,
)


@jax.custom_jvp
def squares(x: Any, y: Any, d: Any, s: Any) -> Any:
    """x^2 - y^2 from d = x - y and s = x + y."""
    return d * s


@squares.defjvp
def _squares_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, y, d, s = primals
    along_x, along_y, along_d, along_s = tangents
    value = squares(x, y, d, s)
    near, opposite = within(x, y, d), within(x, y, s)
    zero = jnp.zeros_like(value)
    plain = ~(near | opposite)
    tangent = (
        jnp.where(near, 2 * x, zero) * along_d
        + jnp.where(opposite, 2 * x, zero) * along_s
        + jnp.where(plain, 2 * x, zero) * along_x
        + jnp.where(near, 2 * d, jnp.where(opposite, -2 * s, -2 * y)) * along_y
    )
    return value, jnp.broadcast_to(tangent, jnp.shape(value)).astype(value.dtype)


@cache
def power(exponent: float) -> Function:
    """The kernel of x^k for a number k."""

    def near(x: Any, y: Any, d: Any) -> Any:
        return within(x, y, d) & (x > 0) & (y > 0) & (jnp.abs(exponent * d) <= jnp.abs(y))

    def formula(x: Any, y: Any, d: Any) -> Any:
        ratio = jnp.where(near(x, y, d), d / y, 0.0).astype(jnp.result_type(d, y))
        return y**exponent * jnp.expm1(exponent * jnp.log1p(ratio))

    return kernel(
        "power_difference",
        _chosen(near, formula, lambda x: x**exponent),
        lambda x: exponent * x ** (exponent - 1),
        near,
        lambda x, y, d: exponent * power(exponent - 1)(x, y, d),
    )


# --- exponentials and logarithms ---


def _exp_slopes(x: Any, y: Any, d: Any) -> Any:
    return exp(x, y, d)


def _log_value(x: Any, y: Any, d: Any) -> Any:
    ratio = jnp.abs(d) / jnp.minimum(x, y)
    return jnp.where(jnp.isfinite(ratio) & (x > 0) & (y > 0), jnp.sign(d) * jnp.log1p(ratio), jnp.log(x) - jnp.log(y))


def _log1p_value(x: Any, y: Any, d: Any) -> Any:
    ratio = jnp.abs(d) / (1 + jnp.minimum(x, y))
    return jnp.where(jnp.isfinite(ratio), jnp.sign(d) * jnp.log1p(ratio), jnp.log1p(x) - jnp.log1p(y))


_LOG2 = math.log(2.0)

exp = kernel(
    "exp_difference",
    _chosen(short, lambda x, y, d: jnp.exp(y) * jnp.expm1(d), jnp.exp),
    jnp.exp,
    short,
    _exp_slopes,
)
exp2 = kernel(
    "exp2_difference",
    _chosen(short, lambda x, y, d: jnp.exp2(y) * jnp.expm1(_LOG2 * d), jnp.exp2),
    lambda x: _LOG2 * jnp.exp2(x),
    short,
    lambda x, y, d: _LOG2 * exp2(x, y, d),
)
log = kernel("log_difference", _log_value, lambda x: 1 / x, within, lambda x, y, d: -(d / x) / y)
log1p = kernel(
    "log1p_difference",
    _log1p_value,
    lambda x: 1 / (1 + x),
    lambda x, y, d: within(1 + x, 1 + y, d),
    lambda x, y, d: -(d / (1 + x)) / (1 + y),
)


def _tanh_value(x: Any, y: Any, d: Any) -> Any:
    a, b, sign = jnp.abs(x), jnp.abs(y), jnp.sign(y)
    same = (x > 0) == (y > 0)
    scale = 2 / ((1 + jnp.exp(-2 * a)) * (1 + jnp.exp(-2 * b)))
    far = -jnp.sign(d) * jnp.expm1(-2 * jnp.abs(d)) * jnp.exp(jnp.where(same, -2 * jnp.minimum(a, b), 0.0))
    near = -sign * jnp.exp(-2 * b) * jnp.expm1(-2 * sign * d)
    return (jnp.where(same & short(x, y, d), near, far) * scale).astype(jnp.result_type(x, y))


def _bell(x: Any) -> Any:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


tanh = kernel(
    "tanh_difference",
    _tanh_value,
    sech2,
    short,
    lambda x, y, d: -tanh(x, y, d) * (jnp.tanh(x) + jnp.tanh(y)),
)
logistic = kernel(
    "logistic_difference",
    lambda x, y, d: 0.5 * _tanh_value(0.5 * x, 0.5 * y, 0.5 * d),
    _bell,
    short,
    lambda x, y, d: -0.5 * logistic(x, y, d) * (jnp.tanh(0.5 * x) + jnp.tanh(0.5 * y)),
)

# --- circular and hyperbolic functions ---


def _middle(y: Any, d: Any) -> tuple[Any, Any]:
    """y + d/2 as a number and what its rounding left out."""
    middle = y + 0.5 * d
    return middle, (y - middle) + 0.5 * d


def _sin_formula(x: Any, y: Any, d: Any) -> Any:
    m, rest = _middle(y, d)
    return 2 * (jnp.cos(m) - rest * jnp.sin(m)) * jnp.sin(0.5 * d)


def _cos_formula(x: Any, y: Any, d: Any) -> Any:
    m, rest = _middle(y, d)
    return -2 * (jnp.sin(m) + rest * jnp.cos(m)) * jnp.sin(0.5 * d)


def _sinh_formula(x: Any, y: Any, d: Any) -> Any:
    return 2 * jnp.cosh(y + 0.5 * d) * jnp.sinh(0.5 * d)


def _cosh_formula(x: Any, y: Any, d: Any) -> Any:
    return 2 * jnp.sinh(y + 0.5 * d) * jnp.sinh(0.5 * d)


def _sec2(x: Any) -> Any:
    return 1 / jnp.cos(x) ** 2


sin = kernel("sin_difference", _chosen(short, _sin_formula, jnp.sin), jnp.cos, short, lambda x, y, d: cos(x, y, d))
cos = kernel(
    "cos_difference", _chosen(short, _cos_formula, jnp.cos), lambda x: -jnp.sin(x), short, lambda x, y, d: -sin(x, y, d)
)
sinh = kernel(
    "sinh_difference", _chosen(short, _sinh_formula, jnp.sinh), jnp.cosh, short, lambda x, y, d: cosh(x, y, d)
)
cosh = kernel(
    "cosh_difference", _chosen(short, _cosh_formula, jnp.cosh), jnp.sinh, short, lambda x, y, d: sinh(x, y, d)
)
tan = kernel(
    "tan_difference",
    _chosen(short, lambda x, y, d: jnp.sin(d) / jnp.cos(x) / jnp.cos(y), jnp.tan),
    _sec2,
    short,
    lambda x, y, d: tan(x, y, d) * (jnp.tan(x) + jnp.tan(y)),
)

# --- inverse functions ---


def _close(x: Any, y: Any, d: Any) -> Any:
    return within(x, y, d) | short(x, y, d)


def _same_sign(x: Any, y: Any) -> Any:
    return (x > 0) & (y > 0) | (x < 0) & (y < 0)


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
        return _over(d, below)

    return argument


def _atan_value(x: Any, y: Any, d: Any) -> Any:
    product = x * y
    ratio = jnp.where(jnp.abs(product) > 4 / np.finfo(product.dtype).eps, (d / x) / y, d / (1 + product))
    return jnp.where(product > -0.5, jnp.arctan(ratio), jnp.arctan(x) - jnp.arctan(y))


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
    return jnp.where(_same_sign(x, y), formula, jnp.arcsinh(x) - jnp.arcsinh(y))


def _asinh_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = root_above(x), root_above(y)
    return -((d / (a + b)) * ((x + y) / a)) / b


def _asin_value(x: Any, y: Any, d: Any) -> Any:
    formula = jnp.arcsin(jnp.clip(_sine_of_difference(_co_root)(x, y, d), -1.0, 1.0))
    return jnp.where(_same_sign(x, y), formula, jnp.arcsin(x) - jnp.arcsin(y))


def _asin_slopes(x: Any, y: Any, d: Any) -> Any:
    a, b = _co_root(x), _co_root(y)
    return d * (x + y) / (a + b) / a / b


atan = kernel("atan_difference", _atan_value, _atan_slope, _close, _atan_slopes)
atanh = kernel(
    "atanh_difference",
    _chosen(lambda x, y, d: _same_sign(x, y), _atanh_formula, jnp.arctanh),
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


def _erf_formula(x: Any, y: Any, d: Any) -> Any:
    steps = [0.5 * (1 + point) * d for point in _POINTS]
    total = sum(0.5 * w * jnp.exp(-(h * (2 * y + h))) for h, w in zip(steps, _WEIGHTS, strict=True))
    return (d * _bell_erf(y) * total).astype(jnp.result_type(x, y))


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


def _operation(function: Function, sign: float = 1.0) -> Operation:
    name = function.__name__ + ("" if sign == 1 else "_negative")
    return Operation(name, function if sign == 1 else lambda x, y, d: -function(x, y, d), whole=True)


OPERATIONS = {
    "sqrt": _operation(sqrt),
    "cbrt": _operation(cbrt),
    "rsqrt": _operation(rsqrt),
    "exp": _operation(exp),
    "expm1": _operation(exp),
    "exp2": _operation(exp2),
    "log": _operation(log),
    "log1p": _operation(log1p),
    "tanh": _operation(tanh),
    "logistic": _operation(logistic),
    "sin": _operation(sin),
    "cos": _operation(cos),
    "tan": _operation(tan),
    "sinh": _operation(sinh),
    "cosh": _operation(cosh),
    "asin": _operation(asin),
    "acos": _operation(asin, -1.0),
    "atan": _operation(atan),
    "asinh": _operation(asinh),
    "atanh": _operation(atanh),
    "erf": _operation(erf),
    "erfc": _operation(erf, -1.0),
}
"""For each primitive the difference of it: (x, y, d) -> f(x) - f(y)."""

SQUARES = Operation("difference_of_squares", squares, whole=True)
RECIPROCAL = Operation("reciprocal_difference", reciprocal, whole=True)
POWER = Operation("power_difference", lambda x, y, d, k: power(k)(x, y, d), whole=True)
