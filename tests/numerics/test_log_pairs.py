"""Weighted sums of log(1 + u) and log(1 - u), whose first order terms cancel where the weights hardly differ."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting.session import rewrite

CASES = {
    "a stake": lambda p, b: p * jnp.log(1 + b) + (1 - p) * jnp.log(1 - b),
    "with a fee": lambda p, b: (p * jnp.log(1 + b) + (1 - p) * jnp.log1p(-b)) - 3 * b,
    "twice the stake": lambda p, b: -jnp.log(1 + 2 * b) * p - (1 - p) * jnp.log(1 - 2 * b),
    "about one": lambda p, b: (0.5 + p) * jnp.log(1 + b) + (1.5 - p) * jnp.log(1 - b),
}
TRUE = {
    "a stake": lambda p, b: p * np.log1p(b) + (1 - p) * np.log1p(-b),
    "with a fee": lambda p, b: p * np.log1p(b) + (1 - p) * np.log1p(-b) - 3 * b,
    "twice the stake": lambda p, b: -(p * np.log1p(2 * b) + (1 - p) * np.log1p(-2 * b)),
    "about one": lambda p, b: (0.5 + p) * np.log1p(b) + (1.5 - p) * np.log1p(-b),
}
POINTS = [(0.5, 1e-4), (0.5002, 3e-4), (0.51, -0.02), (0.6, 0.3), (0.9, 0.45), (0.2, 1e-6)]


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_of_the_first_order(name):
    fun = qed.stabilize(CASES[name])
    p, b = np.float32(POINTS).T
    slope = {"a stake": 1, "with a fee": 1, "twice the stake": -2, "about one": 1}[name]
    u = (2 if name == "twice the stake" else 1) * np.float64(b)
    d, s = (2 * np.float64(p) - 1, 2) if name == "about one" else (2 * np.float64(p) - 1, 1)
    in_b = slope * (d - s * u) / (1 - u * u) - (3 if name == "with a fee" else 0)
    value, grad = jax.jit(jax.vmap(jax.value_and_grad(fun, (0, 1))))(p, b)
    np.testing.assert_allclose(value, TRUE[name](np.float64(p), np.float64(b)), rtol=1e-6)
    np.testing.assert_allclose(grad[0], np.sign(slope) * (np.log1p(u) - np.log1p(-u)), rtol=1e-6)
    np.testing.assert_allclose(grad[1], in_b, rtol=1e-6, atol=1e-10)


def test_it_is_proved_and_far_from_0_it_is_as_written():
    fun = qed.stabilize(CASES["a stake"])
    p, b = jnp.float32(0.75), jnp.float32(0.99)
    assert fun.rewrites(p, b).standing == "PROVED"
    np.testing.assert_allclose(fun(p, b), 0.75 * np.log1p(np.float64(b)) + 0.25 * np.log1p(-np.float64(b)), rtol=3e-6)
    assert np.isnan(fun(p, jnp.float32(1.5)))


@pytest.mark.parametrize(
    "fun",
    [
        lambda p, b: p * jnp.log1p(b) + p * p * jnp.log1p(-2 * b),
        lambda p, b: jnp.sin(p) * jnp.log1p(b) + jnp.cos(p) * jnp.log1p(-b),
    ],
)
def test_other_arguments_and_other_weights_stay(fun):
    assert not rewrite(trace(fun, jnp.float32(0.5), jnp.float32(0.25)).graph).changes
