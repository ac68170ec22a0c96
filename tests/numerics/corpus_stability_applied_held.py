"""Formulas of physics, finance and geometry as the book prints them.

Sources: the examples of Herbie and FPBench; Kahan, "Miscalculating area and angles of a needle-like triangle" and
"How futile are mindless assessments of roundoff" (compound interest); Jackson and Rybicki-Lightman for the physics.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tests.numerics.scoring import table

CASES, case = table("applied")


@case(0.5, 1e-3, 1e-6, 0.99, wide=[1e-10])
def relativistic_gamma_minus_one(beta):
    return 1.0 / jnp.sqrt(1.0 - beta**2) - 1.0


@case(0.3, 1e-3, 20.0, 300.0)
def einstein_heat_capacity(x):
    return x**2 * jnp.exp(x) / (jnp.exp(x) - 1.0) ** 2


@case((10.0, 1.0), (1e4, 1.0), (1e7, 2.0), (1.0, 0.5))
def sagitta(r, c):
    return r - jnp.sqrt(r**2 - c**2)


@case((1.0, 1e-3), (6.4e6, 1.7), (6.4e6, 1e4), (3.0, 4.0))
def horizon_dip(r, h):
    return jnp.arccos(r / (r + h))


@case((6.4e6, 2.0), (6.4e6, 1e5), (1.0, 1.0))
def potential_difference(r, h):
    return 1.0 / r - 1.0 / (r + h)


@case((1e-4, 8.0), (1.0, 8.0), (100.0, 7.5), (1e4, 8e3))
def barometric_drop(h, scale):
    return 1.0 - jnp.exp(-h / scale)


@case((0.05, 12.0), (1e-5, 365.0), (1e-7, 10.0), (0.3, 4.0))
def effective_rate(r, n):
    return (1.0 + r / n) ** n - 1.0


@case((0.05, 30.0), (1e-6, 30.0), (1e-3, 360.0), (1e-9, 12.0))
def loan_payment(r, n):
    return r / (1.0 - (1.0 + r) ** (-n))


@case((100.0, 100.001), (100.0, 105.0), (1e4, 1.0001e4))
def relative_return(a, b):
    return b / a - 1.0


@case((100.0, 110.0, 0.2), (100.0, 200.0, 0.2), (100.0, 60.0, 0.3))
def black_scholes_tail(s, k, v):
    d = jnp.log(s / k) / v
    return 1.0 - 0.5 * (1.0 + jax.scipy.special.erf(-d / jnp.sqrt(2.0)))


@case((3.0, 4.0, 0.5), (3.0, 3.0, 1e-4), (1e4, 1.00001e4, 1e-5), (1.0, 2.0, 2.0))
def side_by_law_of_cosines(a, b, angle):
    return jnp.sqrt(a**2 + b**2 - 2.0 * a * b * jnp.cos(angle))


@case(1e-4, 1e-2, 1.0, 3.0)
def circular_segment(angle):
    return 0.5 * (angle - jnp.sin(angle))


@case((1.0, 1e-4), (5.0, 1e-3), (1.0, 0.5), (1e4, 1.0))
def spherical_shell_volume(r, t):
    return 4.0 / 3.0 * jnp.pi * ((r + t) ** 3 - r**3)


@case((3.0, 4.0), (1e25, 2e25), (1e-25, 1e-25), (1.0, 1e-30))
def complex_reciprocal_real_part(re, im):
    return re / (re * re + im * im)


@case((1.0, 1e-4), (1.0, 1e-8), (30.0, 1e-3), (0.3, 2.0))
def lorentz_boost_gap(t, v):
    return t / jnp.sqrt(1.0 - v**2 / 9.0) - t


@case((300.0, 300.01), (300.0, 310.0), (1.0, 1.0001), (1e3, 2e3))
def log_mean_temperature_difference(a, b):
    return (a - b) / jnp.log(a / b)


@case((1.0, 1.33, 0.3), (1.0, 1.0001, 0.3), (1.5, 1.0, 0.2))
def fresnel_reflection(n1, n2, angle):
    c1 = jnp.cos(angle)
    c2 = jnp.sqrt(1.0 - (n1 / n2 * jnp.sin(angle)) ** 2)
    return ((n1 * c1 - n2 * c2) / (n1 * c1 + n2 * c2)) ** 2


@case((1.0, 2.0), (1.0, 1.0001), (1e-8, 1.0), (3.0, 2.9999))
def decay_chain(a, b):
    return (jnp.exp(-a) - jnp.exp(-b)) / (b - a)


@case((0.5, 1.0), (30.0, 1.0), (1e-4, 2.0), (5.0, 1e-3))
def capacitor_charge(t, tau):
    return 1.0 - jnp.exp(-t / tau)


@case((0.3, 1.0), (1e-5, 2.0), (3.0, 0.5), (20.0, 1.0))
def diode_current(v, t):
    return 1e-3 * (jnp.exp(v / t) - 1.0)


@case((0.1, 3.0), (1e-3, 50.0), (1e-6, 1e4), (0.9, 5.0))
def geometric_series(q, n):
    return (1.0 - (1.0 - q) ** n) / q


@case((2.0, 1.9999), (50.0, 49.0), (1.0, 3.0))
def haversine_by_cosines(a, b):
    return 0.5 * (1.0 - jnp.cos((a - b) / 3.0))
