"""The fourth set of held-out functions, continued: statistics.

Abbreviations: JKB, Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions* (1994); Nelsen, *An
Introduction to Copulas* (2006); Mardia and Jupp, *Directional Statistics* (2000); Coles, *An Introduction to
Statistical Modeling of Extreme Values* (2001).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, erf, erfc, gammaln, i0, i1, ndtr

from tests.numerics.scoring import table

CASES, case = table("fourth statistics")

# --- extremes, survival and tails ----------------------------------------------------------------------------------


# Coles, chapter 4
@case((2.0, 1e-5), (2.0, 0.3), (0.5, -1e-3), wide=[(2.0, 1e-10)])
def density_of_generalised_pareto(z, xi):
    return -(1 + 1 / xi) * jnp.log(1 + xi * z)


@case((1e-4, 0.2), (0.3, 1e-5), (0.99, -0.3), wide=[(1e-10, 0.2)])
def quantile_of_generalised_pareto(p, xi):
    return ((1 - p) ** (-xi) - 1) / xi


# Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data (2002)
@case((1e3, 2.0, 20.0), (1.0, 2.0, 3.0), (1e-2, 1.0, 5.0), wide=[(1e8, 1.0, 50.0)])
def survival_of_a_loglogistic(t, scale, shape):
    return jnp.log(1 / (1 + (t / scale) ** shape))


@case((1e3, 1.0), (1.0, 0.5), (0.1, 2.0), wide=[(1e9, 0.5)])
def hazard_of_a_lognormal(t, s):
    z = jnp.log(t) / s
    return jnp.exp(-0.5 * z * z) / jnp.sqrt(2 * jnp.pi) / (s * t * (1 - ndtr(z)))


# Efron, "The efficiency of Cox's likelihood function for censored data" (1977): two deaths tied
@case([100.0, 99.0, 101.0, 90.0], [0.5, -1.0, 0.3, 2.0], [-120.0, -119.0, -130.0, -125.0])
def partial_likelihood_with_ties(risk):
    e = jnp.exp(risk)
    total, tied = jnp.sum(e), e[0] + e[1]
    return risk[0] + risk[1] - jnp.log(total) - jnp.log(total - 0.5 * tied)


# JKB, chapter 16
@case(1e6, 2.0, -1.0, wide=[1e12])
def tail_of_cauchy(x):
    return 0.5 - jnp.arctan(x) / jnp.pi


@case(-120.0, 0.5, 20.0, -2.0, wide=[-800.0])
def distribution_of_laplace(x):
    return jnp.log(jnp.where(x < 0, 0.5 * jnp.exp(x), 1 - 0.5 * jnp.exp(-x)))


# Chhikara and Folks, The Inverse Gaussian Distribution (1989)
@case((1.0, 1.0, 50.0), (0.5, 2.0, 1.0), (2.0, 1.0, 60.0), wide=[(1.0, 1.0, 500.0)])
def distribution_of_an_inverse_gaussian(x, mu, shape):
    root = jnp.sqrt(shape / x)
    return ndtr(root * (x / mu - 1)) + jnp.exp(2 * shape / mu) * ndtr(-root * (x / mu + 1))


# Grushka, "Characterization of exponentially modified Gaussian peaks" (1972)
@case((0.5, 1.0, 20.0), (1.0, 0.5, 2.0), (3.0, 1.0, 0.5), wide=[(0.5, 1.0, 60.0)])
def exponentially_modified_gaussian(x, s, rate):
    return 0.5 * rate * jnp.exp(0.5 * rate * (rate * s * s - 2 * x)) * erfc((rate * s * s - x) / (jnp.sqrt(2.0) * s))


# Joiner and Rosenblatt, JASA 66 (1971): Tukey's lambda
@case((0.3, 1e-4), (0.3, 0.5), (0.5001, 0.14), wide=[(0.3, 1e-9)])
def quantile_of_tukey(p, shape):
    return (p**shape - (1 - p) ** shape) / shape


# --- counts --------------------------------------------------------------------------------------------------------


# Feller, An Introduction to Probability Theory (1968), section II.3
@case(1e6, 365.0, 30.0, wide=[1e12])
def common_birthday_of_ten(n):
    return 1 - jnp.prod(1 - jnp.arange(10, dtype=n.dtype) / n)


@case(1e-3, 0.5, 20.0, wide=[1e-7])
def two_events_or_more(rate):
    return 1 - jnp.exp(-rate) * (1 + rate)


@case((1e-4, 20.0), (0.1, 20.0), wide=[(1e-8, 20.0)])
def two_successes_or_more(p, n):
    return 1 - (1 - p) ** n - n * p * (1 - p) ** (n - 1)


# Karlis and Xekalaki, "Mixed Poisson distributions" (2005)
@case((200.0, 20.0, 40.0), (3.0, 1.0, 5.0), (0.0, 120.0, 110.0))
def mixture_of_two_poissons(k, a, b):
    mass = lambda rate: jnp.exp(k * jnp.log(rate) - rate - gammaln(k + 1))  # noqa: E731
    return jnp.log(0.3 * mass(a) + 0.7 * mass(b))


# Hilbe, Negative Binomial Regression (2011), chapter 11: nothing counted
@case((-1.0, 30.0, 1e5), (-200.0, 2.0, 1.5), (-95.0, 300.0, 500.0), wide=[(-1.0, 3.0, 1e10)])
def no_event_in_an_inflated_count(logit, mu, r):
    p = jnp.exp(logit) / (1 + jnp.exp(logit))
    return jnp.log(p + (1 - p) * (r / (r + mu)) ** r)


# Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), chapter 6
@case((1e5, 2e5), (20.0, 30.0), wide=[(1e9, 3e9)])
def hypergeometric_by_gammas(marked, others):
    n, k = 10.0, 4.0
    choose = lambda a, b: gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)  # noqa: E731
    return choose(marked, k) + choose(others, n - k) - choose(marked + others, n)


# --- regression ----------------------------------------------------------------------------------------------------


# Birnbaum, in Lord and Novick, Statistical Theories of Mental Test Scores (1968)
@case((40.0, -2.0), (0.5, -1.5), (-120.0, -90.0), wide=[(100.0, -2.0)])
def wrong_answer_despite_guessing(z, guess):
    c = jax.nn.sigmoid(guess)
    return jnp.log(1 - (c + (1 - c) / (1 + jnp.exp(-z))))


# Bliss, "The method of probits" (1934)
@case([8.0, -9.0, 0.5], [1.0, -0.3, 2.0], [-15.0, 12.0, 20.0], wide=[[40.0, -40.0, 1.0]])
def probit_likelihood(z):
    p = 0.5 * (1 + erf(z / jnp.sqrt(2.0)))
    y = jnp.asarray([1.0, 0.0, 0.0], z.dtype)
    return jnp.sum(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))


# Fisher, Statistical Methods for Research Workers (1925): between groups, by the shortcut
@case([[300.0, 301.0], [302.0, 303.5], [301.0, 300.5]], [[1.0, 2.0], [4.0, 3.5], [-1.0, 0.5]])
def sum_of_squares_between_groups(x):
    return jnp.sum(jnp.sum(x, 1) ** 2) / 2 - jnp.sum(x) ** 2 / 6


# Anderson, An Introduction to Multivariate Statistical Analysis (2003)
@case((0.9999, 0.9998, 0.9999), (0.5, 0.2, -0.3), wide=[(0.99999999, 0.99999998, 0.99999999)])
def partial_correlation(r, s, t):
    return (r - s * t) / jnp.sqrt((1 - s * s) * (1 - t * t))


# Gelfand and Yaglom (1957): what two normal variables tell of one another
@case(0.99999, 0.5, 1e-3, wide=[0.9999999999, 1e-7])
def information_of_a_correlation(r):
    return -0.5 * jnp.log(1 - r * r)


# --- order statistics and copulas ----------------------------------------------------------------------------------


# David and Nagaraja, Order Statistics (2003)
@case(8.0, 0.5, -9.0, wide=[25.0])
def density_of_a_median_of_eleven(x):
    below = ndtr(x)
    return 5 * jnp.log(below) + 5 * jnp.log(1 - below) - 0.5 * x * x


# Nelsen, section 4.3
@case((0.3, 0.6, 1e-4), (0.3, 0.6, 2.0), (1e-3, 1e-2, 15.0), wide=[(0.3, 0.6, 1e-9)])
def copula_of_clayton(u, v, t):
    return (u**-t + v**-t - 1) ** (-1 / t)


@case((0.9999, 0.9998, 12.0), (0.3, 0.6, 2.0), (1e-5, 1e-7, 40.0), wide=[(0.99999999, 0.9999999, 30.0)])
def copula_of_gumbel(u, v, t):
    return jnp.exp(-(((-jnp.log(u)) ** t + (-jnp.log(v)) ** t) ** (1 / t)))


@case((1e-4, 2e-4, 1.5), (0.3, 0.6, 2.0), (0.9999, 0.99, 12.0), wide=[(1e-9, 2e-9, 1.5)])
def copula_of_joe(u, v, t):
    a, b = (1 - u) ** t, (1 - v) ** t
    return 1 - (a + b - a * b) ** (1 / t)


@case((0.5, 0.5001, 0.9999), (0.5, -1.0, 0.3), wide=[(0.5, 0.50000001, 0.99999999)])
def density_of_the_gaussian_copula(x, y, r):
    return -0.5 * jnp.log(1 - r * r) - (r * r * (x * x + y * y) - 2 * r * x * y) / (2 * (1 - r * r))


# --- directions ----------------------------------------------------------------------------------------------------


# Mardia and Jupp, section 3.5.7
@case((1e-3, 0.9999), (1.0, 0.5), wide=[(1e-6, 0.9999999)])
def wrapped_cauchy(angle, rho):
    return jnp.log((1 - rho * rho) / (2 * jnp.pi * (1 + rho * rho - 2 * rho * jnp.cos(angle))))


@case((0.99, 200.0), (0.3, 2.0), (0.5, 1e-4), wide=[(0.99, 1500.0)])
def von_mises_and_fisher(c, kappa):
    return kappa * c + jnp.log(kappa / (4 * jnp.pi * jnp.sinh(kappa)))


@case([0.3, 0.301, 0.2995], [0.3, -1.0, 2.0], wide=[[0.3, 0.3000001, 0.2999999]])
def circular_variance(angles):
    return 1 - jnp.sqrt(jnp.mean(jnp.cos(angles)) ** 2 + jnp.mean(jnp.sin(angles)) ** 2)


@case(100.0, 2.0, 1e-3, wide=[800.0])
def mean_resultant_length(kappa):
    return i1(kappa) / i0(kappa)


# --- divergences ---------------------------------------------------------------------------------------------------


@case((3.0, 2.0, 3.001, 2.001), (3.0, 2.0, 1.0, 5.0), (1e4, 1e3, 1.1e4, 1e3), wide=[(3.0, 2.0, 3.0000001, 2.0)])
def divergence_of_two_gammas(a, rate, b, other):
    return (a - b) * digamma(a) - gammaln(a) + gammaln(b) + b * jnp.log(rate / other) + a * (other - rate) / rate


@case((1.0, 1.0, 1.001, 1.002), (0.0, 1.0, 2.0, 0.5), wide=[(1.0, 1.0, 1.0000001, 1.0000002)])
def divergence_of_two_laplaces(m, a, n, b):
    gap = jnp.abs(m - n)
    return gap / b + a / b * jnp.exp(-gap / a) + jnp.log(b / a) - 1


# Bhattacharyya (1943), and Hellinger's distance by his coefficient
@case((1.0, 1.0, 1.001, 1.002), (0.0, 1.0, 2.0, 0.5), wide=[(1.0, 1.0, 1.0000001, 1.0000002)])
def distance_of_bhattacharyya(m, s, n, t):
    both = s * s + t * t
    return 0.25 * (m - n) ** 2 / both + 0.5 * jnp.log(both / (2 * s * t))


@case((1.0, 1.0, 1.001, 1.002), (0.0, 1.0, 2.0, 0.5), wide=[(1.0, 1.0, 1.0000001, 1.0000002)])
def distance_of_hellinger(m, s, n, t):
    both = s * s + t * t
    return 1 - jnp.sqrt(2 * s * t / both) * jnp.exp(-0.25 * (m - n) ** 2 / both)


# Tsallis, Journal of Statistical Physics 52 (1988)
@case(
    ([0.5, 0.3, 0.2], 1.0001),
    ([0.5, 0.3, 0.2], 2.0),
    ([1.0, 0.0, 0.0], 1.5),
    wide=[([0.5, 0.3, 0.2], 1.00000001)],
    conventions={2: (0.0, None)},
)
def entropy_of_tsallis(p, q):
    return (1 - jnp.sum(p**q)) / (q - 1)


# Sra, "Positive definite matrices and the S-divergence" (2016), of diagonal ones
@case(([2.0, 3.0], [2.001, 2.999]), ([2.0, 3.0], [1.0, 7.0]), wide=[([2.0, 3.0], [2.0000001, 3.0])])
def divergence_by_determinants(a, b):
    return jnp.sum(jnp.log((a + b) / 2) - 0.5 * jnp.log(a * b))
