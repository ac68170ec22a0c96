import os

import jax
import jax.numpy as jnp
import optax
from data import X, y

RATE = float(os.environ.get("RATE", "0.1"))
optimizer = optax.MultiSteps(optax.sgd(RATE), every_k_schedule=2)


def loss(w, x, y):
    return jnp.mean((x @ w - y) ** 2)


@jax.jit
def train_step(w, state, x, y):
    value, slope = jax.value_and_grad(loss)(w, x, y)
    updates, state = optimizer.update(slope, state, w)
    return optax.apply_updates(w, updates), state, value


w = jnp.zeros(4)
state = optimizer.init(w)
for k in range(40):
    half = slice(0, 16) if k % 2 else slice(16, 32)
    w, state, value = train_step(w, state, X[half], y[half])
print(f"final {float(value):.6f}")
