"""Data parallel on the devices there are: shard_map, with checkpointed layers."""

import functools
import os

import jax
import jax.numpy as jnp
import optax
from data import X, y
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

BREAK = os.environ.get("BREAK", "")
mesh = jax.make_mesh((1,), ("data",))
optimizer = optax.sgd(5.0 if BREAK == "rate" else 0.1)


@jax.checkpoint
def layer(W, h):
    return jnp.tanh(h @ W)


def loss_fn(params, x, y):
    h = layer(params["two"], layer(params["one"], x))
    return jnp.mean((h @ params["out"] - y) ** 2)


@jax.jit
@functools.partial(jax.shard_map, mesh=mesh, in_specs=(P(), P(), P("data"), P("data")), out_specs=(P(), P(), P()))
def step(params, state, x, y):
    loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
    grads, loss = jax.lax.pmean((grads, loss), "data")
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


keys = jax.random.split(jax.random.key(0), 3)
params = {
    "one": jax.random.normal(keys[0], (4, 8)) / 2,
    "two": jax.random.normal(keys[1], (8, 8)) / 3,
    "out": jax.random.normal(keys[2], (8,)) / 3,
}
state = optimizer.init(params)
rows, targets = jax.device_put((X, y), NamedSharding(mesh, P("data")))
for _ in range(40):
    params, state, loss = step(params, state, rows, targets)
print(f"final {float(loss):.6f}")
