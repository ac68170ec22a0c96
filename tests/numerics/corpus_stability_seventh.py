"""Forty more unstable functions of mixed classes and eight stable ones, written before one of them was tried.

First judged: in float64 27 of 28 broken values and 28 of 32 broken gradients lose at most 3 bits, in float32 30 of 33
and 31 of 36, and none is worse than before by over a bit. Three of those gradients had no truth to lose digits of
(0, or different on both sides), and their points were changed afterwards.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, logsumexp

from tests.numerics.scoring import table

SEVENTH, case = table("seventh")
SEVENTH_CONTROLS, control = table("seventh controls")


# --- numerical analysis ------------------------------------------------------------------------------------------


@case((1e4, 1.0), (1.0, 1.0), (3e6, 2.0))
def gap_of_two_hypotenuses(x, d):
    return jnp.sqrt(x * x + d) - jnp.sqrt(x * x - d / 2)


@case(1e-3, 1.0, 1e-5)
def exponential_over_one_plus_less_one(x):
    return jnp.exp(x) / (1 + x) - 1


@case(1e3, 2.0, 3e5)
def euler_number_from_below(n):
    return jnp.exp(n * jnp.log(1 + 1 / n)) - jnp.exp(1.0)


@case(50.0, 2.0, 2e3)
def twice_rooted_gap(x):
    return jnp.sqrt(x + jnp.sqrt(x)) - jnp.sqrt(x - jnp.sqrt(x)) - 1


@case((1.2, 1.2001), (0.3, 1.0), (2.0, 2.00003))
def divided_difference_of_tangent(a, b):
    return (jnp.tan(a) - jnp.tan(b)) / (a - b)


@case((0.4, 1e-3), (1.0, 0.3), (2.5, 1e-5))
def quotient_of_two_logistics_less_one(x, h):
    return jax.nn.sigmoid(x + h) / jax.nn.sigmoid(x) - 1


@case(([2.0, -1.0, 0.5], 1e-3), ([1.0, 3.0, -2.0], 0.2))
def polynomial_moved_a_little(c, h):
    p = lambda x: c[0] + x * (c[1] + x * (c[2] + x))  # noqa: E731
    return p(1 + h) - p(1.0)


@case(1e-2, 0.7, 1e-4)
def remainder_of_the_geometric_series(x):
    return 1 / (1 - x) - 1 - x - x * x


@case((1.0, 2.0, 2.9999), (1.0, 1.0, 1.0), (3.0, 1.0, 2.0001))
def area_of_a_flat_triangle(a, b, c):
    s = (a + b + c) / 2
    return jnp.sqrt(s * (s - a) * (s - b) * (s - c))


@case((1e-3, 1.0), (0.5, 2.0), (1e-5, 0.3))
def logarithm_of_a_cosine_quotient(x, k):
    return jnp.log(jnp.cos(x) / jnp.cos((1 + k) * x)) / x


@case(([1.0, 1.0001, 1.0], [1.0, 1.0, 0.9999]), ([1.0, 0.0, 2.0], [0.0, 1.0, 1.0]))
def sine_of_the_angle_between(x, y):
    c = jnp.sum(x * y) / jnp.sqrt(jnp.sum(x * x) * jnp.sum(y * y))
    return jnp.sqrt(1 - c * c)


@case((0.3, 1e-4), (1.1, 0.4), (2.0, 1e-2))
def curvature_by_secants(x, h):
    f = lambda t: 1 / (1 + t * t)  # noqa: E731
    return (f(x + h) - 2 * f(x) + f(x - h)) / h**2


@case(([5.0, 5.0002, 5.0004],), ([0.1, 2.0, 3.0],))
def extrapolation_of_aitken(x):
    return x[0] - (x[1] - x[0]) ** 2 / (x[2] - 2 * x[1] + x[0] + 1e-3)


# --- statistics and probability ----------------------------------------------------------------------------------


@case((1e-4, 3.0), (0.4, 2.0), (1e-6, 10.0))
def chance_of_any_failure_less_the_union_bound(p, n):
    return n * p - (1 - (1 - p) ** n)


@case((3.0, 3.0004), (0.5, 2.0), (40.0, 40.01))
def divergence_of_two_geometric_laws(a, b):
    p, q = 1 / (1 + a), 1 / (1 + b)
    return jnp.log(p / q) + (1 - p) / p * jnp.log((1 - p) / (1 - q))


@case((2.0, 1.0, 1.0005), (0.5, 2.0, 1.0))
def divergence_of_two_weibulls(k, a, b):
    return jnp.log(b / a) * k + (a / b) ** k - 1


@case(([1.0, 2.0, 3.0, 4.5], 1e3), ([1.0, -1.0, 2.0, 0.5], 3.0))
def skewness_of_moved_data(x, m):
    y = x + m * x * x
    mean = jnp.mean(y)
    second = jnp.mean(y**2) - mean**2
    third = jnp.mean(y**3) - 3 * mean * jnp.mean(y**2) + 2 * mean**3
    return third / second**1.5


@case(([10.0, 20.0, 30.0], [10.01, 20.0, 29.99]), ([1.0, 5.0, 3.0], [2.0, 3.0, 4.0]))
def likelihood_ratio_of_a_table(o, e):
    return 2 * jnp.sum(o * jnp.log(o / e) - (o - e))


@case((120.0, 2.0), (5.0, 3.0), (1e4, 7.0))
def log_of_a_falling_product(n, k):
    return gammaln(n + 1) - gammaln(n + 1 - k)


@case((3.0, 50.0), (1.0, 0.5), (20.0, 300.0))
def log_mass_of_a_skellam_end(k, m):
    return jnp.log(jnp.exp(-m) * m**k / jnp.exp(gammaln(k + 1)))


@case((1.5, 1e-3), (0.2, 0.5), (-2.0, 1e-4))
def mass_of_a_logistic_cell(x, w):
    return 1 / (1 + jnp.exp(-(x + w))) - 1 / (1 + jnp.exp(-x))


@case(([0.25, 0.2501, 0.2499, 0.25],), ([0.7, 0.1, 0.15, 0.05],))
def missing_entropy(p):
    return jnp.log(4.0) + jnp.sum(p * jnp.log(p))


@case((2.0, 2.0005), (1.0, 4.0), (30.0, 30.01))
def affinity_gap_of_two_exponentials(a, b):
    return 1 - 2 * jnp.sqrt(a * b) / (a + b)


@case(([3.0, -40.0, -200.0], 1.0), ([0.3, 0.1, -0.5], 0.5))
def log_of_a_poisson_binomial_void(z, c):
    return jnp.log(c * jnp.prod(1 - jax.nn.sigmoid(z)))


# --- learning ----------------------------------------------------------------------------------------------------


@case(([30.0, 0.0, -1.0],), ([0.1, 0.5, -0.3],), ([9.0, 1.0, 0.0],))
def uncertainty_of_the_best_class(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return -jnp.log(1 - p[1]) - jnp.log(1 - jnp.max(p))


@case(([100.0, 80.0, 0.0], 0.5), ([0.2, 0.1, 0.4], 2.0))
def energy_score_at_a_temperature(z, t):
    return -t * jnp.log(jnp.sum(jnp.exp(z / t)))


@case(([1.0, 2.0, -3.0], 20.0), ([0.1, 0.4, 0.2], 1.0))
def smooth_maximum_of_absolute_values(x, k):
    return jnp.log(jnp.sum(jnp.exp(k * x) + jnp.exp(-k * x))) / k


@case((40.0, 1.0), (0.3, 2.0), (-120.0, 1.0))
def reward_of_a_preference_with_a_margin(d, m):
    return -jnp.log(1 / (1 + jnp.exp(-(d - m))))


@case(([0.001, 0.0, 0.0], [0.0, 0.001, 0.0], 1.0), ([1.0, 2.0, 0.5], [0.3, 1.0, 2.0], 0.5))
def kernel_distance_of_neighbours(x, y, s):
    return 2 - 2 * jnp.exp(-jnp.sum((x - y) ** 2) / (2 * s * s))


@case(([200.0, 100.0], [1.0, 2.0]), ([0.2, 0.5], [3.0, -1.0]))
def expectation_under_scores(s, v):
    w = jnp.exp(s)
    return jnp.dot(w, v) / jnp.sum(w)


@case(([1.0, 1.001, 0.999, 1.0],), ([3.0, 1.0, -1.0, 0.5],))
def signal_to_noise_in_one_pass(x):
    return jnp.mean(x) ** 2 / (jnp.mean(x * x) - jnp.mean(x) ** 2)


@case((0.999, 1.0001), (0.5, 2.0), (1.0001, 1.00002))
def surrogate_less_its_trust_penalty(r, q):
    return r - 1 - jnp.log(r) + (q - 1) - jnp.log(q)


@case((-20.0, 3.0), (0.5, 1.0), (15.0, -2.0))
def gate_by_hand(a, b):
    return (jnp.exp(a) - jnp.exp(-a)) / (jnp.exp(a) + jnp.exp(-a)) * (1 - 1 / (1 + jnp.exp(-b)))


@case(([12.0, -3.0], 1.0), ([0.4, 0.1], 0.0), ([400.0, 1.0], 1.0))
def hard_negative_loss(z, y):
    p = jax.nn.softmax(z)[0]
    return -(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)) * (1 - p) ** 2


@case(([0.5, 0.6, 0.4], 300), ([0.9, 0.1, 0.2], 2))
def evidence_of_many_repeats(p, n):
    return jnp.log(jnp.mean(p**n))


# --- gradients ---------------------------------------------------------------------------------------------------


@case(([0.0, 0.0], 0.3), ([3.0, 4.0], 0.5), conventions={0: (None, ([0.0, 0.0], 0.0))})
def length_minus_a_margin(x, m):
    return jnp.maximum(jnp.sqrt(jnp.sum(x * x)) - m, 0.0)


@case(100.0, 1.0, -2.0)
def exponential_only_where_negative(x):
    return jnp.where(x < 0, jnp.exp(x), jnp.where(x > 0, jnp.log(x + 1), 1.0))


@case(200.0, 1.0, -300.0)
def elu_over_a_logarithm(x):
    return jnp.where(x > 0, jnp.log(1 + x), jnp.exp(x) - 1)


@case((1e-4, 2.0), (0.3, 1.0), (1e-6, 1.0))
def response_of_a_window(w, n):
    return jnp.sin(n * w / 2) / (n * jnp.sin(w / 2)) - jnp.cos(w)


@case((1e-3, 0.2), (0.7, 0.2), (1e-5, 1.5))
def decay_of_a_pair(g, t):
    a, b = 1.0, 1.0 + g
    return (jnp.exp(-a * t) - jnp.exp(-b * t)) / (b - a)


# --- what is stable already --------------------------------------------------------------------------------------


@control((3.0, 1.0), (100.0, -2.0))
def scaled_tanh(x, b):
    return 2.0 * jnp.tanh(x / 3 + b)


@control(([1.0, 2.0, 3.0], [0.2, 0.1, 0.7]), ([50.0, -60.0, 0.0], [0.1, 0.8, 0.1]))
def soft_target_loss_of_library(z, p):
    return -jnp.sum(p * jax.nn.log_softmax(z))


@control((0.3, 2.0), (50.0, 0.1))
def compound_by_log1p(r, t):
    return jnp.expm1(t * jnp.log1p(r))


@control(([1.0, 2.0, 4.0],), ([1.0, -1.0, 0.5],))
def deviation_of_library(x):
    return jnp.std(x) + 0.1


@control(([100.0, 0.0, -5.0], 0.5), ([0.2, 0.3, 0.1], 2.0))
def free_energy_of_library(z, t):
    return -t * logsumexp(z / t)


@control((2.0, 3.0), (0.1, 9.0))
def log_density_of_an_exponential(x, rate):
    return jnp.log(rate) - rate * x * x


@control((0.2, 3.0), (30.0, 1.0))
def rational_activation(x, a):
    return x * x / (a + x * x)


@control((1.0, 2.0), (1e-3, 5.0))
def sum_of_a_root_and_an_exponential(x, y):
    return jnp.sqrt(x) + jnp.exp(-y) + x / (1 + y)
