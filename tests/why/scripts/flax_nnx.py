import os

import jax.numpy as jnp
import optax
from data import X, y
from flax import nnx

OFFSET = float(os.environ.get("OFFSET", "1.0"))


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(4, 8, rngs=rngs)
        self.second = nnx.Linear(8, 1, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.tanh(self.first(x)))[:, 0]


model = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, x, y):
    def loss_fn(model):
        return jnp.mean(jnp.log(OFFSET + (model(x) - y) ** 2))

    value, gradient = nnx.value_and_grad(loss_fn)(model)
    optimizer.update(model, gradient)
    return value


for _ in range(40):
    value = train_step(model, optimizer, X, y)
print(f"final {float(value):.6f}")
