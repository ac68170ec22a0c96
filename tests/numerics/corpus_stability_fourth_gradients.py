"""The fourth set of held-out functions, continued: idioms whose gradient breaks first; and the controls."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, log_ndtr, ndtr

from tests.numerics.scoring import table

CASES, case = table("fourth gradients")

# --- gradients -----------------------------------------------------------------------------------------------------


# Schroff, Kalenichenko and Philbin, "FaceNet" (2015), an anchor that is its positive
@case(
    ([1.0, 2.0], [1.0, 2.0], [1.0, 2.5]),
    ([1.0, 2.0], [1.5, 2.0], [1.0, 2.25]),
    conventions={0: (0.5, ([0.0, 1.0], [0.0, 0.0], [0.0, -1.0]))},
)
def triplet_of_a_duplicate(a, p, n):
    distance = lambda u, v: jnp.sqrt(jnp.sum((u - v) ** 2))  # noqa: E731
    return jnp.maximum(distance(a, p) - distance(a, n) + 1, 0)


@case([3.0, 4.0], [0.0, 0.0], [1e-25, 3e-25], conventions={1: (0.0, None)}, wide=[[1e-200, 1e-200]])
def direction_or_zero(x):
    n = jnp.sqrt(jnp.sum(x * x))
    return jnp.sum(jnp.asarray([1.0, 2.0], x.dtype) * jnp.where(n > 0, x / n, 0.0))


@case([0.5, 0.25, 0.25], [0.5, 0.5, 0.0], conventions={1: (0.6931471805599453, ([-0.3068528194400547] * 2 + [0.0],))})
def entropy_behind_where(p):
    return -jnp.sum(jnp.where(p > 0, p * jnp.log(p), 0.0))


@case((3.0, 4.0), (0.0, 0.0), (-1.0, 1e-3), conventions={1: (0.0, (0.0, 0.0))})
def angle_or_zero(x, y):
    r = x * x + y * y
    return jnp.where(r > 0, jnp.arctan2(y, x) ** 2, 0.0)


@case((2.0, 0.5), (0.0, 2.5), (0.0, 1.0), conventions={1: (0.0, (0.0, 0.0)), 2: (0.0, None)})
def power_or_zero(x, a):
    return jnp.where(x > 0, x**a, 0.0)


@case([2.0, 2.0, 2.0], [1.0, 2.0, 4.0], [300.0, 301.0, 302.5], conventions={0: (0.0, ([0.0, 0.0, 0.0],))})
def deviation_clipped_at_zero(x):
    return jnp.sqrt(jnp.maximum(jnp.mean(x * x) - jnp.mean(x) ** 2, 0.0))


@case([0.5, -1.0, 2.0], [-2e3, -3e3, -2e3], [120.0, 100.0, -2e3], conventions={1: (0.0, ([0.0, 0.0, 0.0],))})
def row_of_a_mask_that_may_be_empty(s):
    kept = s > -1e3
    return jnp.where(jnp.any(kept), jnp.log(jnp.sum(jnp.where(kept, jnp.exp(s), 0.0))), 0.0)


# the JAX FAQ; every simulation of charges meets it
@case([0.0, 1.0, 3.0], [0.5, -0.25, 2.0])
def energy_of_charges(x):
    square = (x[:, None] - x[None, :]) ** 2
    return 0.5 * jnp.sum(jnp.where(jnp.eye(3, dtype=bool), 0.0, 1 / jnp.sqrt(square)))


@case([0.0, 0.0], [0.3, 0.4], [1e-25, 1e-25], conventions={0: (1.0, ([0.0, 0.0],))}, wide=[[1e-200, 1e-200]])
def radial_wave(x):
    r = jnp.sqrt(jnp.sum(x * x))
    return jnp.where(r == 0, 1.0, jnp.sin(r) / r)


# Rasmussen and Williams (2006), equation 4.17: Matern's kernel of a point with itself
@case(
    ([1.0, 2.0], [1.0, 2.0]),
    ([1.0, 2.0], [1.5, 1.0]),
    ([1.0, 2.0], [1.001, 2.0]),
    conventions={0: (1.0, ([0.0, 0.0], [0.0, 0.0]))},
)
def kernel_of_matern(x, y):
    r = jnp.sqrt(3.0) * jnp.sqrt(jnp.sum((x - y) ** 2))
    return (1 + r) * jnp.exp(-r)


@case((0.5, 2.0), (2.0, 2.0), (3.0, 2.0), (1e-6, 1.0), conventions={1: (-50.0, (0.0, 0.0))})
def log_of_what_is_left(t, end):
    return jnp.where(t < end, jnp.log(1 - t / end), -50.0)


# --- controls ------------------------------------------------------------------------------------------------------

CONTROLS, control = table("fourth controls")

LOGITS = [[1.0, 0.5, -1.0], [120.0, 2.0, 100.0]]


@control(([0.5, 2.0], [3.0, 1.0]), ([10.0, 0.1], [0.2, 0.3]))
def squared_error_of_the_library(x, y):
    return jnp.mean(jnp.square(x - y))


@control(LOGITS)
def cross_entropy_by_labels(z):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z, 1), jnp.asarray([[0], [2]]), 1))


@control((1.0, 0.5, 0.9), (10.0, 2.0, 0.1))
def covariance_in_the_form_of_joseph(p, r, k):
    return (1 - k) ** 2 * p + k * k * r


@control((0.5, 3.0), (2.0, -1.0))
def periodic_kernel(x, y):
    return jnp.exp(-2 * jnp.sin((x - y) / 2) ** 2)


@control(-3.0, 0.5, -40.0)
def probit_by_the_library(z):
    return -log_ndtr(z)


@control((3.0, 0.5), (900.0, 1e-3))
def kinetic_energy_by_a_quotient(p, m):
    return p * p / (m + jnp.sqrt(p * p + m * m))


@control(0.5, 3.0, 40.0)
def speed_of_water_waves(depth):
    return 9.81 * jnp.tanh(depth) * depth


@control(([[2.0, 1.0], [1.0, 3.0]], [1.0, -1.0]), ([[4.0, 0.5], [0.5, 1.0]], [2.0, 3.0]))
def solution_of_a_system(a, b):
    return jnp.sum(jnp.linalg.solve(a, b))


@control(([0.5, 2.0, 1.0], [1.0, 0.5, 3.0]), ([10.0, 20.0, 1.0], [0.1, 0.2, 0.3]))
def elastic_net(w, x):
    return jnp.sum(jnp.abs(w)) + 0.5 * jnp.sum(w * w) + jnp.dot(w, x)


@control([1.0, 2.0, -1.0], [30.0, 10.0, -20.0])
def quantile_loss(e):
    return jnp.mean(jnp.maximum(0.9 * e, -0.1 * e))


@control((1.0, 0.5), (3.0, 2.0))
def predator_and_prey(x, y):
    def step(state, _):
        a, b = state
        return (a + 0.01 * a * (1.1 - 0.4 * b), b + 0.01 * b * (0.1 * a - 0.4)), None

    return jax.lax.scan(step, (x, y), None, length=20)[0][0]


@control([1.0, -2.0, 0.5, 3.0], [100.0, 50.0, -3.0, 1.0])
def smoothed_by_a_convolution(x):
    return jnp.sum(jnp.convolve(x, jnp.asarray([0.25, 0.5, 0.25], x.dtype)) ** 2)


@control((2.5, 1.5, 0.7), (30.0, 4.0, 2.0))
def log_density_of_gamma(x, a, b):
    return a * jnp.log(b) + (a - 1) * jnp.log(x) - b * x - gammaln(a)


@control([1.0, 2.0, -3.0], [1e3, 2.0, 0.5])
def root_mean_square_with_a_constant(x):
    y = x * jax.lax.rsqrt(jnp.mean(x * x) + 1e-6)
    return jnp.sum(jnp.asarray([1.0, 3.0, -2.0], x.dtype) * y)


@control(1e-6, 0.3, 0.9)
def logit_by_log1p(p):
    return jnp.log(p) - jnp.log1p(-p)


@control((100.0, 90.0, 0.3), (50.0, 60.0, 0.5))
def price_of_a_digital_option(spot, strike, deviation):
    return ndtr(jnp.log(spot / strike) / deviation - 0.5 * deviation)


@control([1.0, 2.0, 4.0], [0.5, -3.0, 2.0])
def variance_by_welford(x):
    def step(state, v):
        n, mean, total = state
        n = n + 1
        gap = v - mean
        mean = mean + gap / n
        return (n, mean, total + gap * (v - mean)), None

    zero = jnp.zeros((), x.dtype)
    return jax.lax.scan(step, (zero, zero, zero), x)[0][2] / 3


@control((0.5, 0.2), (3.0, -1.0))
def gaussian_by_reparameterisation(mean, log_scale):
    return (mean + jnp.exp(log_scale) * 0.7) ** 2


@control(([1.0, 0.5], [[0.3, -0.2], [0.1, 0.9]]), ([-2.0, 4.0], [[1.0, 2.0], [-0.5, 0.25]]))
def layer_with_a_leak(x, w):
    y = w @ x
    return jnp.sum(jnp.where(y > 0, y, 0.01 * y))


@control(([[0.5, 1.0], [2.0, -1.0]], [[0.1, 0.2], [0.3, 0.4]]), ([[100.0, 90.0], [1.0, 2.0]], [[1.0, 0.5], [0.2, 3.0]]))
def attention_with_a_mask_by_the_library(scores, values):
    kept = jnp.asarray([[True, False], [True, True]])
    return jnp.sum(jax.nn.softmax(jnp.where(kept, scores, -1e9), -1) @ values)
