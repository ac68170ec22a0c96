"""What a rewriting multiplies out leaves the range of the format; the sum as written, and its gradient, does not."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics.rewriting.difference_range import in_range


def forces(x):
    """The energy of four particles on a line, and of one pair far from all others."""
    gaps = x[:, None] - x[None, :]
    square = jnp.where(jnp.eye(4, dtype=bool), 1.0, gaps * gaps)
    return jnp.sum(jnp.where(jnp.eye(4, dtype=bool), 0.0, 1 / square**3 - 1 / square))


CASES = {
    "two powers": (lambda r: 1 / r**7 - 1 / r**3, [(1e7,), (-3e9,), (1.00001,), (2e-5,)]),
    "a well": (lambda r, s: (s / r) ** 8 - (s / r) ** 4, [(1.3, 8e-4), (8e6, 1.3), (1.0001, 1.0)]),
    "inverse squares": (lambda a, b: 3 / a**2 - 3 / b**2, [(2.0, 7e24), (5e16, 4e16), (3.0, 3.00001)]),
    "inverse cubes": (lambda a, b: 1 / b**3 - 1 / a**3, [(1.5, 2e-9), (3.0, 3.00001)]),
    "a ratio and its reciprocal": (lambda a, b: a / b - b / a, [(7e-29, 4e-29), (-5e25, 0.9), (6.0, 6.00001)]),
    "a geometric step": (lambda a, b: b - a * a / b, [(1.3, -2e24), (3e-19, 2e-19), (6.0, 6.00001)]),
    "two shares": (lambda a, b, c: a / (a - b) - c / (c - b), [(3e-23, 2e-23, 7e-23), (2e26, 2e15, -5e15)]),
    "a cube of a ratio": (lambda a, b: (a / b) ** 3 - 1, [(1.6e26, 1.1e26), (2e-26, 1e-26), (6.0, 6.00001)]),
    "a rest over a rest": (lambda x: 2 * x / jnp.tanh(2 * x) - 1, [(9e12,), (-4e11,), (30.0,), (1e-3,)]),
    "another rest": (lambda x: x / jnp.arctan(x) - 1, [(3e14,), (-7.0,), (1e-3,)]),
    "a product over squares": (lambda a, b: a * b / (a * a + b * b), [(2e10, 8e-7), (1.5, 1.50001), (1.0, 2.0)]),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_keep_the_digits_that_the_program_has_far_out(name: str) -> None:
    fun, points = CASES[name]
    rows = np.array(points, np.float32)
    moving = tuple(range(rows.shape[1]))
    both = jax.vmap(jax.value_and_grad(qed.stabilize(fun), moving))
    with jax.enable_x64(True):
        true = jax.jit(jax.vmap(jax.value_and_grad(fun, moving)))(*rows.T.astype(np.float64))
    for found in (jax.jit(both)(*rows.T), both(*rows.T)):
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(true), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=3e-6, atol=2e-38)


def test_forces_of_particles_far_apart_are_those_of_the_program() -> None:
    slope = jax.jit(jax.vmap(jax.grad(qed.stabilize(forces))))
    rows = np.float32([0, 1, -1, 2]) * np.float32([1.1, 1e5, 1e7, 1e9])[:, None]
    with jax.enable_x64(True):
        true = jax.vmap(jax.grad(forces))(rows.astype(np.float64))
    np.testing.assert_allclose(slope(rows), true, rtol=3e-6)


def test_second_derivatives_are_numbers_where_the_fraction_is_none() -> None:
    fun = lambda a, b: a / b - b / a  # noqa: E731
    point = np.float32(-5e25), np.float32(0.9)
    found, plain = (jax.hessian(each, (0, 1))(*point) for each in (qed.stabilize(fun), fun))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_fraction_is_taken_where_terms_cancel_and_its_products_are_numbers() -> None:
    a, b = np.float32([2.0, 2.0, 2e20, 2e-18]), np.float32([2.1, 9.0, 2.1e20, 2.1e-18])
    with np.errstate(all="ignore"):
        found = in_range(a * a - b * b, a / b, -b / a, a, b, powers=(1, 1))
    assert found.tolist() == [True, False, False, False]


def test_the_limit_stays_where_the_terms_are_no_numbers() -> None:
    fun = qed.stabilize(lambda x: 1 / jnp.tanh(x) - 1 / x)
    value, slope = jax.value_and_grad(fun)(jnp.float32(0.0))
    assert (float(value), float(slope)) == (0.0, pytest.approx(1 / 3))


def test_a_fraction_in_range_is_proved() -> None:
    answer = qed.stabilize(lambda a, b: a / b - b / a).rewrites(jnp.float32(6.0), jnp.float32(6.00001))
    assert answer.proved
    assert answer.certificate.verify()


THREE = [lambda x: 1 / (x - 1) - 2 / x + 1 / (x + 1), lambda x: 3 / (x + 2) - 1 / x - 2 / (x + 1)]


@pytest.mark.parametrize("fun", THREE, ids=["second difference", "balanced"])
def test_three_fractions_beyond_their_common_denominator(fun) -> None:
    value = jax.jit(qed.stabilize(fun))
    assert value(jnp.float32(3e19)) == value(jnp.float32(1e25)) == 0
    x = 1e5
    np.testing.assert_allclose(value(jnp.float32(x)), float(fun(Fraction(x))), rtol=1e-6)
