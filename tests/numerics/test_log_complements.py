"""log(1 - p) of entries of a softmax: where p is near 1 it is the logarithm of the sum of the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics.rewriting.log_complements import log_beside_softmax

Z = np.array([[300.0, 1.0, 2.0], [-30.0, 2.0, 1.0], [0.3, 0.1, -0.2], [20.0, 20.5, 20.25]], np.float32)
LABELS = np.array([0, 0, 1, 2])


def by_hand(z):
    return jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True)


ROWS = {
    "library": lambda z, y: jax.vmap(lambda r, k: jnp.log(1 - jax.nn.softmax(r)[k]))(z, y),
    "library, log1p": lambda z, y: jax.vmap(lambda r, k: jnp.log1p(-jax.nn.softmax(r)[k]))(z, y),
    "hand, take": lambda z, y: jnp.log(1 - jnp.take_along_axis(by_hand(z), y[:, None], axis=1)[:, 0]),
    "hand, one-hot": lambda z, y: jnp.sum(jax.nn.one_hot(y, 3) * jnp.log(1 - by_hand(z)), -1),
    "hand, each by a number": lambda z, y: jnp.stack(
        [jnp.log(1 - jnp.exp(z[i, k]) / jnp.sum(jnp.exp(z[i]))) for i, k in enumerate(LABELS)]
    ),
}


def true_of(z, y):
    """The logarithm and its derivative of each row, in float64: sums of what has one sign."""
    values, slopes = [], []
    for row, label in zip(z.astype(np.float64), y, strict=True):
        e = np.exp(row - np.delete(row, label).max())
        others = np.sum(np.delete(e, label))
        p = e[label] / (others + e[label])
        slope = p * e / others
        slope[label] = -p
        values.append(-np.log1p(e[label] / others))
        slopes.append(slope)
    return np.array(values), np.array(slopes)


@pytest.mark.parametrize("name", ROWS)
def test_the_others_are_added_up(name):
    fun = qed.stabilize(ROWS[name])
    value, slope = true_of(Z, LABELS)
    np.testing.assert_allclose(fun(Z, LABELS), value, rtol=5e-7)
    np.testing.assert_allclose(jax.grad(lambda z: jnp.sum(fun(z, LABELS)))(Z), slope, rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize("u", [[-np.inf, 0.0, -np.inf], [3.0], [0.0, -np.inf, 0.0], [1.0, 1.0]])
def test_masked_entries_and_rows_of_one(u):
    u = jnp.asarray(u, jnp.float32)
    with np.errstate(divide="ignore"):
        exact = np.log1p(-np.asarray(jax.nn.softmax(u), np.float64))
    np.testing.assert_allclose(log_beside_softmax(u, (0,)), exact, rtol=2e-7)
    assert not np.any(np.isnan(jax.jacobian(lambda u: log_beside_softmax(u, (0,)))(u)))
