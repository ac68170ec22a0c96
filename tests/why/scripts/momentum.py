import os

import jax
import jax.numpy as jnp
from data import X, y

RATE = float(os.environ.get("RATE", "0.02"))


@jax.jit
def update(w, v):
    value, slope = jax.value_and_grad(lambda w: jnp.mean((X @ w - y) ** 2))(w)
    v = 0.9 * v + slope
    return w - RATE * v, v, value


w = v = jnp.zeros(4)
for _ in range(40):
    w, v, value = update(w, v)
print(f"final {float(value):.6f}")
