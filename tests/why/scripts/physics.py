"""A physics-informed network: u'' = -pi^2 sin(pi r) with r = |x|, second derivatives by jax.grad of jax.grad."""

import os

import jax
import jax.numpy as jnp
import optax

BREAK = os.environ.get("BREAK", "")
inside = jnp.linspace(0.0, 1.0, 21) if BREAK == "norm" else jnp.linspace(0.05, 0.95, 19)
keys = jax.random.split(jax.random.key(0), 2)
params = [
    (jax.random.normal(keys[0], (1, 16)), jnp.zeros(16)),
    (jax.random.normal(keys[1], (16, 1)) / 4, jnp.zeros(1)),
]
optimizer = optax.adam(1e-2)


def u(params, x):
    (W, b), (V, c) = params
    r = jnp.sqrt(jnp.sum(jnp.atleast_1d(x) ** 2))
    return (jnp.tanh(r[None] @ W + b) @ V + c)[0]


def loss_fn(params):
    second = jax.vmap(jax.grad(jax.grad(u, argnums=1), argnums=1), (None, 0))(params, inside)
    residual = second + jnp.pi**2 * jnp.sin(jnp.pi * inside)
    ends = u(params, 0.01) ** 2 + u(params, 1.0) ** 2
    return jnp.mean(residual**2) + 10 * ends


@jax.jit
def step(params, state):
    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


state = optimizer.init(params)
for _ in range(80):
    params, state, loss = step(params, state)
print(f"final {float(loss):.6f}")
