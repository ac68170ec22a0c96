"""Gradients by `jax.grad` in which 1/p meets p (1 - p): one factor overflows where the other vanishes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

X = np.array([-300.0, -89.0, -20.0, -0.3, 1e-3, 2.0, 18.0, 95.0, 400.0])


def sigmoid(x):
    return np.where(x < 0, np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))), 1 / (1 + np.exp(-np.abs(x))))


def by_hand(x):
    return 1 / (1 + jnp.exp(-x))


Y = np.array([0.0, 1.0, 0.25, 1.0, 0.0, 0.75, 0.0, 1.0, 0.0])
LOG_COSH = np.abs(X) + np.log1p(np.exp(-2 * np.abs(X))) - np.log(2)
CASES = {
    "both outcomes": (
        lambda x: jnp.sum(jnp.log(jax.nn.sigmoid(x)) + jnp.log(1 - jax.nn.sigmoid(x))),
        -np.tanh(X / 2),
    ),
    "failures before a success": (
        lambda x: jnp.sum(6 * jnp.log(1 - jax.nn.sigmoid(x)) + jnp.log(jax.nn.sigmoid(x))),
        sigmoid(-X) - 6 * sigmoid(X),
    ),
    "soft labels": (
        lambda x: -jnp.sum(Y.astype(x.dtype) * jnp.log(by_hand(x)) + (1 - Y.astype(x.dtype)) * jnp.log(1 - by_hand(x))),
        (1 - Y) * sigmoid(X) - Y * sigmoid(-X),
    ),
    "of a multiple": (
        lambda x: jnp.sum(jnp.log(jax.nn.sigmoid(4 * x)) + jnp.log(1 - jax.nn.sigmoid(4 * x))),
        -4 * np.tanh(2 * X),
    ),
    "squashed": (lambda x: jnp.sum(jnp.log(1 - jnp.tanh(x) ** 2)), -2 * np.tanh(X)),
    "squashed, in factors": (
        lambda x: jnp.sum(jnp.log(1 - jnp.tanh(x)) + jnp.log(1 + jnp.tanh(x))),
        -2 * np.tanh(X),
    ),
    "squashed, weighed": (
        lambda x: jnp.sum(x * jnp.log(1 - jnp.square(jnp.tanh(x)))),
        -2 * LOG_COSH - 2 * X * np.tanh(X),
    ),
    "inverse": (lambda x: jnp.sum(jnp.arctanh(jnp.tanh(x))), np.ones(9)),
    "square of a logit": (lambda x: jnp.sum(jnp.log(jax.nn.sigmoid(x) / (1 - jax.nn.sigmoid(x))) ** 2), 2 * X),
}


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_beyond_the_range_of_the_exponential(name):
    fun, slope = CASES[name]
    grad = qed.stabilize(jax.grad(fun))
    np.testing.assert_allclose(jax.jit(grad)(X.astype(np.float32)), slope, rtol=1e-6, atol=1e-37)
    if name in ("failures before a success", "inverse"):
        assert grad.rewrites(jnp.float32(0.3)).standing == "PROVED"


def test_two_dimensions_and_two_arguments():
    def loss(x, t):
        p = jax.nn.sigmoid((x - t[:, None]) * 2)
        return jnp.sum(jnp.log(p) + 3 * jnp.log(1 - p))

    x, t = jnp.float32([[100.0, -60.0], [0.5, -1.0]]), jnp.float32([1.0, -2.0])
    u = np.asarray(2 * (x - t[:, None]), np.float64)
    slope = 2 * (sigmoid(-u) - 3 * sigmoid(u))
    found = qed.stabilize(jax.grad(loss, argnums=(0, 1)))(x, t)
    np.testing.assert_allclose(found[0], slope, rtol=1e-6)
    np.testing.assert_allclose(found[1], -slope.sum(1), rtol=1e-6)


def test_its_own_derivative_keeps_its_digits():
    def loss(x):
        return jnp.log(jax.nn.sigmoid(x)) + jnp.log(1 - jax.nn.sigmoid(x))

    second = jax.vmap(jax.grad(qed.stabilize(jax.grad(loss))))(X.astype(np.float32))
    np.testing.assert_allclose(second, -2 * sigmoid(X) * sigmoid(-X), rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.exp(-jnp.abs(x)) * jax.nn.sigmoid(x),
        lambda x: jnp.exp(x) * jnp.tanh(x),
        lambda x: (jax.nn.sigmoid(x) + jax.nn.sigmoid(-x / 2)) * jax.nn.sigmoid(x),
        lambda x: (jnp.exp(x) + 1) * x,
    ],
)
def test_what_cannot_overflow_alone_is_left_as_it_is(fun):
    found = qed.stabilize(fun)
    assert str(jax.make_jaxpr(found)(0.5)) == str(jax.make_jaxpr(fun)(0.5))
