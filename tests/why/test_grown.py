"""An overflow inside a loop: the end of a growth, or one large number."""

import jax
import jax.numpy as jnp

import qed


def texts(answer):
    return " ".join(reason.text or "" for part in answer.answers for reason in part.reasons)


def test_a_loop_that_diverges_is_told_by_its_growth():
    def loss(w):  # gradient descent on w^2 whose step is far too large
        def step(x, _):
            return x - 600.0 * jnp.float32(x), None

        x, _ = jax.lax.scan(step, w, None, length=30)
        return jnp.sum(x * 0.5)

    answer = qed.why(qed.Problem(loss, jnp.array([1.0, -2.0])))
    assert answer.refuted and "the loop diverges" in texts(answer), str(answer)
    assert "the range of float32 is too small" not in texts(answer)


def test_one_large_number_in_a_loop_is_no_growth():
    def loss(w):
        def step(x, k):
            return x + jnp.where(k == 6.0, jnp.exp(x * 0.0 + 95.0), 0.0), None

        x, _ = jax.lax.scan(step, w, jnp.arange(10.0))
        return jnp.sum(x)

    answer = qed.why(qed.Problem(loss, jnp.array([1.0, -2.0])))
    assert answer.refuted and "diverges" not in texts(answer), str(answer)
    assert "the range of float32 is too small" in texts(answer)
