"""log of a product of factors near 1, or of numbers times exponentials."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

R = np.array([1e-9, -2e-9, 3e-5, 1e-12], np.float32)


def odds(a, b):
    i = jnp.arange(40, dtype=jnp.float32)
    return jnp.log(jnp.prod((a + i) / (a + b + i)))


def true_odds(a, b):
    found = Fraction(1)
    for i in range(40):
        found *= Fraction(a + i) / Fraction(a + b + i)
    return float(np.log1p(float(found - 1))) if found > Fraction(1, 2) else float(np.log(float(found)))


def test_growth_keeps_small_rates():
    fun = jax.jit(qed.stabilize(lambda r: jnp.log(jnp.prod(1 + r))))
    exact = np.sum(np.log1p(R.astype(np.float64)))
    np.testing.assert_allclose(fun(R), exact, rtol=2e-7)
    np.testing.assert_allclose(jax.grad(fun)(R), 1 / (1 + R.astype(np.float64)), rtol=2e-7)
    beside = np.array([3.0, -0.9, 1e30, 1e-9], np.float32)
    np.testing.assert_allclose(fun(beside), np.sum(np.log1p(beside.astype(np.float64))), rtol=2e-7)
    assert np.isnan(fun(np.array([-3.0, 1e-9, 0.0, 0.5], np.float32)))  # a negative product has no logarithm
    two_negative = np.array([-3.0, 1e-9, -1.5, 0.0], np.float32)
    np.testing.assert_allclose(fun(two_negative), np.log(2 * 0.5 * (1 + 1e-9)), atol=1e-7)


def test_quotients_near_one():
    fun = jax.jit(qed.stabilize(odds))
    for a, b in ((10000.0, 1.0), (2.0, 3.0)):
        np.testing.assert_allclose(fun(jnp.float32(a), jnp.float32(b)), true_odds(a, b), rtol=5e-7)


def test_numbers_of_any_sign_times_exponentials():
    fun = jax.jit(qed.stabilize(lambda x: jnp.log(jnp.prod(x * jnp.exp(-x)))))
    for x in ([1.0, 2.0, 300.0], [-1.0, 2.0, -300.0]):
        x = np.array(x, np.float32)
        np.testing.assert_allclose(fun(x), np.sum(np.log(np.abs(x)) - x), rtol=3e-7)
        np.testing.assert_allclose(jax.grad(fun)(x), 1 / x - 1, rtol=5e-7, atol=1e-7)
    assert np.isnan(fun(np.array([-1.0, 2.0, 300.0], np.float32)))


@pytest.mark.parametrize(
    ("fun", "shape"),
    [
        (lambda x: jnp.log(jnp.prod(x)), (0,)),
        (lambda x: jnp.log(jnp.prod(1 + x, axis=0)), (3, 0)),
        (lambda x: jnp.prod(1 + x, axis=0) - 1, (3, 0)),
        (lambda x: jnp.sqrt(jnp.sum(x * x, axis=0)), (0, 2)),
        (lambda x: jnp.log(jnp.sqrt(jnp.sum(x * x, axis=0))), (3, 0)),
    ],
    ids=["product", "products", "less one", "length", "lengths"],
)
def test_nothing_has_a_product_and_a_length(fun, shape):
    x = jnp.zeros(shape)
    stable = qed.stabilize(fun)
    np.testing.assert_array_equal(stable(x), fun(x))
    assert jax.grad(lambda x: jnp.sum(stable(x)))(x).shape == shape
