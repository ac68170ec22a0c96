"""Logarithms of running sums beside their last term: partial likelihoods of Cox, losses of rankings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.domains.ball_boxes import BallBoxes
from qed.graph.trace import trace
from qed.numerics.rewriting.running_entries import running_less_last

SCORES = np.array([-30.0, 1.0, 50.0, 49.0, 100.0, -5.0, 100.5], np.float32)
SPELLINGS = {
    "by hand": lambda s: jnp.log(jnp.cumsum(jnp.exp(s))) - s,
    "library": lambda s: jax.lax.cumlogsumexp(s) - s,
    "shares": lambda s: -jnp.log(jnp.exp(s) / jnp.cumsum(jnp.exp(s))),
    "negative": lambda s: -(s - jnp.log(jnp.cumsum(jnp.exp(s)))),
}


def true_of(s):
    """The entries and the derivative of their sum, in float64: sums of what has one sign."""
    s, value, slope = s.astype(np.float64), [], np.zeros(len(s))
    for i in range(len(s)):
        before = np.exp(s[:i] - s[i])
        value.append(np.log1p(before.sum()))
        share = before / (1 + before.sum())
        slope[:i] += share
        slope[i] -= share.sum()
    return np.array(value), slope


@pytest.mark.parametrize("name", ["by hand", "library", "shares", "negative"])
def test_entries_keep_their_digits(name):
    fun = qed.stabilize(SPELLINGS[name])
    value, slope = true_of(SCORES)
    np.testing.assert_allclose(jax.jit(fun)(SCORES), value, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(jax.grad(lambda s: jnp.sum(fun(s)))(SCORES), slope, rtol=2e-6)


def test_sums_from_the_end():
    def loss(s):
        return jnp.sum(jnp.log(jnp.cumsum(jnp.exp(s)[::-1])[::-1]) - s)

    value, slope = true_of(SCORES)
    found, gradient = jax.value_and_grad(qed.stabilize(loss))(jnp.asarray(SCORES[::-1].copy()))
    np.testing.assert_allclose(found, value.sum(), rtol=1e-6)
    np.testing.assert_allclose(gradient, slope[::-1], rtol=2e-6)


def test_masked_and_empty_entries_and_axes():
    masked = running_less_last(jnp.array([-jnp.inf, 0.0, 0.0]), 0, False)
    np.testing.assert_allclose(masked[1:], [0.0, np.log(2)], rtol=1e-6)
    slope = jax.grad(lambda u: jnp.sum(running_less_last(u, 0, False)[1:]))(jnp.array([-jnp.inf, 0.0, 0.0]))
    np.testing.assert_allclose(slope, [0.0, 0.5, -0.5], rtol=1e-6)
    assert running_less_last(jnp.zeros((0, 2)), 0, False).shape == (0, 2)
    rows = jnp.asarray(np.stack([SCORES, SCORES[::-1]]))
    for reverse in (False, True):
        found = running_less_last(rows, 1, reverse)
        each = [running_less_last(row[:, None], 0, reverse)[:, 0] for row in rows]
        np.testing.assert_array_equal(found, jnp.stack(each))


def test_balls_know_arrays_of_no_element():
    """The derivative of JAX's running sum is made of slices, some of them empty."""
    fun = qed.stabilize(lambda s: jnp.sum(jax.lax.cumlogsumexp(s) - s))
    assert np.all(np.isfinite(jax.grad(fun)(jnp.array([1.0, 2.0, 60.0, 3.0]))))
    at = np.array([1.0, 2.0, 3.0])
    low, high = BallBoxes(trace(jax.grad(lambda s: jnp.sum(jax.lax.cumlogsumexp(s))), at)).values(at, at)
    shares = [np.exp(at[: k + 1]) / np.sum(np.exp(at[: k + 1])) for k in range(3)]
    truth = [sum(share[j] for share in shares if j < len(share)) for j in range(3)]
    for j in range(3):
        assert float(low[j]) - 1e-9 <= truth[j] <= float(high[j]) + 1e-9 and float(high[j]) - float(low[j]) < 1e-9
