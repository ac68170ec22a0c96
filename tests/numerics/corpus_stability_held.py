"""A third set of held-out unstable functions as users write them, by an author who had not read the rewriting.

Numerical analysis, statistics, physics, finance and gradients; machine learning and the controls have a file of their
own. Abbreviations: Higham, *Accuracy and Stability of Numerical Algorithms* (2002); JKB, Johnson, Kotz and
Balakrishnan, *Continuous Univariate Distributions* (1994); JKK, Johnson, Kemp and Kotz, *Univariate Discrete
Distributions* (2005); Hull, *Options, Futures, and Other Derivatives* (2018).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, erf, gammaln, i0, ndtr

from tests.numerics.scoring import table

CASES, case = table("held out")

# --- numerical analysis --------------------------------------------------------------------------------------------


# Higham, section 1.14: a second difference as it stands in every course
@case((0.5, 1e-2), (1.0, 1e-3), (-1.0, 0.5), wide=[(0.5, 1e-6)])
def second_difference_of_exp(x, h):
    return (jnp.exp(x + h) - 2 * jnp.exp(x) + jnp.exp(x - h)) / (h * h)


# Carlson, "The logarithmic mean", American Mathematical Monthly 79 (1972)
@case((1.0, 1.0001), (2.0, 5.0), (3.0, 3.00001), wide=[(1.0, 1.0000000001)])
def logarithmic_mean(a, b):
    return (b - a) / (jnp.log(b) - jnp.log(a))


# Higham, problem 1.5; de Boor, "Divided differences" (2005)
@case((1.0, 1.0001), (0.25, 0.75), wide=[(1.0, 1.000000001)])
def divided_difference_of_sine(a, b):
    return (jnp.sin(b) - jnp.sin(a)) / (b - a)


# Chan, Golub and LeVeque, American Statistician 37 (1983)
@case(([1e3, 1001.0, 1003.0], [2e3, 2001.5, 2002.0]), ([1.0, 2.0, 4.0], [-1.0, 0.0, 3.0]))
def slope_of_regression_in_one_pass(x, y):
    n = x.shape[0]
    return (n * jnp.sum(x * y) - jnp.sum(x) * jnp.sum(y)) / (n * jnp.sum(x * x) - jnp.sum(x) ** 2)


@case(([1.0, 2.0, 1.5], [500.0, 501.0, 503.0]), ([1.0, 0.5, 0.25], [-1.0, 0.0, 3.0]))
def weighted_variance_in_one_pass(w, x):
    return jnp.sum(w * x * x) / jnp.sum(w) - (jnp.sum(w * x) / jnp.sum(w)) ** 2


# Higham, section 1.10; the difference of cube roots
@case(1e5, 10.0, wide=[1e11])
def difference_of_fourth_roots(x):
    return (x + 1) ** 0.25 - x**0.25


# Borwein and Borwein, Pi and the AGM (1987), Archimedes' recurrence
@case(0.5, 0.9, wide=[0.1])
def polygon_doubled_six_times(s):
    def double(side, _):
        return jnp.sqrt(2 - jnp.sqrt(4 - side * side)), None

    return jax.lax.scan(double, s, None, length=6)[0] * 64


# --- statistics ----------------------------------------------------------------------------------------------------


# Greene, Econometric Analysis: the truncated normal distribution
@case((5.0, 6.0), (-1.0, 2.0), (8.0, 8.5), wide=[(9.0, 9.5)])
def mean_of_a_truncated_normal(a, b):
    phi = lambda t: jnp.exp(-0.5 * t * t) / jnp.sqrt(2 * jnp.pi)  # noqa: E731
    return (phi(a) - phi(b)) / (ndtr(b) - ndtr(a))


# Meeker and Escobar, Statistical Methods for Reliability Data (1998): interval censoring
@case((10.0, 10.5, 2.0, 1.5), (0.5, 0.50001, 1.0, 1.5), (60.0, 61.0, 2.0, 1.2))
def interval_censored_weibull(a, b, scale, shape):
    return jnp.log(jnp.exp(-((a / scale) ** shape)) - jnp.exp(-((b / scale) ** shape)))


# McCullagh, "Regression models for ordinal data", JRSS B 42 (1980)
@case((20.0, 21.0), (-1.0, 1.0), (0.5, 0.500001), (-40.0, -39.0), (100.0, 101.0))
def ordinal_category(a, b):
    return jnp.log(jax.nn.sigmoid(b) - jax.nn.sigmoid(a))


# Lawless, "Negative binomial and mixed Poisson regression", Canadian Journal of Statistics 15 (1987)
@case((3.0, 5e4), (3.0, 2.0), (0.5, 1e6), wide=[(3.0, 1e9)])
def negative_binomial_by_its_mean(mu, r):
    k = 4.0
    return gammaln(k + r) - gammaln(r) - gammaln(k + 1) + r * jnp.log(r / (r + mu)) + k * jnp.log(mu / (r + mu))


# Skellam, JRSS B 10 (1948); JKK, section 6.2.2
@case((2e4, 3e4), (2.0, 3.0), wide=[(2e9, 1e9)])
def beta_binomial(a, b):
    n, k = 10.0, 3.0
    return betaln(k + a, n - k + b) - betaln(a, b)


# Minka, "Estimating a Dirichlet distribution" (2000)
@case([1e4, 2e4, 3e4], [1.0, 0.5, 2.0], wide=[[1e8, 1e8, 2e8]])
def dirichlet_multinomial(alpha):
    counts = jnp.asarray([3.0, 0.0, 5.0], alpha.dtype)
    total = jnp.sum(alpha)
    return gammaln(total) - gammaln(total + 8) + jnp.sum(gammaln(alpha + counts) - gammaln(alpha))


# JKB, chapter 28
@case((1.5, 1e5), (1.5, 3.0), wide=[(1.5, 1e10)])
def student_of_many_degrees(x, nu):
    c = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * jnp.pi)
    return c - (nu + 1) / 2 * jnp.log(1 + x * x / nu)


# Azzalini, "A class of distributions which includes the normal ones", Scandinavian Journal of Statistics 12 (1985)
@case((-5.0, 4.0), (1.0, 2.0), (-2.0, 30.0), (20.0, 1.0))
def skew_normal(x, a):
    return jnp.log(2 * jnp.exp(-0.5 * x * x) / jnp.sqrt(2 * jnp.pi) * ndtr(a * x))


# Mardia and Jupp, Directional Statistics (2000)
@case((0.1, 120.0), (1.0, 2.0), (0.01, 500.0), wide=[(1e-3, 1000.0)])
def von_mises(x, kappa):
    return kappa * jnp.cos(x) - jnp.log(2 * jnp.pi * i0(kappa))


# Nelsen, An Introduction to Copulas (2006), 4.2.5
@case((0.3, 0.6, 1e-3), (0.3, 0.6, 2.0), wide=[(0.3, 0.6, 1e-7)])
def frank_copula(u, v, t):
    return -jnp.log(1 + (jnp.exp(-t * u) - 1) * (jnp.exp(-t * v) - 1) / (jnp.exp(-t) - 1)) / t


# Farlie (1960), Gumbel (1960) and Morgenstern (1956): both beyond; Nelsen, sections 2.6 and 3.2.5
@case((0.999, 0.9995, 0.5), (0.3, 0.6, -0.7), wide=[(0.9999999, 0.99999999, 0.5)])
def joint_survival_by_morgenstern(u, v, t):
    return 1 - u - v + u * v * (1 + t * (1 - u) * (1 - v))


# Greenwood and Yule; JKK, section 4.10: a truncated and an inflated count
@case((1e-5, 3.0), (2.0, 3.0), (50.0, 1.0), wide=[(1e-12, 3.0)])
def zero_truncated_poisson(rate, k):
    return k * jnp.log(rate) - rate - jnp.log(1 - jnp.exp(-rate))


@case((-20.0, 150.0), (0.5, 2.0), (30.0, 5.0))
def zero_inflated_poisson(logit, rate):
    inflated = 1 / (1 + jnp.exp(-logit))
    return jnp.log(inflated + (1 - inflated) * jnp.exp(-rate))


# JKK, section 4.2: the probability as it stands in the book
@case(50.0, 2.0, 150.0)
def poisson_of_sixty_events(rate):
    return jnp.log(rate**60 * jnp.exp(-rate))


# David and Nagaraja, Order Statistics (2003)
@case(1e-5, 1e-3, 0.5, wide=[1e-12])
def smallest_of_two_hundred(p):
    return 1 - (1 - p) ** 200


@case(20.0, 2.0, wide=[40.0])
def largest_of_fifty_exponentials_beyond(x):
    return 1 - (1 - jnp.exp(-x)) ** 50


# Kumaraswamy, Journal of Hydrology 46 (1980)
@case((1e-3, 2.0, 3.0), (0.5, 2.0, 3.0), wide=[(1e-6, 2.0, 3.0)])
def kumaraswamy_below(x, a, b):
    return 1 - (1 - x**a) ** b


# Coles, An Introduction to Statistical Modeling of Extreme Values (2001)
@case((1.5, 1e-5), (1.5, 0.3), (-0.5, 1e-3), wide=[(1.5, 1e-10)])
def generalised_extreme_value(z, xi):
    t = (1 + xi * z) ** (-1 / xi)
    return (1 + xi) * jnp.log(t) - t


# Gompertz, Philosophical Transactions 115 (1825); Marshall and Olkin, Life Distributions (2007)
@case((2.0, 1e-4, 0.1), (2.0, 0.5, 0.1), wide=[(2.0, 1e-9, 0.1)])
def gompertz_beyond(t, a, b):
    return jnp.exp(-b / a * (jnp.exp(a * t) - 1))


# Cox, JRSS B 34 (1972): the partial likelihood, the sets at risk by a cumulated sum
@case([120.0, 100.0, 90.0, 110.0], [0.5, -1.0, 2.0, 0.1], [-120.0, -110.0, -130.0, -115.0])
def cox_partial_likelihood(risk):
    at_risk = jnp.cumsum(jnp.exp(risk)[::-1])[::-1]
    return -jnp.sum(risk - jnp.log(at_risk))


# Fevotte, Bertin and Durrieu, "Nonnegative matrix factorization with the Itakura-Saito divergence" (2009)
@case((5.0, 5.001), (5.0, 2.0), wide=[(5.0, 5.0000001)])
def itakura_saito(y, mu):
    return y / mu - jnp.log(y / mu) - 1


# Crow and Shimizu, Lognormal Distributions (1988)
@case(1e-3, 0.5, 2.0, wide=[1e-8])
def spread_of_a_lognormal(s):
    return jnp.sqrt(jnp.exp(s * s) - 1)


# Dowson and Landau, "The Frechet distance between multivariate normal distributions" (1982)
@case(([2.0, 3.0], [2.001, 2.999]), ([2.0, 3.0], [1.0, 7.0]), wide=[([2.0, 3.0], [2.0000001, 3.0])])
def frechet_distance_of_variances(a, b):
    return jnp.sum(a + b - 2 * jnp.sqrt(a * b))


# Renyi (1961), near Shannon's order
@case(([0.5, -1.0, 2.0], 1.0001), ([0.5, -1.0, 2.0], 3.0), wide=[([0.5, -1.0, 2.0], 1.00000001)])
def renyi_entropy(z, q):
    return jnp.log(jnp.sum(jax.nn.softmax(z) ** q)) / (1 - q)


# Box and Cox, JRSS B 26 (1964), and its inverse
@case((3.0, 1e-5), (3.0, 0.5), wide=[(3.0, 1e-10)])
def box_cox_and_back(x, p):
    return (1 + p * x) ** (1 / p)


# --- physics and geometry ------------------------------------------------------------------------------------------


# Snyder, Map Projections (1987): the bearing of a neighbour
@case((0.7, 0.7001, 1e-4), (0.7, -0.2, 1.0), wide=[(0.7, 0.70000001, 1e-8)])
def bearing_of_a_neighbour(a, b, d):
    return jnp.arctan2(jnp.sin(d) * jnp.cos(b), jnp.cos(a) * jnp.sin(b) - jnp.sin(a) * jnp.cos(b) * jnp.cos(d))


# Diebel, "Representing attitude" (2006)
@case(([1.0, 0.1, 0.2, 0.3], [1.0, 0.1001, 0.2, 0.3]), ([1.0, 0.1, 0.2, 0.3], [1.0, -0.5, 0.2, 0.8]))
def angle_of_two_quaternions(p, q):
    return 2 * jnp.arccos(jnp.dot(p / jnp.sqrt(jnp.sum(p * p)), q / jnp.sqrt(jnp.sum(q * q))))


@case([1e-4, 2e-4, 1e-4], [0.5, 0.1, 0.2], wide=[[1e-9, 2e-9, 1e-9]])
def part_of_a_rotation(v):
    angle = jnp.sqrt(jnp.sum(v * v))
    return (angle - jnp.sin(angle)) / angle**3 + (1 - jnp.cos(angle)) / angle**2


# Shoemake, "Animating rotation with quaternion curves" (1985)
@case((1e-4, 0.3), (1.0, 0.3), (0.0, 0.3), limit=True)
def weight_of_an_arc(angle, t):
    return jnp.sin((1 - t) * angle) / jnp.sin(angle)


# Jackson, Classical Electrodynamics, chapter 11
@case((0.999, 0.9995), (0.5, 0.2), wide=[(0.99999999, 0.99999999)])
def what_a_sum_of_speeds_lacks(u, v):
    return 1 - (u + v) / (1 + u * v)


# Particle Data Group, "Kinematics"
@case((900.0, 0.5), (1.0, 2.0), wide=[(1e6, 1e-2)])
def rapidity_of_a_light_particle(p, m):
    energy = jnp.sqrt(p * p + m * m)
    return 0.5 * jnp.log((energy + p) / (energy - p))


# Hecht, Optics, section 5.2
@case((0.5, 0.50005), (0.5, 2.0), wide=[(0.5, 0.5000000001)])
def image_by_a_thin_lens(focal, distance):
    return 1 / (1 / focal - 1 / distance)


# Rybicki and Lightman, Radiative Processes in Astrophysics (1979); Kittel, Introduction to Solid State Physics
@case(1e-4, 2.0, 120.0, wide=[1e-9])
def heat_of_an_oscillator(x):
    return x * x * jnp.exp(x) / (jnp.exp(x) - 1) ** 2


@case((1.0, 1e-3), (2.0, 0.5), (90.0, 2.0), wide=[(1.0, 1e-8)])
def window_of_two_occupations(x, bias):
    return 1 / (jnp.exp(x) + 1) - 1 / (jnp.exp(x + bias) + 1)


# Schneider and Eberly, Geometric Tools for Computer Graphics: an area far from the origin
@case(([1000.1, 1001.3, 1000.7], [2000.2, 2000.6, 2002.9]), ([0.0, 1.0, 0.5], [0.0, 0.5, 2.0]))
def area_of_a_distant_triangle(x, y):
    return 0.5 * (x[0] * y[1] - x[1] * y[0] + x[1] * y[2] - x[2] * y[1] + x[2] * y[0] - x[0] * y[2])


# --- finance -------------------------------------------------------------------------------------------------------


# Hull, chapter 15
@case((100.0, 180.0, 0.1), (100.0, 100.0, 0.2), (100.0, 101.0, 0.01), wide=[(100.0, 250.0, 0.12)])
def black_scholes_call(spot, strike, deviation):
    d = jnp.log(spot / strike) / deviation + 0.5 * deviation
    return spot * 0.5 * (1 + erf(d / jnp.sqrt(2.0))) - strike * 0.5 * (1 + erf((d - deviation) / jnp.sqrt(2.0)))


# Hagan et al., "Managing smile risk" (2002)
@case((1e-4, -0.3), (1.0, -0.3), wide=[(1e-8, -0.3)])
def smile_of_sabr(z, rho):
    return z / jnp.log((jnp.sqrt(1 - 2 * rho * z + z * z) + z - rho) / (1 - rho))


# Nelson and Siegel, "Parsimonious modeling of yield curves" (1987)
@case(1e-3, 2.0, wide=[1e-8])
def hump_of_nelson_and_siegel(x):
    return (1 - jnp.exp(-x)) / x - jnp.exp(-x)


# Brealey, Myers and Allen, Principles of Corporate Finance
@case((1e-4, 2e-4), (0.05, 0.02), (0.03, 0.03001), wide=[(1e-9, 2e-9)])
def growing_annuity(r, g):
    return (1 - ((1 + g) / (1 + r)) ** 20) / (r - g)


@case(1e-5, 0.05, wide=[1e-11])
def effective_rate_of_daily_compounding(r):
    return (1 + r / 365) ** 365 - 1


@case((101.0, 101.001), (101.0, 80.0), wide=[(101.0, 101.0000001)])
def return_by_logarithms(p, q):
    return jnp.log(q) - jnp.log(p)


# Uhlenbeck and Ornstein (1930); Vasicek (1977)
@case((1e-5, 2.0), (0.5, 2.0), wide=[(1e-11, 2.0)])
def variance_of_mean_reversion(k, t):
    return (1 - jnp.exp(-2 * k * t)) / (2 * k)


# Foellmer and Schied, Stochastic Finance (2016)
@case(([1.0, -2.0, 0.5], 1e-4), ([1.0, -2.0, 0.5], 0.5), ([100.0, -200.0, 50.0], 2.0), wide=[([1.0, -2.0, 0.5], 1e-9)])
def entropic_risk(x, a):
    return jnp.log(jnp.mean(jnp.exp(-a * x))) / a


# --- gradients -----------------------------------------------------------------------------------------------------


@case([0.0, 0.0], [3.0, 4.0], [1e-30, 2e-30], conventions={0: (0.0, ([0.0, 0.0],))}, wide=[[1e-200, 1e-200]])
def length_guarded_by_where(x):
    square = jnp.sum(x * x)
    return jnp.where(square > 0, jnp.sqrt(square), 0.0)


@case(1.0, 0.5, conventions={0: (0.0, (-2.0,))})
def square_of_an_angle(x):
    return jnp.arccos(x) ** 2


@case([2.0, 2.0, 2.0], [1.0, 2.0, 4.0], conventions={0: (0.0, ([0.0, 0.0, 0.0],))})
def deviation_of_equals(x):
    return jnp.std(x)


@case((0.0, [1.0, 2.0, 3.0]), (0.5, [1.0, 2.0, 3.0]))
def polynomial_by_powers(x, c):
    return jnp.sum(c * x ** jnp.arange(3, dtype=c.dtype))


@case([-1.0, 0.5, 100.0], [0.5, 2.0, -3.0])
def logarithm_behind_where(x):
    return jnp.sum(jnp.where(x > 0, jnp.log(jnp.exp(x) - 1), x))
