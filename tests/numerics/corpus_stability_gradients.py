"""Idioms whose value is right and whose gradient is not: guards by where, norms at zero, powers at zero, clipping.

Sources: the double-where question (JAX FAQ; issues 347, 1052, 5798 of JAX), norms at zero (JAX 3058, 26248; PyTorch
2421), masked softmax (PyTorch 41508); removable singularities of Higham, ch. 1.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from tests.numerics.scoring import table

CASES, case = table("gradients")

ZERO = [0.0, 0.0, 0.0]
MASK = np.array([True, False, True, True])


@case(1.0, 0.25, -1.0, 1e-10, conventions={2: (0.0, (0.0,))})
def guarded_logarithm(x):
    return jnp.where(x > 0, jnp.log(x), 0.0)


@case(1.0, 0.25, -1.0, 0.0, conventions={2: (0.0, (0.0,)), 3: (0.0, (0.0,))})
def guarded_root(x):
    return jnp.where(x > 0, jnp.sqrt(x), 0.0)


@case(0.5, 2.0, -4.0, -0.25)
def guarded_arccosine(x):
    return jnp.where(jnp.abs(x) < 1, jnp.arccos(x), 0.0)


@case([1.0, 2.0, 0.0, 3.0], [0.5, 0.0, 1e-10, 2.0], conventions={0: (None, ([1.0, 0.5, 0.0, 1 / 3],))})
def masked_log_sum(x):
    return jnp.sum(jnp.where(x > 0, jnp.log(x), 0.0))


@case(([1.0, 2.0, 3.0], [1.0, 0.0, 2.0]), ([1.0, 2.0, -3.0], [4.0, 1e-3, 2.0]), ([5.0, -2.0, 3.0], [0.0, 0.0, 2.0]))
def guarded_quotient(a, b):
    return jnp.sum(jnp.where(b == 0, 0.0, a / b))


@case([3.0, 4.0, 12.0], ZERO, [1e-25, 2e-25, 0.0], [1e25, 0.0, 3e25], conventions={1: (0.0, (ZERO,))})
def norm_of_library(x):
    return jnp.linalg.norm(x)


@case(2.0, -3.0, 1e-25, 1e25)
def absolute_value_by_root(x):
    return jnp.sqrt(x * x)


@case(
    ([0.5, 0.5, 0.0], [0.2, 0.3, 0.5]),
    ([0.2, 0.3, 0.5], [0.3, 0.2, 0.5]),
    conventions={0: (0.7135581778200728, None)},
)
def relative_entropy_with_zeros(p, q):
    return jnp.sum(p * jnp.log(p / q))


@case(
    ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0]),
    ([0.0, 1.0, 0.0], [0.25, 0.5, 0.25]),
    conventions={0: (0.0, None)},
)
def labelled_log_with_zeros(y, p):
    return -jnp.sum(y * jnp.log(p))


@case(1e-3, 1e-6, 0.1, 2.0, 3.0)
def hyperbolic_sine_quotient(x):
    return jnp.sinh(x) / x


@case(1e-3, 1e-6, 0.1, 2.0)
def exponential_integral_kernel(x):
    return (1.0 - jnp.exp(-x)) / x


@case(1e-3, 1e-6, 0.1, 0.9)
def arcsine_quotient(x):
    return jnp.arcsin(x) / x


@case(1e-3, 1e-6, 0.1, 1.5)
def tangent_quotient(x):
    return jnp.tan(x) / x


@case(1e-2, 1e-4, 0.5, 3.0)
def sine_gap_over_cube(x):
    return (x - jnp.sin(x)) / x**3


@case(1e-2, 1e-4, 0.5, 3.0)
def spherical_bessel_one(x):
    return jnp.sin(x) / x**2 - jnp.cos(x) / x


@case((1.0, 2.0), (1e-4, 1e-4), (1e-20, 1e-19), (1e20, 1e19))
def angle_of_vector(x, y):
    return jnp.arctan(y / x)


@case(1e-5, 1e-2, 0.7, 3.0, 30.0)
def root_of_log_square(x):
    return jnp.sqrt(jnp.log(1.0 + x) ** 2)


@case((2.0, 3.0), (1e-15, 2.0), (1e15, 2.0), (3.0, 0.5))
def power_quotient(x, k):
    return x ** (k + 1.0) / x**k


@case(0.3, -0.3, 30.0, -30.0, 95.0, -95.0)
def variance_of_sigmoid(x):
    p = 1.0 / (1.0 + jnp.exp(-x))
    return p * (1.0 - p)


@case(0.3, -0.3, 30.0, -30.0, 95.0)
def sigmoid_derivative_by_exp(x):
    return jnp.exp(-x) / (1.0 + jnp.exp(-x)) ** 2
