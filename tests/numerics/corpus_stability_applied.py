"""Formulas of physics, finance and geometry as the book prints them.

Sources: the examples of Herbie and FPBench; Kahan, "Miscalculating area and angles of a needle-like triangle" and
"How futile are mindless assessments of roundoff" (compound interest); Jackson and Rybicki-Lightman for the physics.
"""

from __future__ import annotations

import jax.numpy as jnp

from tests.numerics.scoring import table

CASES, case = table("applied")


@case((1.0, 1e-3), (1.0, 1e-6), (2.0, 3.0), (1e3, 1e2))
def kinetic_energy(m, p):
    return jnp.sqrt(m**2 + p**2) - m


@case((1.0, 1.0), (1e-6, 1.0), (200.0, 1.0), (1e-3, 30.0))
def planck_law(nu, t):
    return nu**3 / (jnp.exp(nu / t) - 1.0)


@case(1e-3, 1e-7, 2.0, 90.0, 300.0)
def bose_einstein(x):
    return 1.0 / (jnp.exp(x) - 1.0)


@case(0.3, 100.0, -100.0, 30.0, 300.0)
def fermi_dirac(x):
    return 1.0 / (jnp.exp(x) + 1.0)


@case(0.3, 1e-3, 20.0, 200.0)
def debye_integrand(x):
    return x**4 * jnp.exp(x) / (jnp.exp(x) - 1.0) ** 2


@case((2.0, 1.0), (1e3, 1.0), (1e7, 3.0), (1.5, 1.25))
def thin_lens_displacement(u, f):
    return u * f / (u - f) - f


@case((0.05, 12.0), (1e-3, 365.0), (0.05, 1e6), (0.1, 1e8), wide=[(0.05, 1e12)])
def compound_interest(r, n):
    return (1.0 + r / n) ** n


@case((0.05, 30.0), (1e-6, 30.0), (1e-3, 360.0), (1e-9, 12.0))
def annuity_factor(r, n):
    return (1.0 - (1.0 + r) ** (-n)) / r


@case((100.0, 105.0, 0.2), (100.0, 100.001, 0.2), (100.0, 300.0, 0.5))
def log_return_over_volatility(a, b, s):
    return (jnp.log(b) - jnp.log(a)) / s


@case((0.5, 0.5001, 0.3, 0.3002), (0.1, 0.9, 0.2, 1.4), (1.0, 1.00001, 2.0, 2.00001))
def great_circle_angle(lat1, lat2, lon1, lon2):
    return jnp.arccos(jnp.sin(lat1) * jnp.sin(lat2) + jnp.cos(lat1) * jnp.cos(lat2) * jnp.cos(lon1 - lon2))


@case((3.0, 4.0, 5.0), (3.0, 3.0, 1e-4), (1e4, 1e4, 1.0), (2.0, 3.0, 4.5))
def angle_by_law_of_cosines(a, b, c):
    return jnp.arccos((a**2 + b**2 - c**2) / (2.0 * a * b))


@case((1.0, 1e-5), (5.0, 1e-3), (1.0, 0.5), (1e4, 0.1))
def annulus_area(r, t):
    return jnp.pi * ((r + t) ** 2 - r**2)


@case(
    ([0.0, 0.0], [1.0, 0.0], [0.5, 1e-4]),
    ([1e4, 1e4], [1e4 + 1, 1e4], [1e4, 1e4 + 1]),
    ([0.0, 0.0], [4.0, 0.0], [0.0, 3.0]),
)
def shoelace_area(a, b, c):
    return 0.5 * ((a[0] * b[1] - b[0] * a[1]) + (b[0] * c[1] - c[0] * b[1]) + (c[0] * a[1] - a[0] * c[1]))


@case((3.0, 4.0), (1e25, 2e25), (1e-25, 1e-26), (1.0, 1e-3))
def complex_modulus(re, im):
    return jnp.sqrt(re * re + im * im)


@case((3.0, 4.0), (-1e4, 1e-2), (-1.0, 1e-6), (1e4, 1.0))
def complex_root_real_part(re, im):
    return jnp.sqrt((jnp.sqrt(re * re + im * im) + re) / 2.0)


@case((300.0, 300.01), (300.0, 310.0), (1e3, 1e2))
def radiative_exchange(t1, t2):
    return 5.67e-8 * (t1**4 - t2**4)


@case((1.0, 0.1), (1.0, 1e-4), (1e3, 1.0), (1.0, 3.0))
def catenary_sag(a, x):
    return a * jnp.cosh(x / a) - a


@case((0.1, 0.2), (1e-5, 1e-6), (0.9, 0.5), (1e-10, 1e-12))
def velocity_addition_gap(u, v):
    return (u + v) / (1.0 + u * v) - u


@case((1.0, 1e-4), (1.0, 0.3), (2.0, 1e-7))
def pendulum_potential(length, angle):
    return 9.81 * length * (1.0 - jnp.cos(angle))


@case((10.0, 0.1), (100.0, 1e-3), (3.0, 1.0))
def doppler_gap(f, beta):
    return f * jnp.sqrt((1.0 + beta / 2.0) / (1.0 - beta / 2.0)) - f
