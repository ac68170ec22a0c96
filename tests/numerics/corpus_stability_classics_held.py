"""Unstable one-liners of the textbooks of numerical analysis.

Sources: Hamming, Numerical Methods for Scientists and Engineers (1987), ch. 3, as the FPCores of FPBench; Higham,
Accuracy and Stability of Numerical Algorithms (2002), ch. 1 and problems; Kahan's notes (quadratics, triangles,
"Mathematics written in sand"); Goldberg (1991); Muller et al., Handbook of Floating-Point Arithmetic.
"""

from __future__ import annotations

import jax.numpy as jnp

from tests.numerics.scoring import table

CASES, case = table("classics")


@case(1e-3, 1.0, 1e4, 3e7, wide=[1e12, 1e15])
def root_of_successor(x):
    return jnp.sqrt(x + 1.0) - jnp.sqrt(x)


@case(0.5, 100.0, 1e4, 1e6, wide=[1e10, 1e14])
def arctangent_increment(n):
    return jnp.arctan(n + 1.0) - jnp.arctan(n)


@case((1.0, 1e-3), (0.3, 1e-7), (0.9, 1e-20), (-0.8, 0.25), wide=[(0.7, 1e-13)])
def tangent_increment(x, eps):
    return jnp.tan(x + eps) - jnp.tan(x)


@case(3.0, 1e2, 1e4, 1e6, wide=[1e9, 1e14])
def three_fractions(x):
    return 1.0 / (x + 1.0) - 2.0 / x + 1.0 / (x - 1.0)


@case((1.0, 1e-3), (1.0, 1e-7), (0.3, 1e-30), (2.0, 0.5), wide=[(0.7, 1e-14)])
def cosine_increment(x, eps):
    return jnp.cos(x + eps) - jnp.cos(x)


@case(0.3, 10.0, 1e4, 1e7, wide=[1e13])
def logarithm_increment(n):
    return jnp.log(n + 1.0) - jnp.log(n)


@case(1e-4, 1e-2, 0.3, 2.0, 20.0, wide=[1e-7])
def twice_cosh_minus_two(x):
    return jnp.exp(x) - 2.0 + jnp.exp(-x)


@case((1.0, 3.0, 1.0), (1.0, -1e4, 1.0), (2e-3, -50.0, -1e-3), (1.0, 1e4, 3.0), (1e5, -1e18, 1.0))
def quadratic_root_minus(a, b, c):
    return (-b - jnp.sqrt(b**2 - 4.0 * a * c)) / (2.0 * a)


@case(1e-30, 1e-6, 1e-3, 0.5, -0.9, -1e-5)
def ratio_of_logarithms(x):
    return jnp.log(1.0 - x) / jnp.log(1.0 + x)


@case(1e-20, 1e-6, 1e-3, 0.5, 3.0, -2.0)
def root_of_exponential_quotient(x):
    return jnp.sqrt((jnp.exp(2.0 * x) - 1.0) / (jnp.exp(x) - 1.0))


@case(1e-8, 1e-4, 1e-2, 0.5, 1.0)
def sine_and_tangent_gaps(x):
    return (x - jnp.sin(x)) / (x - jnp.tan(x))


@case((2.0, 3.0), (1e4, 5.0), (1e6, 2.0), (30.0, 10.0), wide=[(1e12, 3.0)])
def nth_root_increment(x, n):
    return (x + 1.0) ** (1.0 / n) - x ** (1.0 / n)


@case((1.0, 1e-30), (3.0, 1e-6), (0.5, 1e-3), (2.0, 1.0))
def exponential_of_product_minus_one(a, x):
    return jnp.exp(a * x) - 1.0


@case(1e-20, 1e-6, 1e-3, 0.5, 5.0, 100.0)
def exponential_over_its_gap(x):
    return jnp.exp(x) / (jnp.exp(x) - 1.0)


@case((3.0, 4.0), (1e-25, 2e-25), (1e25, 3e25), (1e30, 1.0), (5.0, 1e-20), wide=[(1e200, 1e199), (1e-200, 1e-200)])
def hypotenuse(x, y):
    return jnp.sqrt(x**2 + y**2)


@case((3.0, 4.0), (3.0, 3.0000002), (1e4, 1.0000001e4), (1e19, 1.5e19), (1.0, 1e-6))
def difference_of_squares(x, y):
    return x**2 - y**2


@case(-1e4, -30.0, -1e-5, 2.0)
def inverse_hyperbolic_sine_negative(x):
    return jnp.log(x + jnp.sqrt(x**2 + 1.0))


@case(1.0001, 1.5, 30.0, 1e6, 1e25)
def inverse_hyperbolic_cosine(x):
    return jnp.log(x + jnp.sqrt(x * x - 1.0))


@case(1e-30, 1e-6, 1e-2, 1.0, 30.0, 100.0)
def hyperbolic_sine(x):
    return (jnp.exp(x) - jnp.exp(-x)) / 2.0


@case(1e-5, 1e-3, 0.1, 1.0, 5.0)
def hyperbolic_cosine_minus_one(x):
    return jnp.cosh(x) - 1.0


@case(1e-6, 0.1, 3.0, 20.0, 300.0)
def one_minus_hyperbolic_tangent(x):
    return 1.0 - jnp.tanh(x)


@case(1.0001, 1.01, 1.0, 0.99, 3.0, wide=[1.000000001])
def polynomial_at_its_root(x):
    return x**3 - 3.0 * x**2 + 3.0 * x - 1.0


@case(2.001, 1.99, 3.0, 0.5)
def wilkinson_like(x):
    return x**4 - 8.0 * x**3 + 24.0 * x**2 - 32.0 * x + 16.0


@case((1.0, 1e-4), (10.0, 1e-6), (1e4, 1e-3), (2.0, 1.0), wide=[(1e3, 1e-13)])
def exponential_increment(x, h):
    return jnp.exp(-x / 1e4 + h) - jnp.exp(-x / 1e4)


@case((2.0, 1e-5), (5.0, 1e-3), (0.3, 0.2), (1e3, 1e-2))
def root_increment(x, h):
    return jnp.sqrt(x + h) - jnp.sqrt(x)


@case((2.0, 1e-5), (5.0, 1e-3), (0.3, 0.2), (1e3, 1e-2))
def logarithm_ratio_increment(x, h):
    return (jnp.log(x + h) - jnp.log(x)) / h


@case((1.0001, 1.0, 1.0, 0.9999), (1e5, 1.00001e5, 1.00001e5, 1.00002e5), (1.0, 2.0, 3.0, 4.0))
def determinant_two_by_two(a, b, c, d):
    return a * d - b * c


@case(1e-3, 1e-6, 0.5, 10.0)
def fourth_root_gap(x):
    return (16.0 + x) ** 0.25 - 2.0


@case(10.0, 1e3, 1e5, wide=[1e10])
def root_of_square_plus_linear(x):
    return jnp.sqrt(x * x + x) - x
