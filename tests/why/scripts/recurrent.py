"""A recurrent network in equinox, its time steps in lax.scan."""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

BREAK = os.environ.get("BREAK", "")
keys = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(keys[0], (32, 60, 2))
y = jnp.tanh(X[:, -3:, 0].sum(1))


class RNN(eqx.Module):
    inward: jax.Array
    across: jax.Array
    out: eqx.nn.Linear

    def __init__(self, key):
        one, two, three = jax.random.split(key, 3)
        scale = 20.0 if BREAK == "explode" else 0.3
        self.inward = 0.5 * jax.random.normal(one, (2, 16))
        self.across = scale * jax.random.normal(two, (16, 16)) / 4
        self.out = eqx.nn.Linear(16, 1, key=three)

    def __call__(self, xs):
        nonlinear = jax.nn.relu if BREAK == "explode" else jnp.tanh

        def cell(h, x):
            return nonlinear(x @ self.inward + h @ self.across), None

        h, _ = jax.lax.scan(cell, jnp.zeros(16), xs)
        return self.out(h)[0]


model = RNN(keys[1])
optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))
state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))


@eqx.filter_value_and_grad
def loss_fn(model, x, y):
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


@eqx.filter_jit
def step(model, state, x, y):
    loss, grads = loss_fn(model, x, y)
    updates, state = optimizer.update(grads, state, model)
    return eqx.apply_updates(model, updates), state, loss


for _ in range(60):
    model, state, loss = step(model, state, X, y)
print(f"final {float(loss):.6f}")
