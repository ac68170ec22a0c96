"""stabilize of a derivative that JAX has taken already: its products are put together, and chosen from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

Z = jnp.array([150.0, 151.0, 148.5], "float32")
P = jnp.array([-2.0, 0.0, 3.0], "float32")


def scaled_softplus(x):
    return jnp.log(1 + jnp.exp(4 * x)) / 4


def mean_of_exponentials(z):
    return jnp.log(jnp.mean(jnp.exp(z)))


def two_bells(x):
    return jnp.log(0.5 * jnp.exp(-((x - 1) ** 2)) + 0.25 * jnp.exp(-((x + 2) ** 2)))


def root_where_positive(p):
    return jnp.sum(jnp.where(p > 0, jnp.sqrt(p), 0.0))


def entropy_where_positive(p):
    return jnp.sum(jnp.where(p > 0, p * jnp.log(p), 0.0))


def reciprocal_where_nonzero(p):
    return jnp.sum(jnp.where(p == 0, 0.0, 2 / p))


def softmax(z):
    return np.exp(z - z.max()) / np.exp(z - z.max()).sum()


@pytest.mark.parametrize(
    ("fun", "x", "slope"),
    [
        (scaled_softplus, jnp.float32(40.0), 1.0),
        (mean_of_exponentials, Z, softmax(np.asarray(Z, np.float64))),
        (two_bells, jnp.float32(30.0), -58.0),
        (root_where_positive, P, [0, 0, 0.5 / 3**0.5]),
        (entropy_where_positive, P, [0, 0, 1 + np.log(3)]),
        (reciprocal_where_nonzero, P, [-0.5, 0, -2 / 9]),
    ],
    ids=lambda f: getattr(f, "__name__", None),
)
def test_a_derivative_that_is_no_number(fun, x, slope):
    assert not np.all(np.isfinite(jax.grad(fun)(x)))
    np.testing.assert_allclose(qed.stabilize(jax.grad(fun))(x), slope, rtol=1e-6)


def test_a_product_with_a_choice_stays_where_nothing_bursts():
    """The derivative of a network of rectified units is full of such products, and loses nothing."""

    def derivative(x):
        return jnp.where(x > 0, x, 0.0) * (1 + x**2)

    assert str(jax.make_jaxpr(qed.stabilize(derivative))(P)) == str(jax.make_jaxpr(derivative)(P))


def weights_by_mask(s, mask):
    w = jnp.exp(s) * mask
    return w / jnp.sum(w, axis=-1, keepdims=True)


@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_attention_with_a_mask_in_the_data(dtype):
    """What is masked has a score far above the others: its exponential overflows, and its slope is 0."""
    s = jnp.array([[1.0, 2.0, 500.0], [300.0, -1.0, 299.0]], "float32")
    mask = jnp.array([[1, 1, 0], [1, 1, 1]], dtype)

    def loss(s, mask):
        return jnp.sum(weights_by_mask(s, mask.astype("float32")) ** 2)

    assert not np.isfinite(loss(s, mask))
    p = np.array([[1 / (1 + np.e), 1 / (1 + np.exp(-1)), 0], [1 / (1 + np.exp(-1)), 0, 1 / (1 + np.e)]])
    value, slope = jax.value_and_grad(qed.stabilize(loss))(s, mask)
    np.testing.assert_allclose(value, np.sum(p**2), rtol=1e-6)
    np.testing.assert_allclose(slope, 2 * p * (p - np.sum(p**2, -1, keepdims=True)), rtol=1e-5, atol=1e-12)
