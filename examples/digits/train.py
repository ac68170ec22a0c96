"""A network with two hidden layers learns the digits; every loss is finite, and the training makes it worse.

The step 2.0 is about three times 2 / (steepest curvature) at the start, and with it the loss ends
above where it began.  With half of it, still beyond that limit, training ends far below: a local
limit is a hint, the run is the verdict.
"""

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits

STEP = 2.0

digits = load_digits()
X = jnp.asarray(digits.data / 16, jnp.float32)
Y = jax.nn.one_hot(digits.target, 10)


def layer(key, inputs, outputs):
    return {"W": jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs), "b": jnp.zeros(outputs)}


keys = jax.random.split(jax.random.key(0), 3)
w = {"first": layer(keys[0], 64, 32), "second": layer(keys[1], 32, 32), "out": layer(keys[2], 32, 10)}


def loss(w):
    h = jnp.tanh(X @ w["first"]["W"] + w["first"]["b"])
    h = jnp.tanh(h @ w["second"]["W"] + w["second"]["b"])
    z = h @ w["out"]["W"] + w["out"]["b"]
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.sum(Y * z, axis=1))


def train(w, rate, steps=400):
    """The losses at the start and after each step of gradient descent."""
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    losses = []
    for _ in range(steps):
        value, gradient = value_and_grad(w)
        losses.append(float(value))
        w = jax.tree.map(lambda weight, slope: weight - rate * slope, w, gradient)
    return [*losses, float(loss(w))]


if __name__ == "__main__":
    for rate in (STEP, STEP / 2):
        losses = train(w, rate)
        print(f"step {rate}: loss {losses[0]:.3f} -> {losses[-1]:.3f}, highest {max(losses):.3f}")
