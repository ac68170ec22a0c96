"""Functions that are right as written, to be left alone: the stable twins of the unstable ones, and ordinary models.

Where nothing can be lost, a rewriting may only do harm: the value must stay the same bit for bit, and so must the
gradient unless the derivative that JAX gives the function loses digits.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.numerics.scoring import table

CASES, case = table("controls")

MILD = [0.3, -1.2, 2.0, 0.7]
LARGE = [120.0, -100.0, 300.0, 50.0]
SCALAR = (0.3, 5.0, 120.0, -5.0, -120.0)
POSITIVE = [0.3, 1.7, 2.6, 0.9]
MATRIX = np.array([[0.5, -1.0, 0.25, 1.0], [1.5, 0.75, -0.5, 0.0], [0.1, 0.2, -2.0, 0.5], [1.0, 1.0, 1.0, -1.0]])


@case(MILD, LARGE)
def logsumexp_shifted_by_hand(z):
    top = jnp.max(z)
    return top + jnp.log(jnp.sum(jnp.exp(z - top)))


@case(MILD, LARGE)
def softmax_shifted_by_hand(z):
    e = jnp.exp(z - jnp.max(z))
    return (e / jnp.sum(e))[0]


@case(*SCALAR)
def tanh_layer(x):
    return jnp.tanh(2.0 * x + 1.0)


@case(*SCALAR)
def silu_of_library(x):
    return jax.nn.silu(x)


@case(MILD, LARGE)
def mean_squared_error(x):
    return jnp.mean((x - jnp.array([1.0, 2.0, -1.0, 0.5], x.dtype)) ** 2)


@case(MILD, LARGE)
def variance_of_library(x):
    return jnp.var(x)


@case(POSITIVE)
def sum_of_logarithms(x):
    return jnp.sum(jnp.log(x))


@case(POSITIVE)
def poisson_loss_with_log_rate(x):
    return jnp.sum(jnp.exp(x) - 2.0 * x)


@case((3.0, 4.0), (1e-3, 2.0))
def sum_of_positive_exponentials(x, y):
    return jnp.exp(x) + jnp.exp(-y)


@case(0.3, 2.0, -1.0)
def polynomial_in_horner_form(x):
    return 1.0 + x * (2.0 + x * (3.0 + 4.0 * x))


@case(0.3, 2.0, -1.0)
def sine_and_cosine(x):
    return jnp.sin(3.0 * x) + 0.5 * jnp.cos(x)


@case((3.0, 4.0), (1.0, -2.0))
def absolute_difference(x, y):
    return jnp.abs(x - y)


@case((3.0, 4.0), (1.0, -2.0))
def huber(x, y):
    d = x - y
    return jnp.where(jnp.abs(d) < 1.5, 0.5 * d * d, 1.5 * (jnp.abs(d) - 0.75))


@case(MILD)
def cross_entropy_of_library(x):
    return jax.nn.logsumexp(x) - x[2]


@case(MILD)
def recurrent_cell(x):
    return lax.scan(lambda h, v: (jnp.tanh(0.5 * h + v), None), jnp.zeros((), x.dtype), x)[0]


@case(0.5, 2.0, 1e-3)
def double_where(x):
    safe = jnp.where(x > 0, x, 1.0)
    return jnp.where(x > 0, jnp.log(safe), 0.0)


@case(0.5, 0.25, 0.9)
def xlogy_of_library(p):
    return -jax.scipy.special.xlogy(p, p) - jax.scipy.special.xlog1py(1.0 - p, -p)


@case((0.3, 1.5), (3.0, 2.5))
def power_of_positive(x, y):
    return x**y


@case(MILD)
def maximum_pooling(x):
    return jnp.max(x) + jnp.sum(jnp.minimum(x, 0.5))


@case(MILD)
def target_held_constant(x):
    return jnp.sum((x - lax.stop_gradient(0.0 * x + 2.0)) ** 2)
