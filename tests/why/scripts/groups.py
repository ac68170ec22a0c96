"""Two optimisers for two groups of parameters, a mask for the decay, and patience."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from data import X, y

BREAK = os.environ.get("BREAK", "")
rng = np.random.default_rng(0)
params = {
    "body": {"W": jnp.asarray(rng.standard_normal((4, 8)) / 2, jnp.float32), "b": jnp.zeros(8)},
    "head": {"v": jnp.asarray(rng.standard_normal(8) / 3, jnp.float32)},
}
slow = optax.adamw(1e-2, weight_decay=1e-2, mask=lambda p: jax.tree.map(lambda a: a.ndim > 1, p))
fast = optax.sgd(3.0 if BREAK == "rate" else 0.1, momentum=0.9)
optimizer = optax.multi_transform({"slow": slow, "fast": fast}, {"body": "slow", "head": "fast"})


def loss_fn(params, x, y):
    h = jnp.tanh(x @ params["body"]["W"] + params["body"]["b"])
    return jnp.mean((h @ params["head"]["v"] - y) ** 2)


@jax.jit
def step(params, state):
    loss, grads = jax.value_and_grad(loss_fn)(params, X[:24], y[:24])
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss


validate = jax.jit(loss_fn)
state, best, patience = optimizer.init(params), np.inf, 0
for k in range(200):
    params, state, loss = step(params, state)
    if k % 5 == 0:
        value = float(validate(params, X[24:], y[24:]))
        best, patience = (value, 0) if value < best - 1e-4 else (best, patience + 1)
        if patience > 3:
            print(f"stopped at {k}")
            break
print(f"final {float(loss):.6f}, best {best:.6f}")
