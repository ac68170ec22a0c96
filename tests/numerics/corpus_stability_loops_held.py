"""Products, sums and moments accumulated by loops, as filters, likelihoods and running statistics are written.

Sources: Rabiner's tutorial on hidden Markov models (1989), section V on scaling; Welford (1962) on running variances;
Graves (2006) on log-domain recursions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.numerics.scoring import table

CASES, case = table("loops")

PROBABLE = [0.9, 0.5, 0.7, 0.8, 0.6]
UNLIKELY = [1e-12, 3e-10, 1e-11, 1e-13, 2e-9]
SCORES = [0.3, -1.0, 0.5, 2.0, -0.25]
EXTREME = [100.0, -250.0, 90.0, 130.0, -120.0]
STEP = np.array([[0.75, 0.25], [0.5, 0.5]])
EMIT = [[-1.0, -2.0], [-0.5, -3.0], [-2.0, -0.25]]
EMIT_LOW = [[-100.0, -120.0], [-90.0, -130.0], [-110.0, -95.0]]


@case(SCORES, EXTREME)
def log_of_exponential_sum_in_scan(x):
    total, _ = lax.scan(lambda c, v: (c + jnp.exp(v), None), jnp.zeros((), x.dtype), x)
    return jnp.log(total)


@case(EMIT, EMIT_LOW)
def hidden_markov_unrolled(e):
    step = jnp.asarray(STEP, e.dtype)
    alpha = jnp.exp(e[0]) * 0.5
    for k in range(1, 3):
        alpha = (alpha @ step) * jnp.exp(e[k])
    return jnp.log(jnp.sum(alpha))


@case(SCORES, EXTREME)
def log_sum_of_exponentials_by_fori(x):
    return jnp.log(lax.fori_loop(0, 5, lambda i, c: c + jnp.exp(x[i]), jnp.zeros((), x.dtype)))


@case(PROBABLE, UNLIKELY)
def log_of_product_by_fori(p):
    return jnp.log(lax.fori_loop(0, 5, lambda i, c: c * jnp.abs(p[i]) ** 2, jnp.ones((), p.dtype)))


@case(SCORES, EXTREME)
def survival_in_scan(z):
    def step(alive, v):
        hazard = 1.0 / (1.0 + jnp.exp(-v))
        return alive * (1.0 - hazard), None

    alive, _ = lax.scan(step, jnp.ones((), z.dtype), z)
    return jnp.log(alive)


@case([1.0, 2.0, 4.0, 3.0, 2.5], [1001.0, 1002.0, 1004.0, 1003.0, 1002.5], [1e5, 1e5 + 1, 1e5 + 2, 1e5 + 5, 1e5 - 3])
def running_variance(x):
    def step(c, v):
        return (c[0] + v, c[1] + v * v), None

    zero = jnp.zeros((), x.dtype)
    (s, ss), _ = lax.scan(step, (zero, zero), x)
    return ss / 5 - (s / 5) ** 2


@case(SCORES, [40.0, 30.0, 60.0, 50.0, 45.0], [-90.0, -100.0, -120.0, -95.0, -130.0])
def normalised_weights_in_scan(x):
    total, _ = lax.scan(lambda c, v: (c + jnp.exp(v), None), jnp.zeros((), x.dtype), x)
    return jnp.exp(x[2]) / total


@case(EMIT, EMIT_LOW)
def mixture_likelihood_in_scan(e):
    def step(c, row):
        return c * (0.25 * jnp.exp(row[0]) + 0.75 * jnp.exp(row[1])), None

    total, _ = lax.scan(step, jnp.ones((), e.dtype), e)
    return jnp.log(total)


@case(SCORES, EXTREME)
def rematerialised_cross_entropy(x):
    @jax.checkpoint
    def loss(z):
        p = jnp.exp(z) / jnp.sum(jnp.exp(z))
        return -jnp.log(p[1])

    return loss(x)


@case(0.3, 100.0, -100.0, 300.0)
def log_sigmoid_in_a_branch(x):
    return lax.cond(x > 1e5, lambda v: -v, lambda v: jnp.log(1.0 / (1.0 + jnp.exp(-v))), x)


@case(SCORES, EXTREME)
def connectionist_forward(x):
    # two labels, three frames: the probability of every monotone path, added up frame by frame
    p = jnp.exp(x) / jnp.sum(jnp.exp(x))
    a, b = p[0], jnp.zeros((), x.dtype)
    for k in range(1, 4):
        a, b = a * p[k], (a + b) * p[k + 1]
    return -jnp.log(a + b)
