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


@case(MILD, LARGE, LOW)
def softmax_with_values(z):
    p = jnp.exp(z) / jnp.sum(jnp.exp(z))
    return jnp.dot(p, jnp.asarray(VALUES, z.dtype))


@case(MILD, LARGE, LOW)
def attention_over_scores(z):
    w = jnp.exp(z / 2.0)
    return jnp.sum(w * jnp.asarray(VALUES, z.dtype)) / jnp.sum(w)


@case([0.1, 0.2, 0.3], [30.0, -20.0, 10.0], [100.0, 200.0, -300.0])
def attention_of_query(q):
    k = jnp.asarray(MATRIX, q.dtype)
    w = jnp.exp(k @ q)
    a = w / w.sum()
    return jnp.sum((a @ k) ** 2)


@case(MILD, LARGE, LOW)
def masked_softmax_by_where(z):
    e = jnp.where(jnp.asarray(LABELS, bool), jnp.exp(z), 0.0)
    return jnp.sum(e / jnp.sum(e) * jnp.asarray(VALUES, z.dtype))


@case(*SCALAR)
def log_one_minus_sigmoid(x):
    return jnp.log(1.0 - jax.nn.sigmoid(x))


@case(*SCALAR)
def softplus_by_hand(x):
    return jnp.log(1.0 + jnp.exp(x))


@case(*SCALAR)
def log_cosh_loss(x):
    return jnp.log(jnp.cosh(x))


@case(0.3, 3.0, -2.0, -3.0, 12.0)
def gelu_tail(x):
    return 0.5 * x * (1.0 + jax.scipy.special.erf(x / jnp.sqrt(2.0)))


@case(0.3, 3.0, -2.0, -3.0, 12.0)
def gelu_by_tanh(x):
    return 0.5 * x * (1.0 + jnp.tanh(jnp.sqrt(2.0 / jnp.pi) * (x + 0.044715 * x**3)))


@case(0.3, -1e-6, -1e-20, -5.0, 3.0)
def elu_by_hand(x):
    return jnp.where(x > 0, x, jnp.exp(x) - 1.0)


@case(0.3, 1e-5, 100.0, 1e20, -100.0, -1e4, -0.5)
def squareplus(x):
    return (x + jnp.sqrt(x * x + 4.0)) / 2.0


@case(0.3, 1e-10, 1e-6, 0.999, 0.5, 0.4999)
def logit(p):
    return jnp.log(p / (1.0 - p))


@case(0.3, 1e-6, 5.0, 60.0, 300.0)
def inverse_softplus(y):
    return jnp.log(jnp.exp(y) - 1.0)


@case(MILD, LARGE, LOW, EXTREME)
def binary_cross_entropy(z):
    p = 1.0 / (1.0 + jnp.exp(-z))
    y = jnp.asarray(LABELS, z.dtype)
    return -jnp.mean(y * jnp.log(p) + (1.0 - y) * jnp.log(1.0 - p))


@case(MILD, LARGE, LOW, EXTREME)
def binary_cross_entropy_of_library_sigmoid(z):
    p = jax.nn.sigmoid(z)
    y = jnp.asarray(LABELS, z.dtype)
    return -jnp.sum(y * jnp.log(p) + (1.0 - y) * jnp.log(1.0 - p))


@case(([1.0, 2.0, 3.0], [1.1, 1.9, 3.0]), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0001]), ([1.0, 0.0, 0.0], [0.0, 1.0, 1e-3]))
def cosine_distance(x, y):
    return 1.0 - jnp.dot(x, y) / (jnp.sqrt(jnp.sum(x * x)) * jnp.sqrt(jnp.sum(y * y)))


@case(([1e-25, 2e-25], [3e-25, 1e-25]), ([1e25, 2e25], [3e25, 1e25]), ([1.0, 2.0], [3.0, 4.0]))
def cosine_similarity(x, y):
    return jnp.dot(x, y) / jnp.sqrt(jnp.sum(x**2) * jnp.sum(y**2))


@case([1.0, -2.0, 3.0], [1e-25, 1e-26, 1e-25], [1e25, 1e26, -1e20])
def normalised_first(x):
    return (x / jnp.sqrt(jnp.sum(x * x)))[0]


@case([1.0, -2.0, 3.0], [100.0, 101.0, 102.5], [1e5, 1e5 + 1, 1e5 + 3])
def layer_norm_one_pass(x):
    m = jnp.mean(x)
    v = jnp.mean(x * x) - m * m
    return jnp.sum((x - m) / jnp.sqrt(v) * jnp.array([1.0, 2.0, -0.5], x.dtype))


@case(*SCALAR)
def log_probability_of_either(z):
    p = jax.nn.softmax(jnp.stack([z, -z, 0.0 * z]))
    return jnp.log(p[0] + p[2])


@case(MILD, LARGE, LOW, EXTREME)
def log_of_temperature_softmax(z):
    q = jnp.exp(z / 0.25)
    return jnp.sum(jnp.log(q / jnp.sum(q)) * jnp.asarray(HOT, z.dtype))


@case(MILD, LARGE, LOW)
def free_energy(z):
    return -0.5 * jnp.log(jnp.sum(jnp.exp(-z / 0.5)))


@case((0.3, 1.0), (30.0, 2.0), (-100.0, 3.0), (300.0, 0.5))
def generalised_softplus(x, beta):
    return jnp.log(1.0 + jnp.exp(beta * x)) / beta


@case((0.3, 2.0), (5.0, 4.99), (100.0, 101.0), (0.0001, 0.0002))
def softplus_gap(x, y):
    return jnp.log(1.0 + jnp.exp(x)) - jnp.log(1.0 + jnp.exp(y))


@case(MILD, LARGE, LOW)
def gumbel_softmax_entropy(z):
    p = jnp.exp(z) / jnp.exp(z).sum()
    return -(p * jnp.log(p)).sum()


@case([0.2, 0.5, -0.3], [1e-5, -2e-5, 1e-5], [10.0, 20.0, 30.0])
def log_one_plus_norm_squared(x):
    return jnp.log(1.0 + jnp.sum(x * x))


@case(0.3, 3.0, -3.0, 9.5, -15.0, 40.0)
def tanh_squash_correction(x):
    return jnp.log(1.0 - jnp.tanh(x) ** 2)


@case(0.3, 5.0, 120.0, -0.5, -2.0, -3.0, -120.0)
def gelu_of_library(x):
    return jax.nn.gelu(x)
