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


@case(MILD, FAR, FARTHER, wide=[[1e9, 1e9 + 1.0, 1e9 + 2.5, 1e9 - 4.0]])
def one_pass_variance(x):
    return jnp.mean(x**2) - jnp.mean(x) ** 2


@case(MILD, FAR, FARTHER)
def one_pass_sample_variance(x):
    n = x.shape[0]
    return (jnp.sum(x * x) - jnp.sum(x) ** 2 / n) / (n - 1)


@case(MILD, WIDE, DEEP)
def log_sum_of_exponentials(x):
    return jnp.log(jnp.sum(jnp.exp(x)))


@case(MILD, WIDE, DEEP)
def log_mean_of_exponentials(x):
    return jnp.log(jnp.mean(jnp.exp(x)))


@case((0.3, 0.2), (1000.0, 999.0), (-300.0, -301.0), (90.0, -90.0), (1.0, 0.999))
def log_difference_of_exponentials(a, b):
    return jnp.log(jnp.exp(a) - jnp.exp(b))


@case([0.9, 0.8, 0.7, 0.95], [1e-15, 1e-12, 1e-16, 1e-10], wide=[[1e-120, 1e-90, 1e-100, 1e-99]])
def log_of_product_of_squares(p):
    return jnp.log(jnp.prod(p**2))


@case([0.9, 1.8, 0.7, 2.5], [1e-15, 1e-12, 1e-16, 1e-10], [1e15, 1e12, 1e16, 1e10])
def geometric_mean(x):
    return jnp.prod(x) ** (1.0 / 4.0)


@case(0.5, 3.0, -3.0, -9.0, -15.0, -40.0)
def log_normal_tail(x):
    return jnp.log(0.5 * (1.0 + jax.scipy.special.erf(x / jnp.sqrt(2.0))))


@case(0.5, 2.5, -2.0, 2.8)
def normal_upper_tail(x):
    return 1.0 - 0.5 * (1.0 + jax.scipy.special.erf(x / jnp.sqrt(2.0)))


@case(0.5, -1.5, 3.0, 9.0, 15.0)
def inverse_mills_ratio(x):
    density = jnp.exp(-0.5 * x**2) / jnp.sqrt(2 * jnp.pi)
    return density / (0.5 * jax.scipy.special.erfc(x / jnp.sqrt(2.0)))


@case((3.0, 2.5), (100.0, 90.0), (200.0, 130.0), (2.0, 1e-20))
def log_poisson_from_mass(k, rate):
    mass = rate**k * jnp.exp(-rate) / jnp.exp(jax.lax.lgamma(k + 1.0))
    return jnp.log(mass)


@case([-1.0, 0.5, 2.0, 0.0], [-40.0, 3.0, -90.0, 5.0], [-200.0, 60.0, -120.0, 30.0])
def poisson_regression(eta):
    rate = jnp.exp(eta)
    return jnp.sum(rate - jnp.asarray(COUNTS, eta.dtype) * jnp.log(rate))


@case(0.3, 20.0, -30.0, 200.0, -200.0)
def binomial_from_logit(z):
    p = 1.0 / (1.0 + jnp.exp(-z))
    return 7.0 * jnp.log(p) + 3.0 * jnp.log(1.0 - p)


@case(0.3, 1e-10, 1e-5, 0.999)
def geometric_log_mass(p):
    return jnp.log(p) + 5.0 * jnp.log(1.0 - p)


@case(
    ([0.5, 0.25, 0.25], [2.0, 0.5, 3.0]), ([0.999, 5e-4, 5e-4], [2.0, 0.5, 30.0]), ([1e-30, 0.5, 0.5], [5.0, 1.5, 2.0])
)
def dirichlet_kernel(p, alpha):
    return jnp.log(jnp.prod(p ** (alpha - 1.0)))


@case((0.3, 2.0, 3.0), (1e-7, 2.0, 4.0), (0.9, 1.5, 40.0), (1e-20, 3.0, 2.0))
def beta_log_kernel(x, a, b):
    return jnp.log(x ** (a - 1.0) * (1.0 - x) ** (b - 1.0))


@case((0.5, 1.5), (3.0, 2.0), (1e-10, 0.7), (20.0, 3.0), (1e-3, 1.0))
def weibull_log_survival_complement(x, k):
    return jnp.log(1.0 - jnp.exp(-(x**k)))


@case(0.3, 3.0, -3.0, 30.0, -5.0, 100.0)
def gumbel_log_density(x):
    return jnp.log(jnp.exp(-x) * jnp.exp(-jnp.exp(-x)))


@case(0.3, 20.0, -30.0, 120.0, -120.0)
def logistic_log_density(x):
    return jnp.log(jnp.exp(-x) / (1.0 + jnp.exp(-x)) ** 2)


@case(0.3, 20.0, -30.0, 120.0, -120.0)
def hyperbolic_secant_log_density(x):
    return jnp.log(1.0 / jnp.cosh(jnp.pi * x / 2.0))


@case(
    ([0.3, 1.2, -0.5], [0.2, 1.0, 0.0]),
    ([30.0, -90.0, 5.0], [1.0, 2.0, 3.0]),
    ([200.0, -100.0, 5.0], [-150.0, 2.0, 3.0]),
)
def divergence_of_softmaxes(a, b):
    p = jnp.exp(a) / jnp.sum(jnp.exp(a))
    q = jnp.exp(b) / jnp.sum(jnp.exp(b))
    return jnp.sum(p * jnp.log(p / q))


@case([0.3, 0.2, 0.5], [0.3, 0.3, 0.300001], [0.1, 0.2, 0.7])
def hellinger_affinity_gap(p):
    q = jnp.array([0.3, 0.3, 0.3], p.dtype)
    return jnp.sum((jnp.sqrt(p) - jnp.sqrt(q)) ** 2)


@case((10.0, 3.0), (1000.0, 2.0), (50.0, 25.0), (170.0, 60.0), wide=[(1e6, 3.0)])
def log_choose_from_gammas(n, k):
    g = jax.lax.lgamma
    return jnp.log(jnp.exp(g(n + 1.0)) / (jnp.exp(g(k + 1.0)) * jnp.exp(g(n - k + 1.0))))


@case(
    ([1.0, 2.0, 3.0], [1.5, 2.5, 2.0]),
    ([1e4, 1e4, 1e4], [1e4 + 1, 1e4, 1e4 - 2]),
    ([1e6, 3.0, 2.0], [1e6 + 0.5, 3.0, 2.0]),
)
def squared_distance_expanded(x, y):
    return jnp.sum(x**2) - 2.0 * jnp.dot(x, y) + jnp.sum(y**2)


@case((0.5, 1e-6), (20.0, 1e-4), (3.0, 0.5), (1e-3, 1e-3))
def box_cox_small_power(x, power):
    return (x**power - 1.0) / power


@case(1e-10, 1e-4, 0.3, 3.0, 20.0, 60.0)
def complementary_log_log(x):
    return jnp.log(1.0 - jnp.exp(-jnp.exp(-x)))
