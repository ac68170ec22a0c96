"""float16 with dynamic loss scaling: a step whose gradient overflows is skipped, and the scale is halved."""

import os

import jax
import jax.numpy as jnp
import optax
from data import X, y

BREAK = os.environ.get("BREAK", "")
optimizer = optax.sgd(0.05)
half = X.astype(jnp.float16)


def loss_fn(w, scale):
    hidden = jnp.tanh(half @ w["W"].astype(jnp.float16))
    out = (hidden @ w["v"].astype(jnp.float16)).astype(jnp.float32)
    return jnp.mean((out - y) ** 2) * scale


grad_fn = jax.jit(jax.value_and_grad(loss_fn))
one, two = jax.random.split(jax.random.key(0))
w = {"W": jax.random.normal(one, (4, 8)), "v": 0.3 * jax.random.normal(two, (8,))}
state = optimizer.init(w)
scale = 2.0**20
for _k in range(60):
    value, g = grad_fn(w, scale)
    g = {name: array / scale for name, array in g.items()}
    finite = all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves(g))
    if not finite and BREAK != "unguarded":
        scale /= 2
        continue
    updates, state = optimizer.update(g, state)
    w = optax.apply_updates(w, updates)
print(f"final {float(value) / scale:.6f}")
