"""The steps of Newton and L-BFGS beside their models, and their price."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError

SCALES = jnp.asarray(np.geomspace(1, 100, 30))


def bowl(w):
    return 0.5 * jnp.sum(SCALES * (w - 1) ** 2) + jnp.log(jnp.cosh(0.1 * jnp.sum(w)))


def chain(w):
    return jnp.sum((w[1:] - w[:-1]) ** 2) + jnp.sum(jnp.cosh(w - 1))


def test_the_step_is_the_minimiser_of_the_model():
    with jax.enable_x64(True):
        answer = qed.step_size(bowl, jnp.zeros(30), optimizer="newton")
        found = answer.value.curved
        assert found.definite
        assert answer.upper == 2.0
        assert answer.best == 1.0
        assert found.observed == pytest.approx(found.predicted, rel=0.05)
        assert found.bytes == 8 * 900
        cosines = [each.cosine for each in found.memories]
        assert [each.m for each in found.memories] == [1, 5, 20]
        assert [each.bytes for each in found.memories] == [480, 2400, 9600]
        assert all(0 < cosine <= 1 + 1e-12 for cosine in cosines)  # of positive definite guesses, up to their condition
        assert found.newton.ended
        assert found.memory.ended
        assert found.newton.steps < found.memory.steps
        assert found.winner_at_100 == "l-bfgs"  # a Hessian of 3000 parameters as dense as this one
        assert answer.check()
        limited = qed.step_size(bowl, jnp.zeros(30), optimizer="l_bfgs")
        assert limited.upper == limited.value.curved.memories[-1].limit


def test_where_the_hessian_is_a_band_newton_stays_cheap():
    found = qed.step_size(chain, jnp.zeros(20), optimizer="newton").value.curved
    assert found.newton.at_100 < 1000 * found.newton.operations


def test_at_a_saddle_the_step_is_no_minimiser_and_too_many_parameters_are_refused():
    answer = qed.step_size(lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4, jnp.array([0.1, 0.1]), optimizer="newton")
    assert not answer.value.curved.definite
    assert answer.best is None
    assert "no minimum" in answer.claim
    with pytest.raises(QedError) as error:
        qed.step_size(lambda w: jnp.sum(w**2), jnp.ones(2000), optimizer="newton")
    assert error.value.code == "QED007"
