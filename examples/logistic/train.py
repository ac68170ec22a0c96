"""A healthy training: logistic regression with an L2 penalty on standardised columns, with nothing to find.

The curvature is at most lambda_max(X'X / n) / 4 + 1e-2, about 3.33, and the step 0.3 is half of
2 / 3.33: gradient descent cannot raise this loss.
"""

import jax
import jax.numpy as jnp
from sklearn.datasets import load_breast_cancer

STEP = 0.3

tumours = load_breast_cancer()
X = jnp.asarray((tumours.data - tumours.data.mean(0)) / tumours.data.std(0), jnp.float32)
sign = jnp.asarray(2.0 * tumours.target - 1, jnp.float32)
w = {"slope": jnp.zeros(30), "offset": jnp.zeros(())}
names = {"slope": (tuple(str(name) for name in tumours.feature_names),), "offset": ()}


def loss(w):
    margin = sign * (X @ w["slope"] + w["offset"])
    return jnp.mean(jax.nn.softplus(-margin)) + 0.005 * jnp.sum(w["slope"] ** 2)


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
    losses = train(w, STEP)
    print(f"step {STEP}: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
