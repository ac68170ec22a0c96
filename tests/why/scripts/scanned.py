import os

import jax
import jax.numpy as jnp
from data import X, y

RATE = float(os.environ.get("RATE", "0.1"))


def loss(w):
    return jnp.mean((X @ w - y) ** 2)


@jax.jit
def train(w):
    def step(w, _):
        value, slope = jax.value_and_grad(loss)(w)
        return w - RATE * slope, value

    return jax.lax.scan(step, w, length=60)


w, values = train(jnp.zeros(4))
print(f"final {float(values[-1]):.6f}")
