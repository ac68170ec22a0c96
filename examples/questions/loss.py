"""A small loss for the questions of the README: its derivative, its polynomial, and a rule of its own that is wrong."""

import jax
import jax.numpy as jnp

x = 3.0
w = jnp.array([0.5, -0.25])
X = jnp.array([[1.0, 2.0], [3.0, 1.0], [-2.0, 0.5], [0.0, -1.0]])
y = jnp.array([1.0, -1.0, 1.0, 1.0])


def f(x):
    return x**2 * jnp.exp(-x)


@jax.custom_jvp
def softplus(z):
    return jnp.log1p(jnp.exp(z))


@softplus.defjvp
def softplus_rule(primals, tangents):
    (z,), (dz,) = primals, tangents
    return softplus(z), dz * jax.nn.sigmoid(-z)  # wrong: the derivative is sigmoid(z)


def loss(w, X, y):
    return jnp.mean(softplus(-y * (X @ w)))
