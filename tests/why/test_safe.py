"""The proved safe step: given where the gradient is Lipschitz everywhere, true of every run, silent elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(20, 3)) * [1.0, 2.0, 3.0], jnp.float32)
Y = jnp.asarray(np.sign(RNG.normal(size=20)), jnp.float32)
TOP = float(np.linalg.eigvalsh(np.asarray(X, float).T @ np.asarray(X, float))[-1]) / 20


def squares(w):
    return jnp.mean((X @ w - Y) ** 2)


def logistic(w):
    return jnp.mean(jnp.log(1 + jnp.exp(-Y * (X @ w))))


def network(w):
    return jnp.mean((jnp.tanh(X @ w) * w[0] - Y) ** 2)


def proved(answer):
    return [part for part in answer.answers if part.proved and "lowers the loss" in part.claim]


@pytest.mark.parametrize(("loss", "constant"), [(squares, 2 * TOP), (logistic, TOP / 4)])
def test_it_is_two_over_the_constant_and_no_step_below_it_raises_the_loss(loss, constant):
    answer = qed.why(qed.Problem(loss, at=jnp.zeros(3), step=0.9 / constant))
    (safe,) = proved(answer)
    assert 2 / constant * (1 - 1e-5) <= float(safe.value or 0.0) <= 2 / constant
    assert safe.check() and safe.arithmetic == "reals"
    assert "PROVED" in str(answer) and "any step below" in str(answer)
    w = jnp.asarray(RNG.normal(size=(50, 3)) * 5, jnp.float32)
    after = w - 0.99 * float(safe.value or 0.0) * jax.vmap(jax.grad(loss))(w)
    assert np.all(jax.vmap(loss)(after) <= jax.vmap(loss)(w) * (1 + 1e-5))


def test_nothing_is_said_where_no_constant_holds_everywhere():
    assert proved(qed.why(qed.Problem(network, at=jnp.ones(3), step=0.01))) == []
    assert proved(qed.why(qed.Problem(lambda w: jnp.sum(jnp.abs(w)), at=jnp.ones(3), step=0.01))) == []


def test_where_no_constant_holds_everywhere_it_is_about_a_box_that_the_run_was_seen_in():
    def poisson(w):
        return jnp.mean(jnp.exp(X @ w / 3) - jnp.abs(Y) * (X @ w))

    answer = qed.why(qed.Problem(poisson, at=jnp.zeros(3), step=0.05))
    (safe,) = proved(answer)
    assert safe.claim.startswith("on the box of ±") and "that stays in it" in safe.claim and safe.check()
    radius = float(safe.certificate.box_upper[0][0])
    seen = np.asarray(answer.losses)
    assert 0 < radius < 10 and np.all(np.isfinite(seen))
    w = jnp.asarray(RNG.uniform(-radius, radius, size=(50, 3)), jnp.float32)
    after = w - 0.99 * float(safe.value or 0.0) * jax.vmap(jax.grad(poisson))(w)
    inside = np.all(np.abs(after) <= radius, 1)
    assert inside.any()
    assert np.all((jax.vmap(poisson)(after) <= jax.vmap(poisson)(w) * (1 + 1e-5))[inside])


def test_nothing_is_said_of_other_rules():
    assert proved(qed.why(qed.Problem(squares, at=jnp.zeros(3), step="sgd:0.01,momentum=0.9"))) == []
    assert proved(qed.why(qed.Problem(squares, at=jnp.zeros(3), step="adam:0.01"))) == []
