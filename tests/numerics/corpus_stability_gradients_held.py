"""Idioms whose value is right and whose gradient is not: guards by where, norms at zero, powers at zero, clipping.

Sources: the double-where question (JAX FAQ; issues 347, 1052, 5798 of JAX), norms at zero (JAX 3058, 26248; PyTorch
2421), masked softmax (PyTorch 41508); removable singularities of Higham, ch. 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.numerics.scoring import table

CASES, case = table("gradients")

ZERO = [0.0, 0.0, 0.0]
MASK = np.array([True, False, True, True])


@case(1.0, 0.25, 0.0, -3.0, conventions={2: (1.0, (0.0,))})
def guarded_sine_quotient(x):
    return jnp.where(x == 0, 1.0, jnp.sin(x) / x)


@case(1.0, 100.0, 1e4, -3.0)
def guarded_exponential(x):
    return jnp.where(x < 50.0, jnp.exp(x), 1.0 + x)


@case([3.0, 4.0, 12.0], ZERO, [1e-25, 2e-25, 0.0], [1e25, 0.0, 3e25], conventions={1: (0.0, (ZERO,))})
def norm_by_root(x):
    return jnp.sqrt(jnp.sum(x**2))


@case(
    ([1.0, 2.0], [1.0, 2.0]),
    ([1.0, 2.0], [4.0, 6.0]),
    ([1.0, 2.0], [1.0001, 2.0]),
    conventions={0: (0.0, ([0.0, 0.0], [0.0, 0.0]))},
)
def distance_of_equal_points(x, y):
    return jnp.sqrt(jnp.sum((x - y) ** 2))


@case(0.5, 0.0, 1e-30, 3.0, conventions={1: (0.0, None)})
def x_log_x(x):
    return x * jnp.log(x)


@case([1.0, 2.0, -50.0, 3.0], [100.0, 120.0, 3.0, 90.0], [-1e4, 5.0, 2.0, 1.0])
def masked_softmax_with_infinity(z):
    scores = jnp.where(jnp.asarray(MASK), z, -jnp.inf)
    e = jnp.exp(scores)
    p = e / jnp.sum(e)
    return jnp.sum(p * jnp.array([1.0, 2.0, 3.0, -1.0], z.dtype))


@case([1.0, 2.0, -50.0, 3.0], [100.0, 120.0, 3.0, 90.0])
def masked_log_softmax(z):
    p = jax.nn.softmax(jnp.where(jnp.asarray(MASK), z, -1e30))
    return -jnp.log(p[0])


@case(1e-3, 1e-6, 0.1, 2.0)
def bernoulli_function(x):
    return x / (jnp.exp(x) - 1.0)


@case(1e-3, 1e-6, 0.1, 2.0, 30.0)
def langevin_function(x):
    return 1.0 / jnp.tanh(x) - 1.0 / x


@case(1e-3, 1e-6, 0.1, 2.0, -0.5)
def logarithm_over_argument(x):
    return jnp.log1p(x) / x


@case(1e-2, 1e-4, 0.5, 3.0)
def second_exponential_kernel(x):
    return (jnp.exp(x) - 1.0 - x) / (x * x)


@case(0.3, 30.0, -30.0, 300.0, -300.0)
def softmax_pair_log(x):
    return jnp.log(jax.nn.softmax(jnp.stack([x, -x]))[1])


@case([1.0, -2.0, 0.5], [1e3, -1e3, 2e3], [60.0, 50.0, 70.0])
def log_softmax_squared(z):
    return jnp.sum(jnp.log(jnp.exp(z) / jnp.sum(jnp.exp(z))) ** 2)


@case(0.9, 0.999, 0.99999, 0.5, wide=[0.9999999999])
def angle_from_cosine(c):
    return jnp.arccos(c)


@case(([1.0, 2.0, 2.0], [1.001, 2.0, 2.0]), ([1.0, 0.0, 0.0], [1.0, 1e-4, 0.0]), ([3.0, 1.0, 0.0], [-1.0, 2.0, 5.0]))
def angle_of_vectors(x, y):
    c = jnp.dot(x, y) / (jnp.linalg.norm(x) * jnp.linalg.norm(y))
    return jnp.arccos(c)
