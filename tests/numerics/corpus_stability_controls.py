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
def logsumexp_of_library(z):
    return jax.nn.logsumexp(z)


@case(MILD, LARGE)
def log_softmax_of_library(z):
    return jax.nn.log_softmax(z)[1]


@case(MILD, LARGE)
def softmax_of_library(z):
    return jnp.dot(jax.nn.softmax(z), jnp.array([1.0, 2.0, 3.0, 4.0], z.dtype))


@case(*SCALAR)
def softplus_of_library(x):
    return jax.nn.softplus(x)


@case(*SCALAR)
def sigmoid_of_library(x):
    return jax.nn.sigmoid(x)


@case(*SCALAR)
def log_sigmoid_of_library(x):
    return jax.nn.log_sigmoid(x)


@case(*SCALAR)
def relu_squared(x):
    return jax.nn.relu(x) ** 2


@case(MILD, LARGE)
def two_pass_variance(x):
    return jnp.mean((x - jnp.mean(x)) ** 2)


@case(MILD, LARGE)
def sum_of_squares(x):
    return jnp.sum(x**2)


@case(MILD, LARGE)
def ridge_penalty(x):
    return 0.5 * jnp.dot(x, x) + 0.1 * jnp.sum(x)


@case(1e-6, 0.3, 5.0)
def expm1_of_library(x):
    return jnp.expm1(x)


@case(1e-6, 0.3, 5.0)
def log1p_of_library(x):
    return jnp.log1p(x)


@case((3.0, 4.0), (1e-3, 2.0))
def sum_of_roots(x, y):
    return jnp.sqrt(x) + jnp.sqrt(y)


@case(0.3, 2.0, -1.0)
def one_plus_square(x):
    return 1.0 + x * x


@case(0.3, 2.0, -1.0)
def cauchy_kernel(x):
    return 1.0 / (1.0 + x * x)


@case(0.3, 2.0, -1.0)
def gaussian_kernel(x):
    return jnp.exp(-0.5 * x * x)


@case((0.3, 2.0), (5.0, 4.0))
def difference_of_inputs(x, y):
    return (x - y) ** 2


@case(MILD)
def perceptron(x):
    h = jnp.tanh(jnp.asarray(MATRIX, x.dtype) @ x)
    return jnp.sum(jnp.asarray(MATRIX, x.dtype)[0] * h)


@case(MILD)
def residual_block(x):
    w = jnp.asarray(MATRIX, x.dtype)
    for _ in range(3):
        x = x + 0.1 * jax.nn.relu(w @ x)
    return jnp.sum(x)


@case(MILD)
def layer_norm(x):
    m = jnp.mean(x)
    return jnp.sum((x - m) * lax.rsqrt(jnp.mean((x - m) ** 2) + 1e-5) * jnp.asarray(MATRIX, x.dtype)[0])


@case(MILD)
def attention_of_library(x):
    w = jnp.asarray(MATRIX, x.dtype)
    scores = jnp.outer(w @ x, x) / 2.0
    return jnp.sum(jax.nn.softmax(scores, axis=-1) @ x)


@case(MILD)
def binary_cross_entropy_with_logits(x):
    y = jnp.array([1.0, 0.0, 1.0, 0.0], x.dtype)
    return jnp.mean(jax.nn.softplus(x) - y * x)


@case(MILD)
def accumulated_in_scan(x):
    return lax.scan(lambda c, v: (0.9 * c + v, None), jnp.zeros((), x.dtype), x)[0]


@case(MILD)
def rosenbrock(x):
    return jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


@case(POSITIVE)
def hypot_of_library(x):
    return jnp.hypot(x[0], x[1]) + jnp.hypot(x[2], x[3])


@case((0.3, 0.2), (100.0, 99.0))
def logaddexp_of_library(a, b):
    return jnp.logaddexp(a, b)


@case((0.3, 0.2), (1e4, -1e4))
def arctangent_of_two(x, y):
    return jnp.arctan2(x, y)


@case(0.7, 30.0)
def lgamma_alone(x):
    return jax.lax.lgamma(x) + 2.0 * x


@case([[2.0, 0.5], [0.5, 1.0]])
def log_determinant_of_library(a):
    return jnp.linalg.slogdet(a)[1]
