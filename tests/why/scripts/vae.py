"""A variational autoencoder with a Bernoulli likelihood written by hand."""

import os

import jax
import jax.numpy as jnp
import optax

BREAK = os.environ.get("BREAK", "")
X = (jax.random.uniform(jax.random.key(5), (64, 12)) < jnp.linspace(0.1, 0.9, 12)).astype(jnp.float32)
SCALE = 400.0 if BREAK == "saturated" else 1.0
optimizer = optax.adam(1e-2)


def dense(key, n, m):
    return {"w": jax.random.normal(key, (n, m)) / jnp.sqrt(n), "b": jnp.zeros(m)}


def encode(params, x):
    h = jnp.tanh(x @ params["enc"]["w"] + params["enc"]["b"])
    out = h @ params["stats"]["w"] + params["stats"]["b"]
    return jnp.split(out, 2, axis=-1)


def decode(params, z):
    h = jnp.tanh(z @ params["dec"]["w"] + params["dec"]["b"])
    return SCALE * (h @ params["pixels"]["w"] + params["pixels"]["b"])


def loss_fn(params, x, key):
    mean, logvar = encode(params, x)
    z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
    logits = decode(params, z)
    if BREAK == "saturated":
        p = jax.nn.sigmoid(logits)
        likelihood = jnp.sum(x * jnp.log(p) + (1 - x) * jnp.log(1 - p), -1)
    else:
        likelihood = -jnp.sum(optax.sigmoid_binary_cross_entropy(logits, x), -1)
    kl = 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1 - logvar, -1)
    elbo = jnp.mean(likelihood - kl)
    return elbo if BREAK == "sign" else -elbo


@jax.jit
def step(params, state, key):
    loss, grads = jax.value_and_grad(loss_fn)(params, X, key)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


keys = jax.random.split(jax.random.key(0), 4)
params = {
    "enc": dense(keys[0], 12, 16),
    "stats": dense(keys[1], 16, 4),
    "dec": dense(keys[2], 2, 16),
    "pixels": dense(keys[3], 16, 12),
}
state = optimizer.init(params)
key = jax.random.key(1)
for _ in range(80):
    key, sub = jax.random.split(key)
    params, state, loss = step(params, state, sub)
print(f"final {float(loss):.6f}")
