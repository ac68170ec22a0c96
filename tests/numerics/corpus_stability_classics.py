"""Unstable one-liners of the textbooks of numerical analysis.

Sources: Hamming, Numerical Methods for Scientists and Engineers (1987), ch. 3, as the FPCores of FPBench; Higham,
Accuracy and Stability of Numerical Algorithms (2002), ch. 1 and problems; Kahan's notes (quadratics, triangles,
"Mathematics written in sand"); Goldberg (1991); Muller et al., Handbook of Floating-Point Arithmetic.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tests.numerics.scoring import table

CASES, case = table("classics")


@case((1.0, 1e-3), (1.0, 1e-7), (0.3, 1e-30), (2.0, 0.5), (100.0, 1e-4), wide=[(0.7, 1e-14)])
def sine_increment(x, eps):
    return jnp.sin(x + eps) - jnp.sin(x)


@case(1e-30, 1e-6, 1e-3, 0.5, 2.0, wide=[1e-100])
def half_angle_tangent(x):
    return (1.0 - jnp.cos(x)) / jnp.sin(x)


@case(1e-3, 1.0, 1e3, 1e6, wide=[1e12])
def inverse_root_increment(x):
    return 1.0 / jnp.sqrt(x) - 1.0 / jnp.sqrt(x + 1.0)


@case(0.3, 30.0, 1e4, 1e7, wide=[1e12])
def reciprocal_increment(x):
    return 1.0 / (x + 1.0) - 1.0 / x


@case(0.1, 10.0, 1e5, 1e7, wide=[1e13])
def cube_root_increment(x):
    return (x + 1.0) ** (1 / 3) - x ** (1 / 3)


@case((1.0, 3.0, 1.0), (1.0, 1e4, 1.0), (2e-3, 50.0, -1e-3), (1.0, -1e4, 3.0), (1e-5, 1e6, 2.0), (1e5, 1e18, 1.0))
def quadratic_root_plus(a, b, c):
    return (-b + jnp.sqrt(b * b - 4.0 * a * c)) / (2.0 * a)


@case((1.0, 3.0, 1.0), (1.0, 1e4, 1.0), (2e-3, 50.0, -1e-3), (1.0, -1e4, 3.0))
def quadratic_half_plus(a, b, c):
    return (-b + jnp.sqrt(b * b - a * c)) / a


@case(1e-30, 1e-7, 1e-3, 0.5, 3.0, -1e-4, -20.0)
def exponential_minus_one(x):
    return jnp.exp(x) - 1.0


@case(2.0, 100.0, 1e5, 1e7, wide=[1e10])
def entropy_increment(n):
    return (n + 1.0) * jnp.log(n + 1.0) - n * jnp.log(n) - 1.0


@case(1e-20, 1e-4, 1e-2, 0.5, 1.4, -1e-3)
def inverse_cotangent_gap(x):
    return 1.0 / x - 1.0 / jnp.tan(x)


@case(1e-12, 1e-5, 1e-2, 0.5, 3.0)
def versine_over_square(x):
    return (1.0 - jnp.cos(x)) / (x * x)


@case((1.0, 2.0, 1e-5), (0.5, 1.5, 1e-3), (1.0, 2.0, 0.5), (3.0, 0.25, 1e-10))
def exponential_sums(a, b, eps):
    return eps * (jnp.exp((a + b) * eps) - 1.0) / ((jnp.exp(a * eps) - 1.0) * (jnp.exp(b * eps) - 1.0))


@case(1e-30, 1e-7, 1e-3, 0.5, -1e-5, -0.9)
def log_of_quotient_near_one(eps):
    return jnp.log((1.0 - eps) / (1.0 + eps))


@case(1e-30, 1e-7, 1e-3, 0.5, 5.0, -1e-4, limit=True)
def exponential_quotient(x):
    return (jnp.exp(x) - 1.0) / x


@case(0.0, 1e-10, 1e-4, 0.03, 1.0, 6.0, limit=True)
def sine_quotient(x):
    return jnp.sin(x) / x


@case(1e-30, 1e-7, 1e-3, 0.5, -0.5, -1e-4)
def logarithm_quotient(x):
    return jnp.log(1.0 + x) / x


@case(1e-9, 1e-4, 1e-2, 0.5, 3.0)
def sine_gap(x):
    return x - jnp.sin(x)


@case(1e-6, 1e-3, 0.1, 1.0, 5.0, -1e-3)
def second_exponential_gap(x):
    return jnp.exp(x) - 1.0 - x


@case(1e-6, 1e-3, 0.1, 1.0, 30.0, -1e-3)
def logarithm_gap(x):
    return x - jnp.log(1.0 + x)


@case(1e-8, 1e-4, 1e-2, 0.5, 0.99)
def root_gap_below_one(x):
    return 1.0 - jnp.sqrt(1.0 - x * x)


@case(1e-8, 1e-3, 0.1, 10.0)
def root_gap_above_one(x):
    return jnp.sqrt(1.0 + x * x) - 1.0


@case((3.0, 4.0, 5.0), (9.0, 4.53, 4.53), (1000.0, 999.9999, 1e-3), (1.0, 1.0, 1e-6), (2e10, 2e10, 1e4))
def area_of_triangle(a, b, c):
    s = (a + b + c) / 2.0
    return jnp.sqrt(s * (s - a) * (s - b) * (s - c))


@case(1e-10, 1e-4, 1.0, 1e3, 1e6, 1e25)
def inverse_hyperbolic_sine(x):
    return jnp.log(x + jnp.sqrt(x * x + 1.0))


@case(1e-30, 1e-6, 1e-2, 0.5, 0.999, -1e-4)
def inverse_hyperbolic_tangent(x):
    return 0.5 * jnp.log((1.0 + x) / (1.0 - x))


@case(1e-30, 1e-6, 1e-2, 1.0, 30.0, 100.0, 1e4, -200.0)
def hyperbolic_tangent(x):
    return (jnp.exp(x) - jnp.exp(-x)) / (jnp.exp(x) + jnp.exp(-x))


@case(1e-6, 1e-3, 0.5, 1.5)
def one_minus_cosine(x):
    return 1.0 - jnp.cos(x)


@case(1e-5, 0.1, 1.2, 1.5)
def secant_minus_one(x):
    return 1.0 / jnp.cos(x) - 1.0


@case(1e-8, 1e-3, 0.5, 0.9)
def arccosine_near_one(x):
    return jnp.arccos(1.0 - x)


@case(1e-4, 0.1, 1.0, 4.0, 8.0, wide=[20.0])
def one_minus_error_function(x):
    return 1.0 - jax.scipy.special.erf(x)


@case((1e-3, 1e-3), (3e-6, 1e-6), (0.1, 0.2), (1.0, 2.0))
def product_of_complements(x, y):
    return 1.0 - (1.0 - x) * (1.0 - y)


@case((1.0, 1e-6, 1.0), (33.0, 1e-4, 2.0), (1e8, 1e-3, 3.0))
def sum_then_difference(x, y, z):
    return ((x + y) - x) * z


@case(0.5, 0.001, 1e-6, 20.0, wide=[1e-12])
def root_of_squared_sum_gap(x):
    return jnp.sqrt(4.0 + x) - 2.0


@case((1.5, 1e-5), (0.2, 1e-3), (-1.0, 0.3), (3.0, 1e-7))
def hyperbolic_tangent_increment(x, h):
    return jnp.tanh(x + h) - jnp.tanh(x)


@case(1e-7, 1e-3, 0.5, 3.0, -1e-3)
def power_of_two_minus_one(x):
    return 2.0**x - 1.0


@case(1e2, 1e4, 1e6, 3.0, wide=[1e11])
def euler_limit(n):
    return (1.0 + 1.0 / n) ** n
