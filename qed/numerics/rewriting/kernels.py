"""Functions that the logarithm rewriting emits, with derivatives that keep their digits as well.

*Exponential of a sum.* exp(a - b) has the relative error of a - b times its size, which loses log2 |a - b| bits beside
exp(a)/exp(b). So the rounding error e of the sum s is computed too (Knuth's two-sum), and exp(s)(1 + e) returned.

*Softmax.* Its derivative J = diag(p) - p p^T, as p_i (t_i - p.t), cancels where one p is near 1. J 1 = 0, so that
J = E^T J E with E t = t - t_r for any r: with r the largest p, J is applied to the differences t_i - t_r, of which that
of r is exactly 0, and what r gets is minus the sum of the others. Forward and transposed it is the same formula.

*p log p* of a p that is given by its logarithm: its derivative (log p + 1) p' goes through p alone. Through both
factors it would be log p p' + p (log p)', in which two terms of size p cancel.

*Sigmoid.* s'(x) = s(x) s(-x), while s(1 - s) is 0 where s rounds to 1.

*log cosh* = log1p(2 sinh^2(x/2)) near 0, |x| + log1p(exp(-2|x|)) - log 2 elsewhere; its derivative is tanh.

*log erfc* = log(erfc x) up to `FAR`, and from there -x^2 - log(x sqrt(pi)) + log of Laplace's continued fraction. Its
derivative -2 exp(-x^2)/(sqrt(pi) erfc x) is the same fraction.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.smooth import logistic

ROUNDED_OFF = "qed_rounded_off"
"""The name of what a sum leaves out, beside it."""
FAR = 3.0
TERMS = 40


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    s = a + b
    of_b = s - a
    return s, (a - (s - of_b)) + (b - of_b)


def _compensated(coefficients: tuple[float, ...], terms: Any) -> tuple[Any, Any]:
    """A linear combination and what its additions round off."""
    parts = [t if c == 1 else jnp.asarray(c, t.dtype) * t for c, t in zip(coefficients, terms, strict=True)]
    total, error = parts[0], jnp.zeros_like(parts[0])
    for part in parts[1:]:
        total, more = _two_sum(total, part)
        error = error + more
    return total, error


def _rounded_off(coefficients: tuple[float, ...], terms: Any) -> Any:
    total, error = _compensated(coefficients, terms)
    usable = jnp.where(jnp.isfinite(total) & jnp.isfinite(error), error, 0).astype(total.dtype)
    return checkpoint_name(jax.lax.stop_gradient(usable), ROUNDED_OFF)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def exp_of_sum(coefficients: tuple[float, ...], *terms: Any) -> Any:
    """exp(c1 t1 + c2 t2 + ...), with the rounding error of the sum put back.

    Example:
        >>> import jax.numpy as jnp
        >>> a, b = jnp.float32(80.1), jnp.float32(-0.3)
        >>> value, true = float(exp_of_sum((1.0, -1.0), a, b)), math.exp(float(a) - float(b))
        >>> abs(value / true - 1) < 3e-7, abs(float(jnp.exp(a - b)) / true - 1) > 1e-6
        (True, True)
    """
    total, error = _compensated(coefficients, terms)
    value = jnp.exp(total)
    small = jnp.isfinite(total) & jnp.isfinite(value)
    return jnp.where(small, value + value * jnp.where(small, error, 0).astype(value.dtype), value)


@exp_of_sum.defjvp
def _exp_of_sum_derivative(coefficients: tuple[float, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    value = exp_of_sum(coefficients, *primals)
    slope = sum((c * t for c, t in zip(coefficients, tangents, strict=True)), jnp.zeros_like(value))
    return value, (value * slope).astype(value.dtype)


def exp_beside(coefficients: tuple[float, ...], factor: Any, *terms: Any) -> Any:
    """exp_of_sum, used twice beside a factor; 1 where that is 0 and the square of the exponential overflows.

    NaN where what is divided by is 0: a share of nothing.
    """
    below = [t == -jnp.inf for c, t in zip(coefficients, terms, strict=True) if c < 0]
    total = sum((c * t for c, t in zip(coefficients, terms, strict=True)), jnp.zeros_like(factor))
    lost = (factor == 0) & ~(total < math.log(float(jnp.finfo(total.dtype).max)) / 2 - 1)
    value = exp_of_sum(coefficients, *(jnp.where(lost, 0, t).astype(t.dtype) for t in terms))
    return jnp.where(functools.reduce(jnp.logical_or, below, False), jnp.nan, value).astype(value.dtype)


@jax.custom_jvp
def sigmoid(x: Any) -> Any:
    """1/(1 + exp(-x)), with s' = s(x) s(-x).

    Example:
        >>> import jax
        >>> print(f"{jax.grad(sigmoid)(30.0):.5g}", jax.grad(jax.nn.sigmoid)(30.0))
        9.3576e-14 0.0
    """
    return logistic(x)


@sigmoid.defjvp
def _sigmoid_derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    value = sigmoid(x)
    return value, value * sigmoid(-x) * t


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def softmax(u: Any, axes: tuple[int, ...]) -> Any:
    """exp(u) / sum(exp(u)) along axes; NaN where every exp(u) is 0, and its derivative 0 there.

    Example:
        >>> import jax.numpy as jnp
        >>> print(softmax(jnp.array([[900.0, 900.0], [-jnp.inf, -jnp.inf]]), (1,)))
        [[0.5 0.5]
         [nan nan]]
    """
    shift = jnp.expand_dims(logspace.largest(u, axes), axes)
    terms = logspace.exp_below(u, shift)
    found = terms / jnp.sum(terms, axis=axes, keepdims=True)
    return jnp.where(shift == -jnp.inf, jnp.nan, found).astype(u.dtype)


@softmax.defjvp
def _softmax_derivative(axes: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    (u,), (t,) = primals, tangents
    value = softmax(u, axes)
    nothing = jnp.expand_dims(logspace.largest(u, axes), axes) == -jnp.inf
    p = jnp.where(nothing, 0, value).astype(value.dtype)
    first = (p == jnp.max(p, axis=axes, keepdims=True)).astype(p.dtype)
    largest = jax.lax.stop_gradient(first / jnp.maximum(jnp.sum(first, axis=axes, keepdims=True), 1))
    beside = t - jnp.sum(largest * t, axis=axes, keepdims=True)
    inner = p * (beside - jnp.sum(p * beside, axis=axes, keepdims=True))
    return value, inner - largest * jnp.sum(inner, axis=axes, keepdims=True)


def softmax_beside_one(u: Any, axes: tuple[int, ...]) -> Any:
    """exp(u) / (1 + sum(exp(u))): the softmax of u and one more 0, whose derivative cannot cancel."""
    moved = jnp.moveaxis(u, axes, tuple(range(len(axes))))
    flat = moved.reshape((math.prod(moved.shape[: len(axes)]), *moved.shape[len(axes) :]))
    weights = softmax(jnp.concatenate([flat, jnp.zeros_like(flat[:1])]), (0,))[:-1]
    return jnp.moveaxis(weights.reshape(moved.shape), tuple(range(len(axes))), axes)


@jax.custom_jvp
def x_log_x(x: Any, log: Any) -> Any:
    """x log, for log = log x; 0 where x = 0."""
    return jnp.where(x == 0, 0, x * jnp.where(x == 0, 0, log)).astype(x.dtype)


@x_log_x.defjvp
def _x_log_x_derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, log = primals
    slope = jnp.where(jnp.isfinite(log), log + 1, 0).astype(x.dtype)
    return x_log_x(x, log), slope * tangents[0]


@jax.custom_jvp
def log_cosh(x: Any) -> Any:
    """log(cosh x)."""
    size = jnp.abs(x)
    near = size < 1
    small = jnp.where(near, size, 0).astype(x.dtype)
    large = jnp.where(near, 1, size).astype(x.dtype)
    far = large + (jnp.log1p(jnp.exp(-2 * large)) - jnp.asarray(math.log(2.0), x.dtype))
    return jnp.where(near, jnp.log1p(2 * jnp.square(jnp.sinh(small / 2))), far)


@log_cosh.defjvp
def _log_cosh_derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    return log_cosh(x), jnp.tanh(x) * t


def _fraction(x: Any) -> Any:
    """x + (1/2)/(x + 1/(x + (3/2)/(x + ...))) = exp(-x^2)/(sqrt(pi) erfc x), for x >= FAR."""
    found = x
    for k in range(TERMS, 0, -1):
        found = x + (k / 2) / found
    return found


@jax.custom_jvp
def log_erfc(x: Any) -> Any:
    """log(erfc x)."""
    far = x > FAR
    near = jnp.where(far, FAR, x).astype(x.dtype)
    large = jnp.where(far, x, FAR).astype(x.dtype)
    tail = -(large * large) - jnp.log(_fraction(large) * jnp.asarray(math.sqrt(math.pi), x.dtype))
    head = jnp.where(jnp.abs(near) < 0.5, logspace.log1p(-jax.lax.erf(near)), jnp.log(jax.lax.erfc(near)))
    return jnp.where(far, tail, head)


@log_erfc.defjvp
def _log_erfc_derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (x,), (t,) = primals, tangents
    far = x > FAR
    near = jnp.where(far, FAR, x).astype(x.dtype)
    tail = _fraction(jnp.where(far, x, FAR).astype(x.dtype))
    head = jnp.exp(-(near * near)) / (jax.lax.erfc(near) * jnp.asarray(math.sqrt(math.pi), x.dtype))
    return log_erfc(x), -2 * jnp.where(far, tail, head) * t


@jax.custom_jvp
def log_half_erfc(x: Any) -> Any:
    """log(erfc(x)/2), the logarithm of the normal distribution function at -sqrt(2) x: small where that is near 1.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_half_erfc(jnp.float32(-3.0)):.5g}")  # -erfc(3)/2
        -1.1045e-05
    """
    left = x < 0
    near = logspace.log1p(-0.5 * jax.lax.erfc(jnp.where(left, -x, 1).astype(x.dtype)))
    return jnp.where(left, near, log_erfc(jnp.where(left, 1, x).astype(x.dtype)) - math.log(2.0)).astype(x.dtype)


log_half_erfc.defjvp(lambda p, t: (log_half_erfc(*p), jax.jvp(log_erfc, p, t)[1]))


def _erfc_shift(x: Any) -> Any:
    return jnp.where(x > FAR, -(x * x), 0).astype(x.dtype)


def _scaled_erfc(x: Any) -> Any:
    """erfc(x), divided by exp(-x^2) where x > FAR."""
    far = x > FAR
    tail = 1 / (_fraction(jnp.where(far, x, FAR).astype(x.dtype)) * jnp.asarray(math.sqrt(math.pi), x.dtype))
    return jnp.where(far, tail, jax.lax.erfc(jnp.where(far, FAR, x).astype(x.dtype)))


def _scaled_erfc_minus_one(x: Any) -> Any:
    far = x > FAR
    near = jnp.where(far, FAR, x).astype(x.dtype)
    return jnp.where(far, _scaled_erfc(x) - 1, -jax.lax.erf(near))


@jax.custom_jvp
def log_near_one(n: Any, v: Any) -> Any:
    """log(n) for n = 1 + v, v known to more digits: log1p(v) where |v| < 1/2."""
    near = jnp.abs(v) < 0.5
    return jnp.where(near, logspace.log1p(jnp.where(near, v, 0).astype(v.dtype)), jnp.log(jnp.where(near, 1, n)))


@log_near_one.defjvp
def _log_near_one_derivative(primals: Any, tangents: Any) -> tuple[Any, Any]:
    (n, v), (t, _) = primals, tangents
    return log_near_one(n, v), t / n


@jax.custom_jvp
def log_beside_one(log: Any, v: Any) -> Any:
    """A logarithm of 1 + v that is known already, which is log1p(v) where |v| < 1/2; its derivative is its own."""
    near = jnp.abs(v) < 0.5
    return jnp.where(near, logspace.log1p(jnp.where(near, v, 0).astype(v.dtype)), log)


log_beside_one.defjvp(lambda p, t: (log_beside_one(*p), jnp.broadcast_to(t[0], jnp.shape(log_beside_one(*p)))))

EXP_OF_SUM = Operation("exp_of_sum", lambda *t, coefficients: exp_of_sum(coefficients, *t), whole=True)
EXP_BESIDE = Operation("exp_beside", lambda w, *t, coefficients: exp_beside(coefficients, w, *t), whole=True)
LOGISTIC = Operation("logistic", sigmoid, whole=True)
SUM_HIGH = Operation("sum_high", lambda *t, coefficients: _compensated(coefficients, t)[0], whole=True)
SUM_LOW = Operation("sum_low", lambda *t, coefficients: _rounded_off(coefficients, t), whole=True)
SOFTMAX = Operation("softmax", lambda u, axes: softmax(u, axes), whole=True)
SOFTMAX_BESIDE_ONE = Operation("softmax_beside_one", lambda u, axes: softmax_beside_one(u, axes), whole=True)
X_LOG_X = Operation("x_log_x", x_log_x, whole=True)
LOG_COSH = Operation("log_cosh", log_cosh, whole=True)
LOG_HALF_ERFC = Operation("log_half_erfc", log_half_erfc, whole=True)
LOG_ERFC = Operation("log_erfc", log_erfc, whole=True)
ERFC_SHIFT = Operation("erfc_shift", _erfc_shift, whole=True)
SCALED_ERFC = Operation("scaled_erfc", _scaled_erfc, whole=True)
SCALED_ERFC_MINUS_ONE = Operation("scaled_erfc_minus_one", _scaled_erfc_minus_one, whole=True)
LOG_NEAR_ONE = Operation("log", log_near_one, whole=True)
LOG_BESIDE_ONE = Operation("log_beside_one", log_beside_one, whole=True)
SUM_TWO = Operation(
    "sum_two", lambda a, b, m: jnp.exp(logspace.relative(a, m)) + jnp.exp(logspace.relative(b, m)), whole=True
)
POSITIVE_PART = Operation("positive_part", lambda x: jax.lax.stop_gradient(jnp.maximum(x, 0)), whole=True)
