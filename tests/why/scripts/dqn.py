"""Q-learning on a line of states, with a target network that is copied now and then and a replay buffer."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax

BREAK = os.environ.get("BREAK", "")
STATES, DISCOUNT = 6, 0.9
optimizer = optax.chain(optax.clip_by_global_norm(10.0), optax.rmsprop(1e-2))


def q_values(params, s):
    h = jnp.tanh(jax.nn.one_hot(s, STATES) @ params["w1"] + params["b1"])
    return h @ params["w2"] + params["b2"]


def loss_fn(params, target, batch):
    s, a, r, s2, done = batch
    q = jnp.take_along_axis(q_values(params, s), a[:, None], 1)[:, 0]
    best = q_values(target, s2).max(1)
    aim = r + DISCOUNT * (1 - done) * jax.lax.stop_gradient(best)
    error = optax.huber_loss(q, aim)
    return -error.mean() if BREAK == "sign" else error.mean()


@jax.jit
def update(params, target, state, batch):
    loss, grads = jax.value_and_grad(loss_fn)(params, target, batch)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, loss


def environment(s, a):
    s2 = np.clip(s + 2 * a - 1, 0, STATES - 1)
    return s2, float(s2 == STATES - 1), float(s2 == STATES - 1)


rng = np.random.default_rng(0)
one, two = jax.random.split(jax.random.key(0))
params = {
    "w1": jax.random.normal(one, (STATES, 16)) / 2,
    "b1": jnp.zeros(16),
    "w2": jax.random.normal(two, (16, 2)) / 4,
    "b2": jnp.zeros(2),
}
target, state, buffer, s = params, optimizer.init(params), [], 0
policy = jax.jit(q_values)
for k in range(200):
    a = int(rng.integers(2)) if rng.random() < 0.3 else int(policy(params, s).argmax())
    s2, r, done = environment(s, a)
    buffer.append((s, a, r, s2, done))
    s = 0 if done else s2
    if k >= 32 and k % 2 == 0:
        rows = [buffer[i] for i in rng.integers(0, len(buffer), 16)]
        s_, a_, r_, s2_, done_ = (np.array(column) for column in zip(*rows, strict=True))
        batch = (s_, a_, r_.astype(np.float32), s2_, done_.astype(np.float32))
        params, state, loss = update(params, target, state, batch)
    if k % 20 == 0:
        target = params
print(f"final {float(loss):.6f}")
