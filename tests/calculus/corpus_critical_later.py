"""A third set of held-out critical points, written before any of them was asked about.

Losses at the points where people start or end: zero weights of logistic and softmax regressions, nets with symmetry and
dead units, regressions without full rank, and textbook points. `undecided` is right where there is no Hessian (CORNERS)
or no number. References: Milnor, *Morse Theory* (1963), section 2 (monkey saddle: section 1); Kawaguchi (2016) on deep
linear nets; Whitney (1943) on cusps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.calculus.corpus_critical import Known, float32

SYMMETRIC = np.float32([[1, 2], [-1, 1], [-2, -1], [1, -1], [2, 1], [-1, -2]])
BALANCED = np.float32([1, -1, 1, -1, -1, 1])
EVEN = np.concatenate([SYMMETRIC, SYMMETRIC])
LABELS = np.concatenate([np.ones(6, np.float32), -np.ones(6, np.float32)])
CLASSES = np.eye(3, dtype=np.float32)[np.tile([0, 1, 2], 6)]
ROWS = np.repeat(SYMMETRIC, 3, axis=0)
THIN = np.float32([[1, 2, 3], [2, 4, 6], [1, 0, 1], [0, 1, 1]])
GOAL = np.float32([[1.0, 0.0], [0.0, 2.0]])


def logistic(w):
    return jnp.mean(jnp.logaddexp(0.0, -LABELS * (EVEN @ w)))


def logistic_with_ridge(w):
    return jnp.mean(jax.nn.softplus(-LABELS * (EVEN @ w))) + 0.05 * jnp.sum(w**2)


def softmax_regression(w):
    return optax.softmax_cross_entropy(ROWS @ w, CLASSES).mean() + 0.05 * jnp.sum(w**2)


def by_hand(w):
    z = ROWS @ w
    return jnp.mean(jax.nn.logsumexp(z, axis=1) - jnp.sum(CLASSES * z, axis=1)) + 0.05 * jnp.sum(w**2)


def linear_net(p):
    return jnp.sum((p["second"] @ p["first"] - GOAL) ** 2)


def tanh_net(p):
    return jnp.mean((jnp.tanh(SYMMETRIC @ p["in"]) @ p["out"] - BALANCED) ** 2)


def relu_net(p):
    return jnp.mean((jax.nn.relu(SYMMETRIC @ p["in"] + p["bias"]) @ p["out"]) ** 2)


def thin_regression(w):
    return jnp.sum((THIN @ w - THIN @ jnp.array([1.0, -1.0, 2.0])) ** 2)


def stretched(x):
    scales = 2.0 ** np.arange(-10, 10).astype(np.float32)
    return jnp.sum(scales * (x - 0.5) ** 2) + jnp.prod(x[:2] - 0.5)


def well(x):
    return (jnp.sum(x**2) - 1) ** 2


LATER = [
    Known("logistic regression at zero", logistic, jnp.zeros(2), "minimum", "each row has both labels: gradient 0"),
    Known("logistic ridge at zero", logistic_with_ridge, jnp.zeros(2), "minimum", "convex, and the gradient is 0"),
    Known("softmax regression at zero", softmax_regression, jnp.zeros((2, 3)), "minimum", "each row has all labels"),
    Known("log-sum-exp at zero", by_hand, jnp.zeros((2, 3)), "minimum", "each row has all labels"),
    Known("monkey saddle with a hill", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2 - x[2] ** 2, jnp.zeros(3),
          "degenerate", "a cubic along two", "neither"),
    Known("fold", lambda x: x[0] ** 3 + x[1] ** 2, jnp.zeros(2), "degenerate", "a cubic along x", "neither"),
    Known("cusp", lambda x: x[0] ** 4 + x[1] ** 2 - x[0] ** 2 * x[1], jnp.zeros(2), "degenerate",
          "x^4 - x^2 y + y^2 is definite in (x^2, y)", "minimum"),
    Known("bent valley", lambda x: (x[1] - x[0] ** 2) ** 2, float32(0.5, 0.25), "degenerate", "zero on a parabola",
          "minimum"),
    Known("ring", well, float32(0.6, 0.8), "degenerate", "zero on a circle, at a float beside it", "minimum"),
    Known("centre of a ring", well, jnp.zeros(3), "maximum", "H = -4 I"),
    Known("two linear layers at zero", linear_net, {"first": jnp.zeros((2, 2)), "second": jnp.zeros((2, 2))}, "saddle",
          "H couples the layers by -2 GOAL (Kawaguchi 2016)"),
    Known("two linear layers, one learnt", linear_net,
          {"first": jnp.float32([[0, 0], [0, 2]]), "second": jnp.float32([[0, 0], [0, 1]])}, "saddle",
          "the first unit is still at zero"),
    Known("net at zero", tanh_net, {"in": jnp.zeros((2, 3)), "out": jnp.zeros(3)}, "saddle",
          "in and out are coupled by X'y, which is not 0"),
    Known("units that are dead", relu_net,
          {"in": jnp.float32([[0.5, -0.5], [0.5, 0.25]]), "bias": jnp.float32([-8, -8]), "out": jnp.ones(2)},
          "degenerate", "nothing moves", "minimum"),
    Known("regression without full rank", thin_regression, jnp.float32([1, -1, 2]), "degenerate", "rank 2 of 3",
          "minimum"),
    Known("twenty scales and a product", stretched, jnp.full(20, 0.5), "saddle",
          "2^-9 2^-8 < 1: the product wins"),
    Known("constrained to float32", lambda x: jnp.sum((x**3 - 2.0) ** 2) + x[0] * 0, jnp.float32([2.0, 2.0]) ** (1 / 3),
          "minimum", "H = 18 x^4"),
    Known("cosines", lambda x: jnp.sum(jnp.cos(x)), jnp.float32([0.0, np.pi]), "saddle", "H = diag(-1, 1)"),
    Known("slope of a softplus", lambda x: jax.nn.softplus(x) + 0 * x, 0.0, "not_critical", "f' = 1/2"),
    Known("tail of a bell", lambda x: -jnp.exp(-(x**2)), 6.0, "not_critical", "f' = 12 e^-36"),
]  # fmt: skip
CORNERS = [
    Known("sizes at zero", lambda w: jnp.sum(jnp.abs(w)), jnp.zeros(3), "minimum", "a corner"),
    Known("norm at zero", lambda w: jnp.sqrt(jnp.sum(w**2)), jnp.zeros(2), "minimum", "a corner"),
    Known("not a number", lambda x: jnp.sum(jnp.log(x)), jnp.float32([1.0, -1.0]), "undecided", "log of -1"),
]
