"""Gradients by `jax.grad` with factors over a difference of exponentials, and averages of sigmoids beside 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from tests.numerics.judging import exact


def censored(x):  # the probability that a lifetime ends in an interval
    return jnp.log(jnp.exp(-x[0] * x[1]) - jnp.exp(-x[0] * x[2]))


def between(x):
    low, high = jnp.exp(-0.125 * x[1] ** 2), jnp.exp(-0.125 * x[2] ** 2)
    return x[0] * jnp.log(2 * (low - high))


def weight_left(x):
    a, b = jnp.exp(-x[0] * x[1]), jnp.exp(-x[0] * x[2])
    return (3 * a - x[1] * b) / (a - b)


def both_by_hand(x):
    y = 1 / (1 + jnp.exp(-2 * x))
    return jnp.sum(jnp.log(y) + 3 * jnp.log(1 - y))


def pooled(x):
    p = jnp.mean(jax.nn.sigmoid(3 * x))
    return jnp.log(p) - 2 * jnp.log(1 - p)


LABELS = np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 0.0]], np.float32)


def shares(x):
    z = jnp.stack([x, -3 * x])
    return jnp.exp(z) / jnp.sum(jnp.exp(z), axis=1, keepdims=True)


def weighted_labels(x):
    return -jnp.mean(jnp.sum(LABELS * jnp.log(shares(x)), axis=1))


def masked_labels(x):
    mask = jnp.array([1.0, 0.5])
    picked = jnp.stack([jnp.log(shares(x))[0, 2], jnp.log(shares(x))[1, 0]])
    return -jnp.sum(picked * mask) / jnp.sum(mask)


FUNCTIONS = [censored, between, weight_left, both_by_hand, pooled, weighted_labels, masked_labels]
POINTS = [(0.5, 1.25, 2.0), (3.0, 40.0, 41.5), (7.0, 30.25, 30.5), (11.0, 55.0, 90.0)]


@pytest.mark.parametrize("fun", FUNCTIONS)
def test_gradients_taken_before(fun):
    slope = jax.jit(qed.stabilize(jax.grad(fun)))
    broken = 0
    for point in POINTS:
        x = jnp.asarray(point, jnp.float32)
        t = trace(jax.grad(fun), x)
        true = np.array([np.nan if b is None else float(b) for b in exact(t.graph, t.leaves)])
        known = ~np.isnan(true)
        assert known.any()
        size = np.max(np.abs(true[known]))
        plain = np.abs(np.asarray(jax.jit(jax.grad(fun))(x), np.float64) - true)[known]
        broken += not np.max(plain) <= 1e-5 * size
        error = np.abs(np.asarray(slope(x), np.float64) - true)[known]
        assert np.max(error) <= 5e-7 * size + 1e-37, (point, slope(x), true)
    assert broken


def each_label(x):
    p = jnp.exp(x) / jnp.sum(jnp.exp(x))
    return -jnp.sum(jnp.array([0.0, 0.0, 3.0]) * jnp.log(p))


def each_row(x):
    z = jnp.stack([x, -2 * x])
    p = jnp.exp(z) / jnp.sum(jnp.exp(z), axis=1, keepdims=True)
    return -jnp.mean(jnp.sum(jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]) * jnp.log(p), axis=1))


@pytest.mark.parametrize("fun", [each_label, each_row])
def test_each_component_of_a_gradient_with_labels(fun):
    x = np.array([3.0, 40.0, 88.5], np.float32)
    found = np.asarray(jax.jit(qed.stabilize(jax.grad(fun)))(x), np.float64)
    others = np.exp(x[:2].astype(np.float64) - x[2])
    p = others / (1 + others.sum())
    true = np.array([*p, -p.sum()])
    np.testing.assert_allclose(
        found / np.linalg.norm(found), np.sign(found[0]) * true / np.linalg.norm(true), rtol=3e-6
    )


def test_equal_ends_and_other_exponentials():
    share = qed.stabilize(lambda x: jnp.exp(-x[1]) / (jnp.exp(-x[0]) - jnp.exp(-x[1])))
    np.testing.assert_allclose(share(jnp.array([200.0, 202.0])), 1 / np.expm1(2.0), rtol=1e-6)
    assert np.isinf(share(jnp.array([3.0, 3.0])))
    other = qed.stabilize(lambda x: jnp.exp(-x[2]) / (jnp.exp(-x[0]) - jnp.exp(-x[1])))
    np.testing.assert_allclose(
        other(jnp.array([1.0, 2.0, 3.0])), np.exp(-3.0) / (np.exp(-1.0) - np.exp(-2.0)), rtol=1e-6
    )
