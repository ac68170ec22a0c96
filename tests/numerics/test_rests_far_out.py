"""Fractions of rests of Taylor series far out, where exp and powers overflow: as the program has them, and no NaN."""

import math

import jax
import jax.numpy as jnp
import pytest

import qed
from qed.numerics.rewriting.difference_fractions import fraction

# f, a point at which both parts overflow in float32, the value there, and the derivative
FAR = {
    "Bernoulli": (lambda x: x / (jnp.exp(x) - 1) - 1 + x / 2, 300.0, 149.0, 0.5),
    "Debye": (lambda x: (1 - x / (jnp.exp(x) - 1)) / x, 100.0, 0.01, -1e-4),
    "sinh": (lambda x: x / jnp.sinh(x) - 1, -200.0, -1.0, 0.0),
    "cosh": (lambda x: x * x / (jnp.cosh(x) - 1) - 2, 400.0, -2.0, 0.0),
    "sin": (lambda x: x**3 / (x - jnp.sin(x)) - 6, 1e8, 1e16, 1e8 * (2 + math.cos(1e8))),
}


@pytest.mark.parametrize("name", FAR)
def test_what_is_finite_far_out_stays_so(name):
    f, x, value, slope = FAR[name]
    stable = qed.stabilize(f)
    found = (stable(jnp.float32(x)), jax.grad(stable)(jnp.float32(x)))
    assert [float(each) for each in found] == pytest.approx([value, slope], rel=1e-6)


def test_the_derivative_of_a_fraction_keeps_its_digits():
    slope = jax.grad(fraction("exp", 2, 1))(jnp.float32(50.0))  # (1 - 50) e^-50, of 1 - v/(e^v - 1)
    assert float(-slope) == pytest.approx(-49 * 1.9287498479639178e-22, rel=1e-5)


def test_bfloat16_has_its_digits_counted():
    x = jnp.bfloat16(0.03125)
    found = qed.stabilize(lambda x: x - jnp.sin(x))(x)
    assert found.dtype == jnp.bfloat16
    assert float(found) == pytest.approx(0.03125**3 / 6, rel=1e-2)
