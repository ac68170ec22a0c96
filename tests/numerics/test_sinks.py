"""Gradients by JAX with a 0 that a choice makes, times several slopes of which one is infinite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


def _logarithmic_gas(x):
    """Charges on a line repel by the logarithm of their distance; the diagonal is masked."""
    d = jnp.sqrt((x[:, None] - x[None, :]) ** 2)
    return -jnp.sum(jnp.where(jnp.eye(4, dtype=bool), 0.0, jnp.log(d)))


def _gas_slope(x):
    d = x[:, None] - x[None, :] + np.eye(4)
    return -2 * np.sum((1 - np.eye(4)) / d, axis=1)


def _jet(x):
    """sin(r)/r of a length, by a choice at the origin."""
    r = jnp.sqrt(x[0] ** 2 + x[1] ** 2)
    return jnp.where(r == 0, 1.0, jnp.sin(r) / r) + x[0]


def _several(x):
    """Sums of what is chosen by one condition, before the slope of the length."""
    r = jnp.sqrt(jnp.sum(x * x))
    on = r > 0
    return jnp.sum(x) + jnp.where(on, r * jnp.log(r), 0.0) - 2 * jnp.where(on, (1 - jnp.cos(r)) / r, 0.0)


def _masked_shares(z):
    """Entropy of the shares of unmasked scores, row by row."""
    mask = jnp.asarray([[True, True, False], [True, True, True]])
    e = jnp.where(mask, jnp.exp(z), 0.0)
    p = e / e.sum(axis=1, keepdims=True)
    return -jnp.sum(jnp.where(mask, p * jnp.log(p), 0.0))


def _masked_shares_slope(z):
    z = np.asarray(z, np.float64)
    mask = np.asarray([[True, True, False], [True, True, True]])
    e = np.where(mask, np.exp(z), 0)
    p = e / e.sum(axis=1, keepdims=True)
    log = np.where(mask, np.log(np.where(mask, p, 1)), 0)
    return p * (np.sum(p * log, axis=1, keepdims=True) - log)


ROWS = [[0.5, 1.0, 7.0], [1.0, -0.3, 0.2]]
KNOWN = {
    "gas": (_logarithmic_gas, [0.0, 1.0, 2.5, -3.0], _gas_slope(np.asarray([0.0, 1.0, 2.5, -3.0]))),
    "jet": (_jet, [0.0, 0.0], [1.0, 0.0]),
    "several": (_several, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
    "masked shares": (_masked_shares, ROWS, _masked_shares_slope(ROWS)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_not_chosen_stays_out_of_the_gradient(name):
    fun, x, slope = KNOWN[name]
    x = jnp.asarray(x, jnp.float32)
    assert np.any(np.isnan(jax.grad(fun)(x)))
    stable = qed.stabilize(jax.grad(fun))
    np.testing.assert_allclose(jax.jit(stable)(x), slope, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("fun", [_jet, _several], ids=lambda fun: fun.__name__)
def test_the_same_elsewhere(fun):
    x = jnp.asarray([0.7, -1.2], jnp.float32)
    np.testing.assert_allclose(qed.stabilize(jax.grad(fun))(x), jax.grad(fun)(x), rtol=3e-6)


def _of_two_conditions(x):
    a, b = jnp.where(x[0] > 0, x[0] * x[1], 0.0), jnp.where(x[1] > 0, x[1] + x[0], 0.0)
    return (3 * a - b) / x[2] + (a + b) * jnp.log(x[2])


def _of_one_condition(x):
    on = x[0] > 0
    a, b = jnp.where(on, x[0] * x[1], 0.0), jnp.where(on, 0.0, x[1] + x[0])
    return (3 * a - b) / x[2] + -(a + b) * jnp.log(x[2])


def _spread(x):
    a = jnp.where(x[:2] > 0, x[:2], 0.0)[:, None] * jnp.ones((1, 3))
    return jnp.sum(-a.T * x[2] / jnp.sqrt(jnp.stack([x[:2] ** 2] * 3)))


@pytest.mark.parametrize("fun", [_of_two_conditions, _of_one_condition, _spread], ids=lambda fun: fun.__name__)
def test_every_case_of_every_choice(fun):
    stable = jax.jit(qed.stabilize(fun))
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        x = jnp.asarray([0.7 * signs[0], 1.3 * signs[1], 2.5], jnp.float32)
        np.testing.assert_allclose(stable(x), fun(x), rtol=2e-6)
        np.testing.assert_allclose(jax.grad(stable)(x), jax.grad(fun)(x), rtol=4e-6, atol=1e-6)


def test_what_is_chosen_stays_infinite():
    def fun(x):
        return -(jnp.where(x[0] > 0, x[1], 0.0) * 2.0) / x[2]

    stable = qed.stabilize(fun)
    assert np.isneginf(stable(jnp.asarray([1.0, 1.0, 0.0])))
    assert stable(jnp.asarray([-1.0, 1.0, 0.0])) == 0
