"""Losses as people write them by hand, each for arrays of JAX and for balls of 32000 bits.

Every function takes a namespace `m` (exp, log, sum, ...) and one array of shape (3, 4); balls have no overflow and no
cancellation to speak of, so that the very same formula, evaluated in them, is the reference for value and gradient.
"""

from __future__ import annotations

from contextlib import contextmanager

import flint
import jax
import jax.numpy as jnp
import numpy as np

ONE_HOT = np.eye(4, dtype=np.float32)[[0, 2, 3]]
LABELS = np.array([0, 2, 3])
MASK = np.array([[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]], bool)
PI = np.array([0.125, 0.5, 0.25, 0.125], np.float32)
STEP = np.array([[0.5, 0.25, 0.125, 0.125]] * 4, np.float32)
COUNTS = np.array([[0, 1, 2, 3], [1, 0, 0, 4], [2, 2, 1, 0]], np.float32)


class Floats:
    """The namespace of JAX."""

    exp, log, log1p, expm1, sqrt = jnp.exp, jnp.log, jnp.log1p, jnp.expm1, jnp.sqrt
    abs, max, maximum = jnp.abs, jnp.max, jnp.maximum
    sum, prod, mean, where, cumsum = jnp.sum, jnp.prod, jnp.mean, jnp.where, jnp.cumsum
    take = staticmethod(lambda q: jnp.take_along_axis(q, LABELS[:, None], axis=1)[:, 0])
    pick = staticmethod(lambda q: q[jnp.arange(3), LABELS])
    sigmoid = jax.nn.sigmoid
    softmax = staticmethod(lambda z: jax.nn.softmax(z, axis=-1))
    softplus = jax.nn.softplus
    logsumexp = staticmethod(lambda z: jax.nn.logsumexp(z, axis=-1))
    dot = jnp.dot
    jit = staticmethod(jax.jit)
    stack = jnp.stack


def _each(name):
    return staticmethod(np.frompyfunc(lambda x: getattr(flint.arb(x), name)(), 1, 1))


class Balls:
    """The same in ball arithmetic, on NumPy arrays of objects."""

    exp, log, log1p, expm1, sqrt = (_each(name) for name in ("exp", "log", "log1p", "expm1", "sqrt"))
    abs = staticmethod(np.frompyfunc(lambda x: abs(flint.arb(x)), 1, 1))
    maximum = staticmethod(np.frompyfunc(lambda x, y: flint.arb(x).max(flint.arb(y)), 2, 1))
    max = staticmethod(lambda z, axis=None, keepdims=False: np.max(z, axis=axis, keepdims=keepdims))
    sum = staticmethod(lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims))
    prod = staticmethod(lambda x, axis=None: np.prod(x, axis=axis))
    mean = staticmethod(lambda x, axis=None: np.sum(x, axis=axis) / (x.size if axis is None else x.shape[axis]))
    cumsum = staticmethod(lambda x, axis: np.cumsum(x, axis=axis))
    where = staticmethod(lambda c, a, b: np.where(c, a, np.broadcast_to(np.asarray(b, object), np.shape(c))))
    take = staticmethod(lambda q: q[np.arange(3), LABELS])
    pick = take
    sigmoid = staticmethod(lambda z: 1 / (1 + Balls.exp(-z)))
    softmax = staticmethod(lambda z: Balls.exp(z) / Balls.sum(Balls.exp(z), axis=-1, keepdims=True))
    softplus = staticmethod(lambda z: Balls.log(1 + Balls.exp(z)))
    logsumexp = staticmethod(lambda z: Balls.log(Balls.sum(Balls.exp(z), axis=-1)))
    dot = staticmethod(lambda a, b: np.dot(a, b))
    jit = staticmethod(lambda f: f)
    stack = staticmethod(np.stack)


@contextmanager
def bits(precision):
    old = flint.ctx.prec
    flint.ctx.prec = precision
    try:
        yield
    finally:
        flint.ctx.prec = old


def reference(loss, z, precision=32000, entries=None):
    """Value and gradient of a loss at float32 numbers, in balls: central differences with step 2**-8000."""
    with bits(precision):
        exact = np.vectorize(lambda x: flint.arb(float(x)), otypes=[object])(np.asarray(z))
        value = float(loss(Balls, exact).mid())
        step = flint.arb(2) ** -(precision // 4)
        gradient = np.full(z.shape, np.nan)
        for index in entries if entries is not None else np.ndindex(*z.shape):
            up, down = exact.copy(), exact.copy()
            up[index], down[index] = exact[index] + step, exact[index] - step
            gradient[index] = float(((loss(Balls, up) - loss(Balls, down)) / (2 * step)).mid())
    return value, gradient


# --- broken by hand: value or gradient is wrong somewhere at +-1e4 -------------------------------------------


def cross_entropy_one_hot(m, z):
    p = m.exp(z)
    q = p / m.sum(p, axis=1, keepdims=True)
    return -m.mean(m.sum(ONE_HOT * m.log(q), axis=1))


def cross_entropy_take(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return -m.mean(m.log(m.take(q)))


def cross_entropy_index(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1)[:, None]
    return m.sum(-m.log(m.pick(q)))


def cross_entropy_log_of_sum(m, z):
    return m.mean(m.log(m.sum(m.exp(z), axis=1)) - m.sum(ONE_HOT * z, axis=1))


def cross_entropy_probability_first(m, z):
    p = m.exp(z)
    chosen = m.sum(ONE_HOT * p, axis=1)
    return -m.mean(m.log(chosen / m.sum(p, axis=1)))


def cross_entropy_library_softmax(m, z):
    return -m.mean(m.sum(ONE_HOT * m.log(m.softmax(z)), axis=1))


def cross_entropy_nested_jit(m, z):
    softmax = m.jit(lambda z: m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True))
    return -m.mean(m.log(m.take(m.jit(softmax)(z))))


def cross_entropy_epsilon(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return -m.mean(m.sum(ONE_HOT * m.log(q + 2.0**-20), axis=1))


def cross_entropy_temperature(m, z):
    p = m.exp(z / 0.5)
    return -m.mean(m.log(m.take(p / m.sum(p, axis=1, keepdims=True))))


def cross_entropy_log_prod(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return -m.log(m.prod(m.take(q)))


def cross_entropy_log2(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return -m.mean(m.log(m.take(q)) / 0.6931471805599453)


def binary_by_hand(m, z):
    p = 1 / (1 + m.exp(-z))
    return -m.mean(ONE_HOT * m.log(p) + (1 - ONE_HOT) * m.log(1 - p))


def binary_sigmoid(m, z):
    p = m.sigmoid(z)
    return -m.mean(ONE_HOT * m.log(p) + (1 - ONE_HOT) * m.log(1 - p))


def binary_exp_over(m, z):
    p = m.exp(z) / (1 + m.exp(z))
    return -m.sum(ONE_HOT * m.log(p) + (1 - ONE_HOT) * m.log(1 - p))


def negative_log_sigmoid(m, z):
    return m.sum(-m.log(m.sigmoid(z)))


def sigmoid_alone(m, z):
    return m.sum(1 / (1 + m.exp(-z)) * COUNTS)


def silu_by_hand(m, z):
    return m.sum(z / (1 + m.exp(-z)))


def softplus_by_hand(m, z):
    return m.sum(m.log(1 + m.exp(z)))


def softplus_log1p(m, z):
    return m.sum(m.log1p(m.exp(z)))


def margin(m, z):
    return m.sum(m.log(1 + m.exp(-(2 * ONE_HOT - 1) * z)))


def mixture(m, z):
    return -m.sum(m.log(m.sum(PI * m.exp(-0.5 * z * z), axis=1)))


def mixture_normal(m, z):
    density = m.exp(-0.5 * z**2) / 2.5066282746310002
    return -m.mean(m.log(m.sum(density * PI, axis=1)))


def mixture_of_two(m, z):
    return -m.sum(m.log(0.25 * m.exp(-z[0]) + 0.75 * m.exp(-z[1]) + 0.125 * m.exp(z[2])))


def weighted_unknown_sign(m, z):
    w = z[0] * 2.0**-13
    return m.sum(m.log(m.sum(w * w * m.exp(z[1:]), axis=1) + m.exp(z[0, 0])))


def weighted_variable(m, z):
    return m.log(m.sum(m.abs(z[0]) * m.exp(z[1])))


def log_normaliser(m, z):
    return m.log(m.sum(m.exp(z)))


def log_mean_exp(m, z):
    return m.log(m.mean(m.exp(z)))


def poisson(m, z):
    rate = m.exp(z * 2.0**-8)
    return m.sum(rate - COUNTS * m.log(rate))


def hidden_markov_step(m, z):
    alpha = m.exp(z[0])
    return m.log(m.sum(m.dot(alpha, STEP) * m.exp(z[1])))


def attention(m, z):
    a = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return m.sum(a * COUNTS)


def masked(m, z):
    e = m.where(MASK, m.exp(z), 0.0)
    return m.sum(m.log(m.sum(e, axis=1)))


def masked_by_product(m, z):
    return m.sum(m.log(m.sum(MASK * m.exp(z), axis=1)))


def difference(m, z):
    return m.sum(m.log(m.exp(z[0] + 1.0) - m.exp(z[0])))


def inverse_softplus(m, z):
    return m.sum(m.log(m.expm1(m.abs(z) + 0.5)))


def log_probability_of_not(m, z):
    q = m.exp(z) / m.sum(m.exp(z), axis=1, keepdims=True)
    return m.sum(ONE_HOT * q) + m.log(m.sum(m.exp(-m.abs(z)) ** 3))


def root_of_sum(m, z):
    return m.sum(m.log(m.sqrt(m.sum(m.exp(z), axis=0))))


def prefix(m, z):
    return m.sum(m.log(m.cumsum(m.exp(z), axis=1)))


BROKEN = [
    value
    for value in list(globals().values())
    if getattr(value, "__module__", "") == __name__
    and callable(value)
    and value.__name__ not in {"Floats", "Balls", "bits", "reference", "_each"}
]


# --- stable as written -------------------------------------------------------------------------------------------


def stable_softmax(m, z):
    return m.sum(m.softmax(z) * COUNTS)


def stable_shifted(m, z):
    e = m.exp(z - m.max(z, axis=1, keepdims=True))
    return m.sum(e / m.sum(e, axis=1, keepdims=True) * COUNTS)


def stable_logsumexp(m, z):
    return m.sum(m.logsumexp(z))


def stable_by_hand(m, z):
    top = m.max(z, axis=1, keepdims=True)
    return m.sum(top[:, 0] + m.log(m.sum(m.exp(z - top), axis=1)))


def stable_softplus(m, z):
    return m.sum(m.softplus(z))


def stable_cross_entropy(m, z):
    return m.mean(m.logsumexp(z) - m.sum(ONE_HOT * z, axis=1))


def stable_square(m, z):
    return m.mean((z - COUNTS) ** 2)


def stable_sigmoid(m, z):
    return m.sum(m.sigmoid(z) * COUNTS)


STABLE = [value for name, value in list(globals().items()) if name.startswith("stable_")]
