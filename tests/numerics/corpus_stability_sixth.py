"""Forty more unstable functions of mixed classes, special ones among them, written before one of them was tried.

First judged, after longer numbers came to float64: there 37 of 39 broken values and 32 of 37 broken gradients lose at
most 3 bits, in float32 32 of 40 and 32 of 37, and none is worse than before by over a bit.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, erf, erfc, gammaln, i0e, logsumexp

from tests.numerics.scoring import table

SIXTH, case = table("sixth")


@case(1e-2, 0.5, 1e-4)
def cosine_less_its_parabola(x):
    return jnp.cos(x) - 1 + x * x / 2


@case(0.02, 1.5, 1e-3)
def sine_integral_kernel_slope(x):
    return jnp.cos(x) / x - jnp.sin(x) / (x * x)


@case((2.0, 2.001), (1.0, 4.0), (0.5, 0.50001))
def harmonic_less_geometric_mean(a, b):
    return jnp.sqrt(a * b) - 2 * a * b / (a + b)


@case((1.0, 1e-3), (2.0, 0.3), (5.0, 1e-5))
def central_difference_of_log(x, h):
    return (jnp.log(x + h) - jnp.log(x - h)) / (2 * h) - 1 / x


@case((3.0, 1e-3), (0.5, 0.2), (10.0, 1e-4))
def difference_of_lgamma(x, h):
    return gammaln(x + h) - gammaln(x)


@case((3.0, 1e-3), (0.5, 0.2))
def rest_of_lgamma_after_its_slope(x, h):
    return gammaln(x + h) - gammaln(x) - h * digamma(x)


@case((0.5, 1e-3), (1.0, 0.5), (2.0, 1e-4))
def mass_between_two_quantiles(x, h):
    return erf(x + h) - erf(x - h)


@case(0.01, 1.0, 1e-3)
def error_function_less_its_tangent(x):
    return erf(x) - 2 * x / jnp.sqrt(jnp.pi)


@case(1.0, 3.0, 6.0)
def mills_ratio_less_its_leading_term(x):
    return jnp.sqrt(jnp.pi) / 2 * jnp.exp(x * x) * erfc(x) - 1 / (2 * x)


@case(5.0, 30.0, 300.0)
def digamma_less_log(x):
    return digamma(x) - jnp.log(x)


@case(0.01, 2.0, 1e-3)
def bessel_less_one(x):
    return jnp.exp(x) * i0e(x) - 1


@case((0.3, 0.3001), (0.2, 0.7), (0.9, 0.90001))
def hellinger_of_two_coins(p, q):
    return 1 - jnp.sqrt(p * q) - jnp.sqrt((1 - p) * (1 - q))


@case((0.3, 0.3001), (0.2, 0.7))
def renyi_divergence_of_two_coins(p, q):
    return jnp.log(p**2 / q + (1 - p) ** 2 / (1 - q))


@case(([0.2, 0.3, 0.5], 1.001), ([0.1, 0.1, 0.8], 2.0), ([0.2, 0.3, 0.5], 0.9999))
def entropy_of_havrda_and_charvat(p, a):
    return (1 - jnp.sum(p**a)) / (a - 1)


@case(([1.0, 1.001, 0.999], 1.0), ([3.0, 1.0, 2.0], 2.0))
def power_mean_less_mean(x, p):
    return jnp.mean(x ** (p + 1)) ** (1 / (p + 1)) - jnp.mean(x)


@case(([1.0, 1.001, 0.999],), ([3.0, 1.0, 0.2],))
def log_of_mean_less_mean_of_log(x):
    return jnp.log(jnp.mean(x)) - jnp.mean(jnp.log(x))


@case(([0.1, 0.101, 0.099],), ([2.0, -1.0, 0.3],))
def jensen_gap_of_exp(x):
    return jnp.mean(jnp.exp(x)) - jnp.exp(jnp.mean(x))


@case(([0.01, -0.02, 0.005],), ([2.0, -1.0, 0.3],))
def cumulant_of_two(x):
    return logsumexp(x) - jnp.log(3.0) - jnp.mean(x)


@case((10.0, 1e-3, 2.0), (1.0, 0.5, 3.0), (0.1, 1e-4, 5.0))
def annuity_less_its_undiscounted_sum(c, r, n):
    return c * (1 - (1 + r) ** -n) / r - c * n


@case((0.05, 0.0501, 3.0), (0.02, 0.2, 1.0))
def forward_price_difference(r, s, t):
    return jnp.exp(-r * t) - jnp.exp(-s * t)


@case((100.0, 100.1, 0.01), (90.0, 100.0, 0.5))
def straddle_less_intrinsic(s, k, v):
    d = jnp.log(s / k) / v
    up, down = d + v / 2, d - v / 2
    call = s * 0.5 * erfc(-up / jnp.sqrt(2.0)) - k * 0.5 * erfc(-down / jnp.sqrt(2.0))
    return 2 * call - s + k


@case((1.0, 0.999), (3.0, 1.0), (1.0, 0.99999))
def kepler_near_a_parabola(r, e):
    return jnp.arccos(e) - jnp.sqrt(1 - e * e) * r


@case((0.3, 1e-3), (1.0, 0.2), (2.0, 1e-5))
def elongation_of_a_chord(angle, step):
    return jnp.tan(angle + step) - jnp.tan(angle) - step / jnp.cos(angle) ** 2


@case(([1.0, 2.0], [1.001, 2.001]), ([0.3, 0.1], [2.0, 1.0]))
def bregman_of_entropy(x, y):
    return jnp.sum(x * jnp.log(x) - y * jnp.log(y) - (1 + jnp.log(y)) * (x - y))


@case(([1.0, 2.0], [1.001, 2.001]), ([0.3, 0.1], [2.0, 1.0]))
def bregman_of_burg(x, y):
    return jnp.sum(x / y - jnp.log(x / y) - 1)


@case(([1.0, 2.0], [1.001, 1.999]), ([0.3, 0.1], [2.0, 1.0]))
def bregman_of_exp(x, y):
    return jnp.sum(jnp.exp(x) - jnp.exp(y) - jnp.exp(y) * (x - y))


@case((1.0, 1.001, 0.5), (3.0, 1.0, 0.2))
def log_determinant_divergence_of_two(a, b, c):
    first, second = a * b - c * c, (a + 1e-3) * b - c * c
    return first / second - jnp.log(first / second) - 1


@case((1.0, 1e-3), (0.2, 0.5), (3.0, 1e-5))
def tail_of_a_lorentzian(x, w):
    return 0.5 - jnp.arctan(x / w) / jnp.pi


@case(8.0, 1.0, 4.0)
def defect_of_tanh_product(x):
    return 1 - jnp.tanh(x) * jnp.tanh(x + 0.1)


@case((5.0, 5.001), (1.0, 3.0), (0.2, 0.20001))
def gap_of_two_softplus(a, b):
    return jax.nn.softplus(a) - jax.nn.softplus(b) - jax.nn.sigmoid(b) * (a - b)


@case((0.01, 0.3), (1.0, 0.3), (1e-3, 0.7))
def swing_of_a_pendulum(t, k):
    return jnp.sin(t) ** 2 - t * t + k * (jnp.cos(t) - 1) ** 2


@case((0.999, 1.5), (0.5, 2.0), (1.001, 0.5))
def box_cox_less_log(x, k):
    return (x**k - 1) / k - jnp.log(x)


@case((1e-3, 2.0), (0.5, 2.0), (1e-4, 0.5))
def box_cox_of_small_power(k, x):
    return (x**k - 1 - k * jnp.log(x)) / (k * k)


@case((2.0, 3.0, 1e-3), (1.0, 0.5, 0.5))
def log_beta_difference(a, b, h):
    def beta(p, q):
        return gammaln(p) + gammaln(q) - gammaln(p + q)

    return beta(a + h, b) - beta(a, b)


@case((4.0, 4.001), (2.0, 7.0))
def divergence_of_two_chi_squares(k, m):
    a, b = k / 2, m / 2
    return gammaln(b) - gammaln(a) + (a - b) * digamma(a)


@case((1.0, 1.0, 1e-3), (2.0, 0.5, 0.4), (0.3, 2.0, 1e-5))
def cross_ratio_less_one(a, b, h):
    return (a + h) * (b + h) / (a * (b + 2 * h)) - b / (b + h)


@case(([1.0, 2.0, 4.001], [1.0, 2.0, 3.999]), ([1.0, 0.0, 3.0], [2.0, 1.0, 0.5]))
def one_less_correlation(x, y):
    a, b = x - jnp.mean(x), y - jnp.mean(y)
    return 1 - jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b))


@case((1e-3, 2e-3), (0.5, 1.0), (1e-2, -3e-3))
def commutator_of_rotations(a, b):
    return jnp.cos(a) * jnp.cos(b) - jnp.cos(a + b) - a * b


@case(1e-2, 1.0, 1e-3)
def einstein_function_less_one(x):
    return (x / jnp.sinh(x)) ** 2 - 1 + x * x / 3


@case((300.0, 300.1), (250.0, 350.0))
def net_planck_emission(t, s):
    return 1 / jnp.expm1(600.0 / t) - 1 / jnp.expm1(600.0 / s)
