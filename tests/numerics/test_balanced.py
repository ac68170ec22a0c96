"""Derivatives whose factors leave the range one by one: quotients of sums of exponentials, of lengths, of rests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from tests.numerics.judging import exact, lost

SIGNED = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]], np.float32)


def attention_of_two_queries(s):
    e = jnp.exp(s)
    return jnp.sum(SIGNED * (e / jnp.sum(e, axis=1, keepdims=True)))


def mean_under_weights(x):
    w = jnp.exp(x[0])
    return jnp.sum(w * x[1]) / jnp.sum(w)


def potential(c):
    return -0.5 * jnp.log(jnp.sum(jnp.exp(-2 * c) * jnp.array([0.25, 0.5, 0.25])))


def over_some(z):
    return jnp.log(jnp.sum(jnp.array([1.0, 1.0, 0.0]) * jnp.exp(z)) / 2)


def share_of_one_and_others(x):
    e = jnp.exp(x[0])
    return jnp.sum(e / (1 + jnp.sum(e)) * x[1])


def log_of_one_of_two(x):
    return jnp.log(jnp.exp(-2 * x) / (jnp.exp(-2 * x) + 1))


def beside_the_first(z):
    return jnp.log(jnp.sum(jnp.exp(z - z[0])))


def masked_likelihood(x):
    z = jnp.where(jnp.array([True, False, True]), x, -jnp.inf)
    return -2 * jnp.log(jnp.exp(z[2]) / jnp.sum(jnp.exp(z)))


def impurity(z):
    p = jax.nn.softmax(z, axis=0)
    return jnp.sum(p * (1 - p))


def two_heads(x):
    w = jax.nn.softmax(x[0] / 2, axis=-1)
    return jnp.sum(w * x[1])


def undecided(z):
    p = jax.nn.softmax(3 * z)
    return -jnp.sum(p * jnp.log(p))


def chosen_level(x):
    p = jnp.exp(5 * x) / jnp.sum(jnp.exp(5 * x))
    return jnp.dot(p, jnp.array([3.0, 1.0, 2.0])) + jnp.sum(p * jnp.array([1.0, -1.0, 0.5]))


def odd_root(x):
    return jnp.where(x > 0, jnp.sqrt(x), -jnp.sqrt(-x))


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (attention_of_two_queries, [[120.0, 118.0, -3.0], [0.0, -100.0, 90.0]]),
        (attention_of_two_queries, [[-120.0, -118.0, -130.0], [0.5, 1.0, 2.0]]),
        (mean_under_weights, [[95.0, 94.0, 60.0], [1.0, 2.0, -3.0]]),
        (mean_under_weights, [[25.0, 0.0, 1.0], [2.0, 1.0, 3.0]]),
        (potential, [50.0, 51.0, 49.0]),
        (potential, [-60.0, -20.0, -59.0]),
        (over_some, [1.0, 2.0, 100.0]),
        (over_some, [-120.0, -121.0, 0.0]),
        (share_of_one_and_others, [[95.0, 94.0], [1.0, -2.0]]),
        (share_of_one_and_others, [[40.0, -90.0, 2.0], [1.5, -2.0, 3.0]]),
        (beside_the_first, [20.0, 0.0, 1.0]),
        (beside_the_first, [-3.0, 0.0, 1.0]),
        (masked_likelihood, [0.0, 80.0, 30.0]),
        (log_of_one_of_two, -15.0),
        (log_of_one_of_two, 60.0),
        (chosen_level, [12.0, 1.0, 2.0]),
        (impurity, [30.0, 0.0, 1.0]),
        (impurity, [[0.5, 20.0], [0.25, -20.0], [0.75, 1.0]]),
        (two_heads, [[[60.0, 0.0], [-1.0, 2.0]], [[1.0, 2.0], [3.0, -4.0]]]),
        (undecided, [8.0, 0.0, 1.0]),
        (chosen_level, [0.1, 0.2, 0.4]),
        (odd_root, 9.0),
        (odd_root, -9.0),
    ],
)
def test_a_gradient_taken_by_jax_keeps_its_digits(f, x):
    """Every number of stabilize(grad f)."""
    x = jnp.asarray(x, jnp.float32)
    read = trace(jax.grad(f), x)
    bits = lost(jax.jit(qed.stabilize(jax.grad(f)))(x), exact(read.graph, read.leaves), np.float32)
    if f is odd_root:  # balls have no root of what is not chosen
        np.testing.assert_allclose(qed.stabilize(jax.grad(f))(x), 1 / 6, rtol=1e-7)
    assert max(bits) <= 3


def over_their_size(x):
    return jnp.sum(jnp.array([2.0, 1.0, -1.0]) * x / jnp.sqrt(jnp.mean(x * x)))


def beside_their_double(x):
    return 1 / jnp.tanh(x) - 1 / jnp.tanh(2 * x)  # 1 / sinh(2 x)


def test_the_square_of_what_divides_is_not_formed():
    """Neither in reverse nor forward."""
    s, unit = qed.stabilize(over_their_size), jnp.array([1.0, 3.0, -1.0])
    reverse, forward = jax.jit(jax.grad(s)), jax.jit(jax.jacfwd(lambda x: jnp.stack([s(x), x[0]])))
    expected = np.asarray(jax.grad(over_their_size)(unit), np.float64)
    for scale in (1e-25, 1.0, 1e25):
        x = np.float32(scale) * np.array([1, 3, -1], np.float32)
        for slope in (reverse(x), forward(x)[0]):
            np.testing.assert_allclose(np.asarray(slope, np.float64) * np.float32(scale), expected, rtol=2e-6)


def test_beyond_a_series_the_derivative_is_rewritten():
    gradient = jax.jit(jax.grad(qed.stabilize(beside_their_double)))
    for x in (0.01, 3.0, 15.0, 30.0):
        slope = gradient(jnp.float32(x))
        two = 2 * np.float64(np.float32(x))
        np.testing.assert_allclose(slope, -2 * np.cosh(two) / np.sinh(two) ** 2, rtol=1e-6)


def entropy_of_policies(z):
    p = jax.nn.softmax(z, axis=-1)
    return -jnp.mean(jnp.sum(p * jnp.log(p), axis=-1))


def entropy_by_hand(z):
    e = jnp.exp(z)
    p = e / jnp.sum(e, axis=-1, keepdims=True)
    return -jnp.sum(p * jnp.log(p))


@pytest.mark.parametrize("f", [entropy_of_policies, entropy_by_hand])
def test_the_gradient_of_the_entropy_of_a_policy_that_has_decided(f):
    z = jnp.asarray([[25.0, 0.0, 1.0], [-60.0, 35.0, 0.0], [0.25, -0.5, 1.0]], jnp.float32)
    read = trace(jax.grad(f), z)
    bits = lost(jax.jit(jax.grad(qed.stabilize(f)))(z), exact(read.graph, read.leaves), np.float32)
    assert max(bits) <= 3


def anomaly(x):
    return x[1] - x[0] * jnp.sin(x[1])


def what_is_left(x):
    return 1 - x[0] * jnp.exp(-x[1])


@pytest.mark.parametrize("x", [[1.0, 1e-3], [0.9999, 1e-2], [0.5, 2.0], [3.0, 40.0]])
def test_what_cancels_at_one_place_of_a_gradient(x):
    """1 - e cos x, put among zeros; and 1 - w exp(-t) for w and exp(-t) near 1."""
    x = jnp.asarray(x, jnp.float32)
    for f in (jax.grad(anomaly), what_is_left):
        read = trace(f, x)
        bits = lost(jax.jit(qed.stabilize(f))(x), exact(read.graph, read.leaves), np.float32)
        assert max(bits) <= 3


def nll_of_rows(z):
    e = jnp.exp(z)
    return -jnp.sum(jnp.eye(3) * jnp.log(e / jnp.sum(e, axis=1, keepdims=True))) / 3


def nll_of_classes(z):
    e = jnp.exp(z)
    return -jnp.sum(jnp.array([[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 2.0]]) * jnp.log(e / e.sum(1)[:, None]))


@pytest.mark.parametrize("f", [nll_of_rows, nll_of_classes], ids=["nll_of_rows", "nll_of_classes"])
def test_labels_that_are_rows_of_constants_in_a_gradient(f):
    """w p - y: where a label's share is near 1, it is the sum of the others."""
    z = jnp.asarray([[40.0, 1.0, 0.0], [-2.0, 50.0, 49.5], [1.0, -300.0, 60.0]], jnp.float32)
    g = qed.stabilize(jax.grad(f))
    read = trace(jax.grad(f), z)
    bits = lost(jax.jit(g)(z), exact(read.graph, read.leaves), np.float32)
    assert max(bits) <= 3
