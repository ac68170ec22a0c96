"""A convolutional network with batch normalisation on small digits, in flax nnx, and its evaluation."""

import os

import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

BREAK = os.environ.get("BREAK", "")
images, labels = load_digits(return_X_y=True)
images = images[:256].reshape(-1, 8, 8, 1).astype(np.float32) / 16
labels = labels[:256]


class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.out = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        x = nnx.avg_pool(x, (2, 2), strides=(2, 2))
        return self.out(x.reshape(len(x), -1))


model = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(30.0 if BREAK == "rate" else 1e-2), wrt=nnx.Param)


@nnx.jit
def train_step(model, optimizer, x, y):
    def loss_fn(model):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    loss, grads = nnx.value_and_grad(loss_fn)(model)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def predict(model, x):
    return model(x).argmax(-1)


model.train()
for _epoch in range(10):
    for k in range(0, 192, 64):
        loss = train_step(model, optimizer, images[k : k + 64], labels[k : k + 64])
if BREAK != "evaluation":
    model.eval()
print(f"final {float(loss):.6f}")
print(f"accuracy {np.mean(predict(model, images[192:]) == labels[192:]):.4f}")
