"""The operations that the logarithm rewriting emits, each stable in value and in first derivative.

With a shift M that the derivative does not see (Blanchard, Higham and Higham, *Accurately computing the
log-sum-exp and softmax functions*, 2021)::

    log sum_i exp u_i  =  M + log sum_i exp(u_i - M),      M = max_i u_i

the sum on the right lies in [1, n]: it can neither overflow nor vanish. Its largest term is 1, and its logarithm is
log1p of the sum of the others. Shift and logarithm are kept apart, so that z - logsumexp(u) is computed as
(z - M) - log(sum): a difference of large numbers first, which is nearly exact, then a small correction. Where M is
infinite, u - M would be NaN; there the elements that reach M count as 0 and the others as -inf. A row of -inf gives
-inf with a zero gradient, a row with +inf gives inf.

    log(1 - exp x) = log(-expm1 x)  for x > -log 2,   log1p(-exp x)  otherwise      (Maechler, 2012)
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace
from qed.numerics.rewriting.smooth import sigmoid, smooth


def _shift_two(a: Any, b: Any) -> Any:
    return jax.lax.stop_gradient(jnp.maximum(a, b))


softplus = smooth(jax.nn.softplus, sigmoid)


@jax.custom_jvp
def logaddexp(a: Any, b: Any) -> Any:
    """log(exp a + exp b); its derivative is sigmoid(a - b), while exp(a - log(exp a + exp b)) loses log2 |a| bits."""
    return jnp.logaddexp(a, b)


@logaddexp.defjvp
def _logaddexp_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b = primals
    value = logaddexp(a, b)
    gap = jnp.where(a == b, 0, a - b).astype(value.dtype)
    nothing = value == -jnp.inf
    first, second = (jnp.where(nothing, 0, sigmoid(g)).astype(value.dtype) for g in (gap, -gap))
    return value, first * tangents[0] + second * tangents[1]


def _log_sum_split(a: Any, more_a: Any, b: Any, more_b: Any) -> Any:
    """log(exp(a + more_a) + exp(b + more_b)), with the digits of the smaller one where the larger one is 1."""
    p, q = a + more_a, b + more_b
    usable = jnp.isfinite(p) & jnp.isfinite(q)
    a, more_a, b, more_b = (jnp.where(usable, each, 0) for each in (a, more_a, b, more_b))
    first = a + more_a >= b + more_b
    high, low = jnp.where(first, a, b), jnp.where(first, b, a)
    gap = low - high
    of_high = gap - low
    error = (low - (gap - of_high)) - (high + of_high)
    more = jnp.where(first, more_b - more_a, more_a - more_b) + error
    ratio = jnp.exp(gap)
    ratio = ratio + ratio * jnp.expm1(more)  # a compiler makes exp(gap + more) of a product of the two
    inside = high + (jnp.where(first, more_a, more_b) + logspace.log1p(ratio))
    return jnp.where(usable, inside, jnp.logaddexp(p, q))


@jax.custom_jvp
def logaddexp_split(a: Any, more_a: Any, b: Any, more_b: Any) -> Any:
    """log(exp(a + more_a) + exp(b + more_b)), where a + more_a would round the small part away."""
    shift = _shift_two(a, b)
    return shift + _log_sum_split(logspace.relative(a, shift), more_a, logspace.relative(b, shift), more_b)


@jax.custom_jvp
def sigmoid_split(a: Any, more_a: Any, b: Any, more_b: Any) -> Any:
    """1 / (1 + exp(-g)), g = (a + more_a) - (b + more_b), the rounding error of g put back: it counts g times."""
    total, left = _gap_split(a, more_a, b, more_b)
    value = jax.nn.sigmoid(total)
    return value + value * jax.nn.sigmoid(-total) * left


def _gap_split(a: Any, more_a: Any, b: Any, more_b: Any) -> tuple[Any, Any]:
    """(a + more_a) - (b + more_b), and what it leaves out."""
    gap = a - b
    of_b = gap - a
    error = (a - (gap - of_b)) - (b + of_b)
    more = (more_a - more_b) + error
    usable = jnp.isfinite(gap) & jnp.isfinite(more)
    gap, more = (jnp.where(usable, each, 0) for each in (gap, more))
    total = gap + more
    left = jnp.where(usable, more - (total - gap), 0)
    plain = jnp.where(a + more_a == b + more_b, 0, (a + more_a) - (b + more_b))
    return jnp.where(usable, total, plain), left


@sigmoid_split.defjvp
def _sigmoid_split_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, more_a, b, more_b = primals
    value = sigmoid_split(*primals)
    slope = value * sigmoid_split(b, more_b, a, more_a)
    return value, slope * ((tangents[0] - tangents[2]) + (tangents[1] - tangents[3]))


@jax.custom_jvp
def log_share_split(a: Any, more_a: Any, b: Any, more_b: Any) -> Any:
    """log(exp u / (exp u + exp v)) = -softplus(v - u), u = a + more_a, v = b + more_b, with what v - u rounds off."""
    total, left = _gap_split(b, more_b, a, more_a)
    return -(jax.nn.softplus(total) + jax.nn.sigmoid(total) * left)


@log_share_split.defjvp
def _log_share_split_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, more_a, b, more_b = primals
    other = sigmoid_split(b, more_b, a, more_a)
    return log_share_split(*primals), other * ((tangents[0] - tangents[2]) + (tangents[1] - tangents[3]))


@logaddexp_split.defjvp
def _logaddexp_split_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, more_a, b, more_b = primals
    value = logaddexp_split(a, more_a, b, more_b)
    along = tangents[0] + tangents[1], tangents[2] + tangents[3]
    return value, _sigmoids(value, a, more_a, b, more_b, *along)


def _sigmoids(value: Any, a: Any, more_a: Any, b: Any, more_b: Any, along_a: Any, along_b: Any) -> Any:
    nothing = value == -jnp.inf
    one = jnp.where(nothing, 0, sigmoid_split(a, more_a, b, more_b)).astype(value.dtype)
    other = jnp.where(nothing, 0, sigmoid_split(b, more_b, a, more_a)).astype(value.dtype)
    return one * along_a + other * along_b


def _rest_two(a: Any, b: Any, shift: Any) -> Any:
    return logaddexp(logspace.relative(a, shift), logspace.relative(b, shift))


@jax.custom_jvp
def _rest_split(a: Any, b: Any, shift: Any, more_a: Any, more_b: Any) -> Any:
    return _log_sum_split(logspace.relative(a, shift), more_a, logspace.relative(b, shift), more_b)


@_rest_split.defjvp
def _rest_split_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    a, b, _, more_a, more_b = primals
    along_a, along_b, along_shift, along_more_a, along_more_b = tangents
    value = _rest_split(*primals)
    tangent = _sigmoids(value, a, more_a, b, more_b, along_a + along_more_a, along_b + along_more_b)
    return value, tangent - along_shift


def _sum_split(a: Any, b: Any, shift: Any, more_a: Any, more_b: Any) -> Any:
    return jnp.exp(logspace.relative(a, shift) + more_a) + jnp.exp(logspace.relative(b, shift) + more_b)


MILD = 4.0
"""Up to which size of the largest logarithm a sum of exponentials with weights is formed as it stands."""


def _weighted_shift(w: Any, u: Any, axes: tuple[int, ...]) -> Any:
    seen = jnp.where(w == 0, -jnp.inf, u + jnp.log(jnp.abs(w)))
    return _needed(jnp.max(seen, axis=axes))


def _needed(shift: Any) -> Any:
    """The shift where it is needed: of a sum near 1 the logarithm is small, and a shift would cancel it."""
    return jax.lax.stop_gradient(
        jnp.where(jnp.isfinite(shift) & (jnp.abs(shift) > MILD), shift, 0.0).astype(shift.dtype)
    )


def _weighted_sum(w: Any, u: Any, shift: Any, axes: tuple[int, ...]) -> Any:
    return jnp.sum(_scaled(w, u, jnp.expand_dims(shift, axes)), axis=axes)


def _scaled(w: Any, u: Any, shift: Any) -> Any:
    """w exp(u - shift), with an exponent that cannot overflow where w is 0; what u - shift rounds off is put back."""
    gap = u - shift
    of_shift = gap - u
    rest = jax.lax.stop_gradient((u - (gap - of_shift)) - (shift + of_shift))
    limit = jnp.log(jnp.finfo(u.dtype).max) - 1
    value = w * jnp.exp(jnp.where(w == 0, jnp.minimum(gap, limit), gap).astype(u.dtype))
    return value + value * jnp.where(jnp.isfinite(gap) & jnp.isfinite(value), rest, 0).astype(u.dtype)


def _weighted_shift_two(v: Any, a: Any, w: Any, b: Any) -> Any:
    first = jnp.where(v == 0, -jnp.inf, a + jnp.log(jnp.abs(v)))
    second = jnp.where(w == 0, -jnp.inf, b + jnp.log(jnp.abs(w)))
    return _needed(jnp.maximum(first, second))


def _weighted_sum_two(v: Any, a: Any, w: Any, b: Any, shift: Any) -> Any:
    return _scaled(v, a, shift) + _scaled(w, b, shift)


ADD = Operation("add", jnp.add)
SUB = Operation("sub", jnp.subtract)
MUL = Operation("mul", jnp.multiply)
DIV = Operation("div", jnp.divide)
NEG = Operation("neg", jnp.negative)
ABS = Operation("abs", jnp.abs)
EXP = Operation("exp", jnp.exp)
LOG = Operation("log", jnp.log)
LOG1P = Operation("log1p", logspace.log1p)
MAX = Operation("max", jnp.maximum)
MIN = Operation("min", jnp.minimum)
SOFTPLUS = Operation("softplus", softplus, whole=True)
LOG1MEXP = Operation("log1mexp", logspace.log1mexp, whole=True)
LOG_NDTR = Operation("log_ndtr", jax.scipy.special.log_ndtr, whole=True)
FILL = Operation("fill", lambda x, to: jnp.broadcast_to(x, to))
KEPT = Operation("reshape", lambda x, to: jnp.reshape(x, to))
CANCELLED = Operation("cancelled", lambda x: jax.lax.stop_gradient(jnp.subtract(x, x)))
SPREAD = Operation("spread", lambda x, order, to: jnp.transpose(x, order).reshape(to))
SUM = Operation("sum", lambda x, axes: jnp.sum(x, axis=axes))
LARGEST = Operation("reduce_max", lambda x, axes: jnp.max(x, axis=axes))
SMALLEST = Operation("reduce_min", lambda x, axes: jnp.min(x, axis=axes))
CUMULATIVE_SUM = Operation("cumsum", lambda x, axis, reverse: jax.lax.cumsum(x, axis, reverse))

LOGSUMEXP = Operation("logsumexp", lambda u, axes: logspace.logsumexp(u, axes), whole=True)
SHIFT = Operation("shift", logspace.largest, whole=True)
OTHERS = Operation("others", logspace.sum_exp_minus_one, whole=True)
SUM_EXP = Operation("sum_exp", lambda others: 1 + others, whole=True)
LOG_SUM = Operation("log", lambda total, others: logspace.log1p(others), whole=True)
LOGADDEXP = Operation("logaddexp", logaddexp, whole=True)
LOGADDEXP_SPLIT = Operation("logaddexp_split", logaddexp_split, whole=True)
SIGMOID_SPLIT = Operation("sigmoid_split", sigmoid_split, whole=True)
LOG_SHARE_SPLIT = Operation("log_share_split", log_share_split, whole=True)
SHIFT_TWO = Operation("shift_two", _shift_two, whole=True)
REST_TWO = Operation("rest_two", _rest_two, whole=True)
REST_SPLIT = Operation("rest_split", _rest_split, whole=True)
SUM_SPLIT = Operation("sum_two", _sum_split, whole=True)

WEIGHTED = Operation(
    "weighted_logsumexp",
    lambda w, u, axes: (s := _weighted_shift(w, u, axes)) + jnp.log(_weighted_sum(w, u, s, axes)),
    whole=True,
)
WEIGHTED_SHIFT = Operation("weighted_shift", _weighted_shift, whole=True)
WEIGHTED_SUM = Operation("weighted_sum", _weighted_sum, whole=True)
WEIGHTED_TWO = Operation(
    "weighted_logaddexp",
    lambda v, a, w, b: (s := _weighted_shift_two(v, a, w, b)) + jnp.log(_weighted_sum_two(v, a, w, b, s)),
    whole=True,
)
WEIGHTED_SHIFT_TWO = Operation("weighted_shift_two", _weighted_shift_two, whole=True)
WEIGHTED_SUM_TWO = Operation("weighted_sum_two", _weighted_sum_two, whole=True)
