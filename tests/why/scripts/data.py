"""The data that the small training scripts beside it share."""

import jax
import jax.numpy as jnp

X = jax.random.normal(jax.random.key(0), (32, 4))
y = jnp.tanh(X[:, 0]) + 0.1 * X[:, 1]
