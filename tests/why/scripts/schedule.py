import os

import jax
import jax.numpy as jnp
import optax
from data import X, y

PEAK = float(os.environ.get("PEAK", "0.1"))
optimizer = optax.sgd(optax.warmup_cosine_decay_schedule(0.01, PEAK, 10, 40))


@jax.jit
def train_step(w, state):
    value, slope = jax.value_and_grad(lambda w: jnp.mean((X @ w - y) ** 2))(w)
    updates, state = optimizer.update(slope, state)
    return optax.apply_updates(w, updates), state, value


w = jnp.zeros(4)
state = optimizer.init(w)
for _ in range(40):
    w, state, value = train_step(w, state)
print(f"final {float(value):.6f}")
