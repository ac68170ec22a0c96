import os

import jax
import jax.numpy as jnp
from data import X, y

KEEP = float(os.environ.get("KEEP", "0.9"))
X, y = X.astype(jnp.bfloat16), y.astype(jnp.bfloat16)


def loss(w, key):
    mask = jax.random.bernoulli(key, 0.9, X.shape)
    return jnp.mean((jnp.where(mask, X / KEEP, 0) @ w - y) ** 2)


gradient = jax.jit(jax.value_and_grad(loss))
w, key = jnp.zeros(4, jnp.bfloat16), jax.random.key(3)
for _ in range(40):
    key, sub = jax.random.split(key)
    value, slope = gradient(w, sub)
    w = (w - 0.1 * slope).astype(w.dtype)
print(f"final {float(value):.6f}")
