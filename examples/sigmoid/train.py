"""A deep sigmoid network whose first layers do not learn: the gradient vanishes on its way back to them.

Each of the ten hidden layers multiplies the gradient by its weights and by sigma'(z), which is at most 1/4.
After 400 steps the last layers have moved, the first ones stand where they were drawn.
"""

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits

STEP = 0.5

digits = load_digits()
X = jnp.asarray(digits.data / 16, jnp.float32)
Y = jax.nn.one_hot(digits.target, 10)


def layer(key, inputs, outputs):
    return {"W": jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs), "b": jnp.zeros(outputs)}


sizes = [64, *[32] * 10, 10]
keys = jax.random.split(jax.random.key(0), len(sizes) - 1)
w = [layer(key, inputs, outputs) for key, inputs, outputs in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def loss(w):
    h = X
    for hidden in w[:-1]:
        h = jax.nn.sigmoid(h @ hidden["W"] + hidden["b"])
    z = h @ w[-1]["W"] + w[-1]["b"]
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.sum(Y * z, axis=1))


def train(w, rate, steps=400):
    """The parameters and the losses at the start and after each step of gradient descent."""
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    losses = []
    for _ in range(steps):
        value, gradient = value_and_grad(w)
        losses.append(float(value))
        w = jax.tree.map(lambda weight, slope: weight - rate * slope, w, gradient)
    return w, [*losses, float(loss(w))]


if __name__ == "__main__":
    trained, losses = train(w, STEP)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
    for k, (before, after) in enumerate(zip(w, trained, strict=True)):
        moved = jnp.linalg.norm(after["W"] - before["W"]) / jnp.linalg.norm(before["W"])
        print(f"layer {k}: its weights moved by {moved:.1e} of their size")
