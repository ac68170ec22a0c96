"""exp(u - max u): what the subtraction rounds off counts |u - max u| times, and is put back, compiled or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.numerics import logspace
from qed.numerics.rewriting.kernels import softmax

U = np.array([30.1, -22.37, 0.731, -41.9], np.float32)


def true_shares(u):
    e = np.exp(u.astype(np.float64) - np.max(u.astype(np.float64)))
    return e / e.sum()


@pytest.mark.parametrize("compiled", [False, True])
def test_small_shares_keep_their_digits(compiled):
    run = jax.jit if compiled else lambda f: f
    exact = true_shares(U)
    unit = float(np.finfo(np.float32).eps)
    plain = np.abs(np.asarray(jax.nn.softmax(U), np.float64) / exact - 1)
    assert np.max(plain) > 8 * unit  # without it, this many digits are lost
    np.testing.assert_allclose(run(lambda u: softmax(u, (0,)))(U), exact, rtol=2 * unit)
    np.testing.assert_allclose(run(jax.grad(logspace.logsumexp))(U), exact, rtol=2 * unit)
    loss = qed.stabilize(lambda z: -jnp.log(jnp.exp(z[2]) / jnp.sum(jnp.exp(z))))
    np.testing.assert_allclose(run(jax.grad(loss))(U), exact - np.eye(4)[2], rtol=4 * unit)


def test_infinite_logarithms():
    u = jnp.array([[-jnp.inf, 0.0, 3.0], [-jnp.inf, -jnp.inf, -jnp.inf], [jnp.inf, 1.0, 2.0]], jnp.float32)
    total = logspace.logsumexp(u, 1)
    np.testing.assert_allclose(total, [np.log(1 + np.exp(3.0)), -np.inf, np.inf], rtol=1e-6)
    slope = jax.grad(lambda u: jnp.sum(jnp.where(jnp.isfinite(u), logspace.logsumexp(u, 1)[:, None], 0.0)))(u)
    assert not np.any(np.isnan(slope))
