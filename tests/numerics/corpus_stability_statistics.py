"""Statistics as it is typed in from the formula: moments, log-densities, likelihoods, distances of distributions.

Sources: Chan, Golub and LeVeque (1983) on variances; Blanchard, Higham and Higham (2021) on log-sum-exp; Machler,
"Accurately computing log(1 - exp(-|a|))" (2012); the log-densities of Gelman et al., Bayesian Data Analysis, app. A.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.numerics.scoring import table

CASES, case = table("statistics")

MILD = [0.3, -1.2, 2.0, 0.7]
FAR = [1000.3, 998.5, 1001.25, 999.0]
FARTHER = [1e6 + 0.25, 1e6 + 1.5, 1e6 - 3.0, 1e6]
WIDE = [300.0, -200.0, 90.0, 150.0]
DEEP = [-1e4, -1.1e4, -1.0002e4, -1.2e4]
WEIGHTS = np.array([0.125, 0.5, 0.25, 0.125])
COUNTS = np.array([0.0, 3.0, 1.0, 6.0])


@case(MILD, FAR, FARTHER)
def one_pass_deviation(x):
    return jnp.sqrt(jnp.mean(jnp.square(x)) - jnp.square(jnp.mean(x)))


@case((MILD, [1.0, 0.5, -2.0, 0.25]), (FAR, [1.0, 3.0, -2.0, 0.25]), (FARTHER, FAR))
def one_pass_covariance(x, y):
    return jnp.mean(x * y) - jnp.mean(x) * jnp.mean(y)


@case((MILD, [1.0, 0.5, -2.0, 0.25]), (FAR, [1000.25, 1003.0, 998.0, 999.5]))
def one_pass_correlation(x, y):
    c = jnp.mean(x * y) - jnp.mean(x) * jnp.mean(y)
    vx = jnp.mean(x**2) - jnp.mean(x) ** 2
    vy = jnp.mean(y**2) - jnp.mean(y) ** 2
    return c / jnp.sqrt(vx * vy)


@case(MILD, WIDE, DEEP)
def log_weighted_exponentials(x):
    return jnp.log(jnp.dot(jnp.asarray(WEIGHTS, x.dtype), jnp.exp(x)))


@case(-1e-6, -0.1, -0.7, -3.0, -60.0, wide=[-1e-12])
def log_one_minus_exp(x):
    return jnp.log(1.0 - jnp.exp(x))


@case([0.2, -0.4], [20.0, -30.0], [200.0, 150.0], [-300.0, 60.0])
def mixture_of_normals(x):
    a = 0.3 * jnp.exp(-0.5 * x**2) / jnp.sqrt(2 * jnp.pi)
    b = 0.7 * jnp.exp(-0.5 * ((x - 1.0) / 2.0) ** 2) / (2.0 * jnp.sqrt(2 * jnp.pi))
    return jnp.sum(jnp.log(a + b))


@case(0.3, 10.0, 40.0, -60.0)
def responsibility(x):
    a = jnp.exp(-0.5 * (x - 1.0) ** 2)
    b = jnp.exp(-0.5 * (x + 1.0) ** 2)
    return a / (a + b)


@case(MILD, [20.0, -30.0, 5.0, 12.0], [60.0, -90.0, 70.0, 80.0])
def likelihood_as_a_product(x):
    density = jnp.exp(-0.5 * x**2) / jnp.sqrt(2 * jnp.pi)
    return jnp.log(jnp.prod(density))


@case(0.5, 3.0, -2.0, 7.0, 20.0)
def log_of_complementary_error(x):
    return jnp.log(jax.scipy.special.erfc(x))


@case((0.3, 3.0), (1e-6, 10.0), (1e-10, 5.0), (0.5, 50.0))
def at_least_one_success(p, n):
    return 1.0 - (1.0 - p) ** n


@case((0.3, 4.0), (20.0, 5.0), (1e-4, 3.0), (1e10, 2.0), (3.0, 1e6), wide=[(1e-9, 1.0)])
def student_log_kernel(x, nu):
    return -(nu + 1.0) / 2.0 * jnp.log(1.0 + x**2 / nu)


@case(0.3, 1e-5, 1e6, 1e25)
def cauchy_log_density(x):
    return -jnp.log(jnp.pi * (1.0 + x * x))


@case((0.5, 0.3), (2.0, 5.0), (1.0, 60.0), (0.1, 100.0), (1e-4, 20.0))
def von_mises_log_density(angle, kappa):
    return jnp.log(jnp.exp(kappa * jnp.cos(angle)) / (2 * jnp.pi * jax.scipy.special.i0(kappa)))


@case((0.3, 1.0), (1e-20, 2.0), (1e4, 3.0), (40.0, 0.1), (1e-3, 1e-3))
def exponential_distribution_function(x, rate):
    return 1.0 - jnp.exp(-rate * x)


@case((0.2, 0.3), (0.01, 0.0100001), (0.5, 0.999), (1e-8, 2e-8))
def bernoulli_divergence(p, q):
    return p * jnp.log(p / q) + (1.0 - p) * jnp.log((1.0 - p) / (1.0 - q))


@case([0.3, 1.2, -0.5], [30.0, -90.0, 5.0], [200.0, -100.0, 5.0])
def entropy_of_softmax(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return -jnp.sum(p * jnp.log(p))


@case(
    [0.5, 0.25, 0.25],
    [0.5, 0.0, 0.5],
    [1e-30, 0.5, 0.5],
    conventions={1: (0.6931471805599453, None)},
)
def entropy_with_zeros(p):
    return -jnp.sum(p * jnp.log(p))


@case((0.3, 0.2), (1.0, 1.0001), (3.0, 2.999), (1e-4, 0.5))
def divergence_of_exponentials(a, b):
    return jnp.log(a / b) + b / a - 1.0


@case((1.0, 1.5), (1.0, 1.001), (2.0, 1.9999), (0.1, 30.0))
def divergence_of_scales(s, t):
    return jnp.log(t / s) + s**2 / (2.0 * t**2) - 0.5


@case([[2.0, 0.5], [0.5, 1.0]], [[1e-25, 0.0], [0.0, 1e-20]], [[1e25, 1e22], [1e22, 2e20]])
def log_det_of_matrix(a):
    return jnp.log(jnp.linalg.det(a))


@case((0.7, 0.2), (0.99999, 0.5), (1e-5, 0.5), (0.5, 1e-20))
def fisher_transform_gap(r, s):
    return 0.5 * jnp.log((1.0 + r * s) / (1.0 - r * s))


@case(0.1, 1e-6, 1.0, 3.0, 8.0)
def rayleigh_distribution_function(x):
    return 1.0 - jnp.exp(-(x**2) / 2.0)


@case((0.5, 0.2), (1e-4, 0.3), (1e-8, 2.0), (3.0, 0.01))
def box_cox(x, power):
    return ((1.0 + x) ** power - 1.0) / power
