"""Machine learning by hand: losses, activations, attention, likelihoods of labels.

Sources: the rewriting lists of Theano and PyTensor; the GRIST and RANUM defects (log, sqrt, exp, division,
log-softmax); issues of JAX, PyTorch and TensorFlow on softplus, log-sigmoid, log1mexp, masked softmax, norms. Tails of
the normal distribution are judged up to 3: beyond, the rounding of x / sqrt(2) costs more than 3 bits in any formula.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from tests.numerics.scoring import table

CASES, case = table("learning")

MILD = [0.3, -1.2, 2.0, 0.7]
LARGE = [120.0, -100.0, 300.0, 50.0]
LOW = [-120.0, -200.0, -300.0, -150.0]
EXTREME = [1e4, -1e4, 5e3, -3e3]
HOT = np.array([0.0, 1.0, 0.0, 0.0])
LABELS = np.array([1.0, 0.0, 1.0, 0.0])
VALUES = np.array([1.0, -2.0, 0.5, 3.0])
SCALAR = (0.3, 5.0, 20.0, 120.0, -5.0, -20.0, -120.0, 1e4, -1e4)
MATRIX = np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5], [0.1, 0.2, -2.0], [1.0, 1.0, 1.0]])


@case(MILD, LARGE, LOW, EXTREME)
def cross_entropy(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return -jnp.sum(jnp.asarray(HOT, z.dtype) * jnp.log(p))


@case(MILD, LARGE, LOW, EXTREME)
def cross_entropy_of_label(z):
    p = jax.nn.softmax(z)
    return -jnp.log(p[1])


@case(MILD, LARGE, LOW, EXTREME)
def cross_entropy_smoothed(z):
    p = jax.nn.softmax(z)
    target = 0.9 * jnp.asarray(HOT, z.dtype) + 0.1 / 4
    return -jnp.sum(target * jnp.log(p))


@case(*SCALAR)
def sigmoid_by_hand(x):
    return 1.0 / (1.0 + jnp.exp(-x))


@case(*SCALAR)
def sigmoid_as_exp_over(x):
    return jnp.exp(x) / (1.0 + jnp.exp(x))


@case(*SCALAR)
def log_sigmoid_by_hand(x):
    return jnp.log(1.0 / (1.0 + jnp.exp(-x)))


@case(*SCALAR)
def log_of_library_sigmoid(x):
    return jnp.log(jax.nn.sigmoid(x))


@case(*SCALAR)
def one_minus_sigmoid(x):
    return 1.0 - jax.nn.sigmoid(x)


@case(0.3, 5.0, 20.0, 120.0, -5.0, -20.0, -80.0)
def mish_by_hand(x):
    return x * jnp.tanh(jnp.log(1.0 + jnp.exp(x)))


@case(*SCALAR)
def swish_by_hand(x):
    return x / (1.0 + jnp.exp(-x))


@case(*SCALAR)
def log_cosh_by_exponentials(x):
    return jnp.log((jnp.exp(x) + jnp.exp(-x)) / 2.0)


@case(0.3, -1e-6, -5.0, 100.0, 300.0)
def selu_by_hand(x):
    return 1.0507 * jnp.where(x > 0, x, 1.67326 * (jnp.exp(x) - 1.0))


@case(*SCALAR)
def focal_loss(z):
    p = jax.nn.sigmoid(z)
    return -((1.0 - p) ** 2) * jnp.log(p)


@case(*SCALAR)
def focal_loss_by_hand(z):
    p = 1.0 / (1.0 + jnp.exp(-z))
    return -0.25 * (1.0 - p) ** 2 * jnp.log(p)


@case(MILD, LARGE, LOW, EXTREME)
def logistic_margin(z):
    sign = 2.0 * jnp.asarray(LABELS, z.dtype) - 1.0
    return jnp.sum(jnp.log(1.0 + jnp.exp(-sign * z)))


@case(MILD, LARGE, LOW)
def exponential_loss_log(z):
    sign = 2.0 * jnp.asarray(LABELS, z.dtype) - 1.0
    return jnp.log(jnp.sum(jnp.exp(-sign * z)))


@case(([1.0, 0.2, 0.1], [0.9, 0.1, 0.3]), ([30.0, 2.0, 1.0], [25.0, 1.0, 3.0]), ([100.0, 2.0, 1.0], [3.0, 100.0, 3.0]))
def contrastive_loss(a, b):
    s = jnp.array([jnp.dot(a, b), jnp.dot(a, a), jnp.dot(b, b)]) / 0.5
    return -jnp.log(jnp.exp(s[0]) / jnp.sum(jnp.exp(s)))


@case(([1.0, 0.2], [0.9, 0.1]), ([30.0, 2.0], [25.0, 1.0]), ([100.0, 2.0], [3.0, 100.0]))
def pairwise_ranking_loss(positive, negative):
    return -jnp.sum(jnp.log(jnp.exp(positive) / (jnp.exp(positive) + jnp.exp(negative))))


@case((0.3, -0.2), (30.0, -20.0), (200.0, 5.0), (-200.0, 150.0))
def bradley_terry(a, b):
    return jnp.log(jnp.exp(a) / (jnp.exp(a) + jnp.exp(b)))


@case([1.0, -2.0, 3.0], [1e-25, 1e-26, 1e-25], [1e25, 1e26, -1e20], wide=[[1e-200, 1e-199, 0.0], [1e200, 1e180, 2e200]])
def euclidean_norm(x):
    return jnp.sqrt(jnp.sum(x**2))


@case(0.3, 30.0, -30.0, 100.0)
def gated_product(x):
    return jnp.tanh(x) * (1.0 / (1.0 + jnp.exp(-x)))


@case((0.3, 0.0), (5.0, 4.99), (100.0, 101.0), (-200.0, -150.0))
def sigmoid_gap(x, y):
    return jax.nn.sigmoid(x) - jax.nn.sigmoid(y)


@case(1.01, 1.00001, 0.7, 1.3)
def policy_ratio_penalty(ratio):
    return ratio - 1.0 - jnp.log(ratio)


@case((0.3, 0.31), (100.0, 100.001), (-50.0, -50.5), (200.0, -200.0))
def importance_ratio(new, old):
    return jnp.exp(new) / jnp.exp(old)


@case(
    ([0.3, -0.5], [0.1, 0.2]),
    ([3.0, 5.0], [-20.0, 30.0]),
    ([0.001, 0.002], [0.001, -0.0005]),
    ([1.0, 1.0], [80.0, -80.0]),
)
def gaussian_vae_divergence(mean, logvar):
    return -0.5 * jnp.sum(1.0 + logvar - mean**2 - jnp.exp(logvar))
