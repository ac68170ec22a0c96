import os

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from data import X, y
from flax.training.train_state import TrainState

SCALE = float(os.environ.get("SCALE", "0.1"))


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))[:, 0]


net = Net()
state = TrainState.create(apply_fn=net.apply, params=net.init(jax.random.key(1), X)["params"], tx=optax.sgd(0.1))


@jax.jit
def train_step(state, batch):
    def loss_fn(params):
        prediction = state.apply_fn({"params": params}, batch["x"])
        return jnp.mean(jnp.exp(SCALE * (prediction - batch["y"]) ** 2)) - 1

    value, gradient = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=gradient), value


for _ in range(40):
    state, value = train_step(state, {"x": X, "y": y})
print(f"final {float(value):.6f}")
