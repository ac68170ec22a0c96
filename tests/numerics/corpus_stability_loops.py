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


@case(PROBABLE, UNLIKELY, wide=[[1e-90, 1e-80, 1e-99, 1e-100, 1e-70]])
def log_of_product_in_scan(p):
    total, _ = lax.scan(lambda c, v: (c * v**2, None), jnp.ones((), p.dtype), p)
    return jnp.log(total)


@case(SCORES, EXTREME)
def log_of_exponential_product_in_scan(x):
    total, _ = lax.scan(lambda c, v: (c * jnp.exp(-v * v), None), jnp.ones((), x.dtype), x)
    return jnp.log(total)


@case(EMIT, EMIT_LOW)
def hidden_markov_forward(e):
    step = jnp.asarray(STEP, e.dtype)
    alpha, _ = lax.scan(lambda a, row: ((a @ step) * jnp.exp(row), None), jnp.full(2, 0.5, e.dtype), e)
    return jnp.log(jnp.sum(alpha))


@case(SCORES, EXTREME)
def cumulative_product_log(x):
    return jnp.sum(jnp.log(jnp.cumprod(1.0 / (1.0 + jnp.exp(-x)))))


@case(SCORES, EXTREME)
def mapped_log_odds(x):
    def one(v):
        p = 1.0 / (1.0 + jnp.exp(-v))
        return jnp.log(p) - jnp.log(1.0 - p) + 0.5 * jnp.log(p)

    return jnp.sum(lax.map(one, x))


@case(SCORES, EXTREME)
def mapped_softplus(x):
    return jnp.sum(jax.vmap(lambda v: jnp.log(1.0 + jnp.exp(v)))(x))


@case([1e-3, 2e-3, 1e-3, 3e-3, 1e-3], [1e-6, 1e-7, 1e-6, 2e-6, 1e-6], [0.5, 0.25, 0.125, 0.5, 0.25])
def compounded_growth_gap(r):
    total, _ = lax.scan(lambda c, v: (c * (1.0 + v), None), jnp.ones((), r.dtype), r)
    return total - 1.0
