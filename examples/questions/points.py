"""A network of one hidden unit at zero weights: the gradient vanishes, and the point is no minimum."""

import jax.numpy as jnp

X = jnp.array([[1.0, 2.0], [3.0, 1.0], [-2.0, 0.5], [0.0, -1.0]])
y = jnp.array([1.0, -1.0, 1.0, 1.0])
start = {"into": jnp.zeros(2), "out": jnp.zeros(1)}
origin = jnp.float32(0.0)


def unit(w, X, y):
    return jnp.mean((w["out"] * jnp.tanh(X @ w["into"]) - y) ** 2)


def well(x):
    return x**4 - x**5
