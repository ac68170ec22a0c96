import os
from functools import partial

import jax
import jax.numpy as jnp
import optax
from data import X, y

POLE = float(os.environ.get("POLE", "9.0"))
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.05))


@partial(jax.jit, donate_argnums=(0, 1))
def train_step(params, state, X, y):
    def loss_fn(params):
        error = X @ params["w"] + params["b"] - y
        return jnp.mean(error**2) + 1e-3 * jnp.sqrt(POLE - params["w"][0] * 10)

    value, gradient = jax.value_and_grad(loss_fn)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value


params = {"w": jnp.zeros(4), "b": jnp.zeros(())}
state = optimizer.init(params)
for _ in range(40):
    params, state, value = train_step(params, state, X, y)
print(f"final {float(value):.6f}")
