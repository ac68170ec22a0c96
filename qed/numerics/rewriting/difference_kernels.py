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
    softplus   log1p(sigmoid(y) expm1(d))            log cosh   log1p(tanh(y) sinh(d) + 2 sinh(d/2)^2)

(Addition theorems: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 4.3, 4.4, 4.5, 4.6.) Both sides are
equal as real functions. Where x and y are far apart nothing cancels and the formula may overflow: there f(x) - f(y)
is taken as it stands.

The derivative is a difference again. With tangents x', y', d' of x, y and d::

    (f(x) - f(y))' = f'(x) d' + (f'(x) - f'(y)) y'      near,        f'(x) x' - f'(y) y'      far apart

where f'(x) - f'(y) is once more taken without cancellation; every kernel states it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.difference_factory import Function, chosen, kernel, over, short, within
from qed.numerics.rewriting.difference_gammas import OPERATIONS as GAMMAS
from qed.numerics.rewriting.difference_inverses import asin, asinh, atan, atanh, erf
from qed.numerics.rewriting.kernels import log_cosh as stable_log_cosh
from qed.numerics.rewriting.smooth import sech2

# --- powers ---


def _sqrt_value(x: Any, y: Any, d: Any) -> Any:
    a, b = jnp.sqrt(x), jnp.sqrt(y)
    return jnp.where(jnp.isinf(d), a - b, over(d, a + b))


def _sqrt_slopes(x: Any, y: Any, d: Any) -> Any:
    return -0.5 * over(sqrt(x, y, d), jnp.sqrt(x)) / jnp.sqrt(y)


def _cbrt_value(x: Any, y: Any, d: Any) -> Any:
    a, b = jnp.cbrt(x), jnp.cbrt(y)
    return jnp.where((a * b > 0) & jnp.isfinite(d), over(d, a * a + a * b + b * b), a - b)


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
    _sqrt_value,
    lambda x: 0.5 / jnp.sqrt(x),
    within,
    _sqrt_slopes,
)
norms = kernel(
    "norm_difference",
    _sqrt_value,
    lambda x: over(0.5, jnp.sqrt(x)),
    within,
    lambda x, y, d: -0.5 * over(over(sqrt(x, y, d), jnp.sqrt(x)), jnp.sqrt(y)),
)
"""sqrt x - sqrt y of two sums of squares, the derivative at 0 that of a norm: 0."""
cbrt = kernel("cbrt_difference", _cbrt_value, _cbrt_slope, within, _cbrt_slopes)
rsqrt = kernel(
    "rsqrt_difference",
    chosen(within, _rsqrt_formula, jax.lax.rsqrt),
    lambda x: -0.5 * jax.lax.rsqrt(x) / x,
    within,
    _rsqrt_slopes,
)


def _reciprocal_slopes(x: Any, y: Any, d: Any) -> Any:
    return ((d / x) / y) * (1 / x + 1 / y)


reciprocal = kernel(
    "reciprocal_difference",
    chosen(within, lambda x, y, d: -(d / x) / y, lambda x: 1 / x),
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


@jax.custom_jvp
def cubes(x: Any, y: Any, d: Any) -> Any:
    """x^3 - y^3 from d = x - y."""
    return d * (x * x + x * y + y * y)


@cubes.defjvp
def _cubes_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, y, d = primals
    along_x, along_y, along_d = tangents
    value = cubes(x, y, d)
    near, zero = within(x, y, d), jnp.zeros_like(value)
    at_x = 3 * x * x
    tangent = jnp.where(near, at_x, zero) * along_d + jnp.where(near, zero, at_x) * along_x
    tangent = tangent + jnp.where(near, 3 * d * (x + y), -3 * y * y) * along_y
    return value, jnp.broadcast_to(tangent, jnp.shape(value)).astype(value.dtype)


@cache
def power(exponent: float) -> Function:
    """The kernel of x^k for a number k."""

    def near(x: Any, y: Any, d: Any) -> Any:
        return within(x, y, d) & (x > 0) & (y > 0) & (jnp.abs(exponent * d) <= jnp.abs(y))

    def formula(x: Any, y: Any, d: Any) -> Any:
        ratio = jnp.where(near(x, y, d), d / y, 0.0).astype(jnp.result_type(d, y))
        return y**exponent * jnp.expm1(exponent * logspace.log1p(ratio))

    return kernel(
        "power_difference",
        chosen(near, formula, lambda x: x**exponent),
        lambda x: exponent * x ** (exponent - 1),
        near,
        lambda x, y, d: exponent * power(exponent - 1)(x, y, d),
    )


# --- exponentials and logarithms ---


def _exp_slopes(x: Any, y: Any, d: Any) -> Any:
    return exp(x, y, d)


def _log_value(x: Any, y: Any, d: Any) -> Any:
    ratio = jnp.abs(d) / jnp.minimum(x, y)
    return jnp.where(
        jnp.isfinite(ratio) & (x > 0) & (y > 0), jnp.sign(d) * logspace.log1p(ratio), jnp.log(x) - jnp.log(y)
    )


def _log1p_value(x: Any, y: Any, d: Any) -> Any:
    ratio = jnp.abs(d) / (1 + jnp.minimum(x, y))
    return jnp.where(
        jnp.isfinite(ratio) & (jnp.minimum(x, y) > -1),
        jnp.sign(d) * logspace.log1p(ratio),
        logspace.log1p(x) - logspace.log1p(y),
    )


_LOG2 = math.log(2.0)

exp = kernel(
    "exp_difference",
    chosen(short, lambda x, y, d: jnp.exp(y) * jnp.expm1(d), jnp.exp),
    jnp.exp,
    short,
    _exp_slopes,
)
exp2 = kernel(
    "exp2_difference",
    chosen(short, lambda x, y, d: jnp.exp2(y) * jnp.expm1(_LOG2 * d), jnp.exp2),
    lambda x: _LOG2 * jnp.exp2(x),
    short,
    lambda x, y, d: _LOG2 * exp2(x, y, d),
)
log = kernel("log_difference", _log_value, lambda x: 1 / x, within, lambda x, y, d: -(d / x) / y)


def logs(x: Any, y: Any, d: Any, log_x: Any, log_y: Any) -> Any:
    """log x - log y from d = x - y; from the logarithms where x or y is beyond the range.

    Example:
        >>> import jax.numpy as jnp
        >>> large, two = jnp.float32(jnp.inf), jnp.float32(2.0)
        >>> print(f"{logs(large, two, large, jnp.float32(100.0), jnp.log(two)):.5g}")
        99.307
    """
    inside = jnp.isfinite(x) & jnp.isfinite(y) & (x > 0) & (y > 0)
    inside |= ~(jnp.isfinite(log_x) & jnp.isfinite(log_y))
    found = log(*(jnp.where(inside, each, other).astype(x.dtype) for each, other in ((x, 1), (y, 1), (d, 0))))
    return jnp.where(inside, found, log_x - log_y).astype(x.dtype)


log1p = kernel(
    "log1p_difference",
    _log1p_value,
    lambda x: 1 / (1 + x),
    lambda x, y, d: within(1 + x, 1 + y, d),
    lambda x, y, d: -(d / (1 + x)) / (1 + y),
)


def _tanh_value(x: Any, y: Any, d: Any) -> Any:
    a, b, sign = jnp.abs(x), jnp.abs(y), jnp.where((x < 0) | (y < 0), -1.0, 1.0)
    d = jnp.where(jnp.isinf(x) & (x == y), 0.0, d)
    same = ((x >= 0) & (y >= 0)) | ((x <= 0) & (y <= 0))  # 0 is on both sides
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
softplus = kernel(
    "softplus_difference",
    chosen(short, lambda x, y, d: logspace.log1p(jax.nn.sigmoid(y) * jnp.expm1(d)), jax.nn.softplus),
    jax.nn.sigmoid,
    lambda x, y, d: short(x, y, d) | ((x > 0) & (y > 0) & jnp.isfinite(d)),  # slopes within a factor of 2
    lambda x, y, d: logistic(x, y, d),
)


def _log_cosh_near(x: Any, y: Any, d: Any) -> Any:
    return logspace.log1p(jnp.tanh(y) * jnp.sinh(d) + 2 * jnp.sinh(d / 2) ** 2)


log_cosh = kernel(
    "log_cosh_difference",
    chosen(
        short, lambda x, y, d: logspace.log1p(jnp.tanh(y) * jnp.sinh(d) + 2 * jnp.sinh(d / 2) ** 2), stable_log_cosh
    ),
    jnp.tanh,
    lambda x, y, d: short(x, y, d) | (((jnp.minimum(x, y) > 1) | (jnp.maximum(x, y) < -1)) & jnp.isfinite(d)),
    lambda x, y, d: tanh(x, y, d),
)

# --- circular and hyperbolic functions ---


FAR = 8.0
"""Where y + d is rounded to multiples that an angle feels."""


def _sum(y: Any, d: Any) -> tuple[Any, Any]:
    """y + d as a number and what its rounding left out."""
    total = y + d
    of_d = total - y
    return total, (y - (total - of_d)) + (d - of_d)


def _sin_of_sum(y: Any, d: Any) -> Any:
    total, rest = _sum(y, d)
    return jnp.sin(total) * jnp.cos(rest) + jnp.cos(total) * jnp.sin(rest)


def _cos_of_sum(y: Any, d: Any) -> Any:
    total, rest = _sum(y, d)
    return jnp.cos(total) * jnp.cos(rest) - jnp.sin(total) * jnp.sin(rest)


def _sin_formula(x: Any, y: Any, d: Any) -> Any:
    return 2 * _cos_of_sum(y, 0.5 * d) * jnp.sin(0.5 * d)


def _cos_formula(x: Any, y: Any, d: Any) -> Any:
    return -2 * _sin_of_sum(y, 0.5 * d) * jnp.sin(0.5 * d)


def _tan_formula(x: Any, y: Any, d: Any) -> Any:
    return jnp.sin(d) / jnp.cos(x) / jnp.cos(y)


def _tan_step(x: Any, y: Any, d: Any) -> Any:
    above = jnp.where(jnp.abs(y) + jnp.abs(d) > FAR, _cos_of_sum(y, d), jnp.cos(x))
    return jnp.sin(d) / above / jnp.cos(y)


def always(x: Any, y: Any, d: Any) -> Any:
    """Everywhere."""
    return jnp.ones_like(d, bool)


def _sinh_formula(x: Any, y: Any, d: Any) -> Any:
    return 2 * jnp.cosh(y + 0.5 * d) * jnp.sinh(0.5 * d)


def _cosh_formula(x: Any, y: Any, d: Any) -> Any:
    return 2 * jnp.sinh(y + 0.5 * d) * jnp.sinh(0.5 * d)


def _sec2(x: Any) -> Any:
    return 1 / jnp.cos(x) ** 2


sin = kernel("sin_difference", chosen(short, _sin_formula, jnp.sin), jnp.cos, short, lambda x, y, d: cos(x, y, d))
cos = kernel(
    "cos_difference", chosen(short, _cos_formula, jnp.cos), lambda x: -jnp.sin(x), short, lambda x, y, d: -sin(x, y, d)
)
sinh = kernel("sinh_difference", chosen(short, _sinh_formula, jnp.sinh), jnp.cosh, short, lambda x, y, d: cosh(x, y, d))
cosh = kernel("cosh_difference", chosen(short, _cosh_formula, jnp.cosh), jnp.sinh, short, lambda x, y, d: sinh(x, y, d))
tan = kernel(
    "tan_difference",
    chosen(short, _tan_formula, jnp.tan),
    _sec2,
    short,
    lambda x, y, d: tan(x, y, d) * (jnp.tan(x) + jnp.tan(y)),
)

sin_step = kernel("sin_step", _sin_formula, jnp.cos, always, lambda x, y, d: cos_step(x, y, d))
cos_step = kernel("cos_step", _cos_formula, lambda x: -jnp.sin(x), always, lambda x, y, d: -sin_step(x, y, d))
tan_step = kernel("tan_step", _tan_step, _sec2, always, lambda x, y, d: tan_step(x, y, d) * (jnp.tan(x) + jnp.tan(y)))


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
    "softplus": _operation(softplus),
    "log_cosh": _operation(log_cosh),
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
    **GAMMAS,
}
"""For each primitive the difference of it: (x, y, d) -> f(x) - f(y)."""

STEPS = {"sin": _operation(sin_step), "cos": _operation(cos_step), "tan": _operation(tan_step)}
"""The same where x is y + d, rounded: far out f(x) may be anything, and d tells what it is."""
NORMS = _operation(norms)
LOGS = Operation("log_difference", logs, whole=True)
CUBES = Operation("difference_of_cubes", cubes, whole=True)
SQUARES = Operation("difference_of_squares", squares, whole=True)
RECIPROCAL = Operation("reciprocal_difference", reciprocal, whole=True)
POWER = Operation("power_difference", lambda x, y, d, k: power(k)(x, y, d), whole=True)
