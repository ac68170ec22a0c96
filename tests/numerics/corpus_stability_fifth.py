"""Forty-one more unstable functions of mixed classes, written after longer numbers came, before any of them was tried.

First judged in float32: 37 of 39 broken values and 37 of 38 broken gradients lose at most 3 bits, none is worse than
before by over a bit. In float64 they are 36 of 38 and 37 of 38 with longer numbers, none worse (by rules alone 19 and
18, 6 worse).
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from tests.numerics.scoring import table

FIFTH, case = table("fifth")


@case(1e-3, 0.3, 1e-6)
def third_difference_of_exp(h):
    return jnp.exp(3 * h) - 3 * jnp.exp(2 * h) + 3 * jnp.exp(h) - 1


@case((1.0, 1e-3), (2.0, 0.5), (0.3, 1e-4))
def second_difference_of_sine(x, h):
    return (jnp.sin(x + h) - 2 * jnp.sin(x) + jnp.sin(x - h)) / (h * h)


@case((1.0, 1.001), (1.0, 3.0), (5.0, 5.0001))
def logarithmic_mean(a, b):
    return (b - a) / (jnp.log(b) - jnp.log(a))


@case((1.0, 1.001), (1.0, 3.0), (2.0, 2.0002))
def arithmetic_less_geometric_mean(a, b):
    return (a + b) / 2 - jnp.sqrt(a * b)


@case((1.0, 1.002), (1.0, 3.0), (4.0, 4.001))
def identric_less_geometric_mean(a, b):
    return jnp.exp((b * jnp.log(b) - a * jnp.log(a)) / (b - a) - 1) - jnp.sqrt(a * b)


@case(0.01, 1.0, 1e-3)
def tangent_less_sine(x):
    return jnp.tan(x) - jnp.sin(x)


@case(0.02, 1.5, 2e-3)
def sine_by_cosine_cubed(x):
    return (jnp.sin(x) - x * jnp.cos(x)) / x**3


@case(([1.0, 2.0, 3.0], [1.001, 2.0, 3.0]), ([1.0, 0.0, 2.0], [0.0, 1.0, 1.0]))
def distance_of_lines_by_products(x, y):
    return jnp.dot(x, x) - jnp.dot(x, y) ** 2 / jnp.dot(y, y)


@case(([1.0, 1.0001, 0.9999],), ([1.0, 3.0, 0.2],))
def mean_of_squares_over_square_of_mean(x):
    return jnp.mean(x**2) / jnp.mean(x) ** 2 - 1


@case(([1.0, 1.001, 0.998, 1.0005],), ([1.0, 3.0, 0.2, 2.0],))
def index_of_theil(x):
    r = x / jnp.mean(x)
    return jnp.mean(r * jnp.log(r))


@case(([1.0, 1.001, 0.998, 1.0005],), ([1.0, 3.0, 0.2, 2.0],))
def index_of_atkinson(x):
    return 1 - jnp.exp(jnp.mean(jnp.log(x))) / jnp.mean(x)


@case((0.3, 0.3001), (0.2, 0.7), (0.01, 0.010001))
def divergence_of_two_coins(p, q):
    return p * jnp.log(p / q) + (1 - p) * jnp.log((1 - p) / (1 - q))


@case((0.3, 0.3003), (0.2, 0.7), (0.01, 0.01002))
def divergence_of_jensen_and_shannon(p, q):
    def h(p):
        return -p * jnp.log(p) - (1 - p) * jnp.log(1 - p)

    return h((p + q) / 2) - (h(p) + h(q)) / 2


@case((2.0, 2.001), (1.0, 3.0), (50.0, 50.05))
def divergence_of_two_poissons(a, b):
    return a * jnp.log(a / b) - a + b


@case((2.0, 2.001), (1.0, 3.0), (0.1, 0.10005))
def divergence_of_two_exponentials(a, b):
    return jnp.log(a / b) + b / a - 1


@case((1.0, 1.0005), (1.0, 3.0), (7.0, 7.01))
def bhattacharyya_of_two_normals(s, t):
    return 0.5 * jnp.log((s * s + t * t) / (2 * s * t))


@case((0.999, 0.5), (0.2, 0.3), (0.9999, 0.1))
def information_of_a_noisy_channel(r, p):
    return -0.5 * jnp.log(1 - r * r) + p * jnp.log(p) - p * jnp.log(p * r)


@case((1e-3, 2.0), (0.5, 2.0), (1e-4, 0.7))
def root_of_cardano(p, q):
    d = jnp.sqrt(q * q / 4 + p**3 / 27)
    return jnp.cbrt(q / 2 + d) - jnp.cbrt(d - q / 2)


@case((1.0, 1e4, 1.0), (1.0, 5.0, 2.0), (2.0, 3e3, 1.0))
def smaller_root_over_larger(a, b, c):
    d = jnp.sqrt(b * b - 4 * a * c)
    return (b - d) / (b + d)


@case((0.01, 0.02), (0.5, 1.0), (1e-3, 2e-3))
def spherical_excess(a, b):
    c = jnp.arccos(jnp.cos(a) * jnp.cos(b))
    above = 1 + jnp.cos(a) + jnp.cos(b) + jnp.cos(c)
    return 2 * jnp.arccos(above / (4 * jnp.cos(a / 2) * jnp.cos(b / 2) * jnp.cos(c / 2)))


@case((0.01, 1.0), (0.8, 1.0), (1e-3, 3.0))
def circular_segment(a, r):
    return r * r / 2 * (a - jnp.sin(a))


@case((10.0, 0.01), (2.0, 1.0), (100.0, 0.1))
def sagitta(r, c):
    return r - jnp.sqrt(r * r - c * c / 4)


@case(0.01, 0.8, 1e-3)
def relativistic_energy_less_newton(v):
    return 1 / jnp.sqrt(1 - v * v) - 1 - v * v / 2


@case((300.0, 300.01), (300.0, 900.0), (5.0, 5.001))
def net_radiation(t, s):
    return 5.67e-8 * (t**4 - s**4)


@case((0.05, 0.0501), (0.02, 0.3), (0.05, 0.050005))
def forward_rate(r, s):
    return (jnp.exp(-r) - jnp.exp(-s)) / (s - r) - jnp.exp(-s)


@case((1e-4, 30.0), (0.05, 30.0), (1e-5, 10.0))
def convexity_of_an_annuity(r, n):
    return (1 - (1 + r) ** -n) / r - n


@case((0.01, 5.0), (0.5, 2.0), (1e-3, 7.0))
def factor_of_nelson_and_siegel(k, t):
    x = k * t
    return (1 - jnp.exp(-x)) / x - jnp.exp(-x)


@case((1000.0, 1e-3), (10.0, 0.1), (1e5, 1e-4))
def at_least_two_of_many(n, p):
    return 1 - (1 - p) ** n - n * p * (1 - p) ** (n - 1)


@case((1e4, 3.0), (12.0, 5.0), (3e5, 2.0))
def falling_factorial_over_power(n, k):
    return gammaln(n + 1) - gammaln(n - k + 1) - k * jnp.log(n)


@case(([0.3, 0.3001, 0.2999],), ([0.3, 0.9, 0.1],))
def gini_impurity_of_three(z):
    p = jax.nn.softmax(z)
    return jnp.sum(p * p) - 1.0 / 3.0


@case(([9.0, 0.0, 0.0],), ([0.3, 0.9, 0.1],), ([14.0, 1.0, 0.0],))
def impurity_of_a_sure_forecast(z):
    p = jax.nn.softmax(z)
    return 1 - jnp.sum(p * p)


@case((0.01, 1.0), (1.0, 1.0), (1e-3, 2.0))
def langevin_less_its_slope(x, k):
    return k * (1 / jnp.tanh(x) - 1 / x) - k * x / 3


@case((1.0, 1.0005, 0.9995), (1.0, 3.0, 0.2))
def discriminant_of_three(a, b, c):
    return a * a + b * b + c * c - a * b - b * c - c * a


@case(([1.0, 2.0, 2.001, 4.0],), ([1.0, 0.5, 0.3, 2.0],))
def determinant_of_two_by_two(x):
    return x[0] * x[3] - x[1] * x[2]


@case((3.0, 4.0001, 5.0), (3.0, 4.5, 5.0))
def defect_of_pythagoras(a, b, c):
    return jnp.sqrt(a * a + b * b) - c


@case((1e-3, 0.5), (0.5, 0.5), (1e-4, 2.0))
def growth_less_interest(r, t):
    return jnp.exp(r * t) - 1 - jnp.log(1 + r) * t


@case(1e-3, 0.5, 0.03)
def einstein_less_debye(x):
    return x * x * jnp.exp(x) / (jnp.exp(x) - 1) ** 2 - 1


@case((0.5, 1e-4), (0.5, 0.3), (2.0, 1e-3))
def kinetic_term_by_arc_length(x, h):
    return jnp.sqrt(1 + (x + h) ** 2) - jnp.sqrt(1 + x * x) - h * x / jnp.sqrt(1 + x * x)


@case((0.7, 0.70005), (0.2, 1.1), (1.3, 1.3001))
def chord_less_arc(a, b):
    return (b - a) - jnp.sqrt((jnp.cos(a) - jnp.cos(b)) ** 2 + (jnp.sin(a) - jnp.sin(b)) ** 2)


@case((2.0, 1e-3), (2.0, 0.5), (30.0, 1e-4))
def power_less_its_tangent(n, x):
    return (1 + x) ** n - 1 - n * x


@case(12.0, 1.0, 6.0)
def tail_of_tanh(x):
    return 1 - jnp.tanh(x) ** 2 * (1 + jnp.exp(-2 * x)) / (1 + jnp.exp(-2 * x))
