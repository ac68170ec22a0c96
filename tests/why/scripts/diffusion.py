"""A toy diffusion model: predict the noise, weighted by the signal-to-noise ratio."""

import os

import jax
import jax.numpy as jnp
import optax

BREAK = os.environ.get("BREAK", "")
STEPS = 20
betas = jnp.linspace(0.0 if BREAK == "beta" else 1e-3, 0.2, STEPS)
kept = jnp.cumprod(1 - betas)
angle = jax.random.uniform(jax.random.key(9), (128,)) * 2 * jnp.pi
X = jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
optimizer = optax.adam(3e-3)


def init(key):
    one, two = jax.random.split(key)
    return {
        "w1": jax.random.normal(one, (3, 32)) / 2,
        "b1": jnp.zeros(32),
        "w2": jax.random.normal(two, (32, 2)) / 6,
        "b2": jnp.zeros(2),
    }


def denoise(params, x, t):
    h = jnp.concatenate([x, t[:, None] / STEPS], 1)
    return jax.nn.silu(h @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]


def loss_fn(params, key):
    at, noisy = jax.random.split(key)
    t = jax.random.randint(at, (len(X),), 0, STEPS)
    noise = jax.random.normal(noisy, X.shape)
    a = kept[t][:, None]
    x = jnp.sqrt(a) * X + jnp.sqrt(1 - a) * noise
    weight = jnp.minimum(jnp.sqrt(a / (1 - a)), 5.0) if BREAK != "beta" else a / (1 - a)
    return jnp.mean(weight * (denoise(params, x, t) - noise) ** 2)


@jax.jit
def step(params, state, key):
    loss, grads = jax.value_and_grad(loss_fn)(params, key)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


params = init(jax.random.key(0))
state = optimizer.init(params)
key = jax.random.key(1)
for _ in range(80):
    key, sub = jax.random.split(key)
    params, state, loss = step(params, state, sub)
print(f"final {float(loss):.6f}")
