"""The same data fitted by a line and by one hidden unit: the first loss is convex, the second is not."""

import jax.numpy as jnp

import qed

X = jnp.array([[1.0, 2.0], [3.0, 1.0], [-2.0, 0.5], [0.0, -1.0]])
y = jnp.array([1.0, -1.0, 1.0, 1.0])
everywhere = qed.Box(jnp.full(2, -jnp.inf), jnp.full(2, jnp.inf))
near = qed.Box(jnp.full(3, -2.0), jnp.full(3, 2.0))


def line(w, X, y):
    return jnp.mean((X @ w - y) ** 2)


def unit(w, X, y):
    return jnp.mean((w[2] * jnp.tanh(X @ w[:2]) - y) ** 2)


def short(w, X, y):
    return 0.1 - w @ w


start = jnp.zeros(2)
