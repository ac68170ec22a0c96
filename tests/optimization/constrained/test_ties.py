"""A start at a tie within a function of JAX's library, where the derivative of its body is not its derivative."""

import jax
import jax.numpy as jnp
import numpy as np

import qed


def test_a_start_at_a_tie_of_softplus_is_no_kink():
    rows = jnp.asarray(np.random.default_rng(0).standard_normal((40, 3)), jnp.float32)
    signs = jnp.sign(rows[:, 0])

    def logistic(w):
        return jnp.mean(jax.nn.softplus(-signs * (rows @ w))) + 0.01 * w @ w

    answer = qed.minimize(logistic, jnp.zeros(3), inequality=lambda w: w + 1.0)
    free = qed.minimize(logistic, jnp.zeros(3))
    assert str(answer.reason) == "minimum"
    np.testing.assert_allclose(answer.x, free.x, atol=1e-4)
