"""Narrow valleys: steps counted against the condition and its root, and the zigzag that they are taken in."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization.stepping.valleys import valleys


def valley(w):
    return 50 * w[0] ** 2 + 0.5 * w[1] ** 2


def test_steps_grow_with_the_condition_and_with_momentum_with_its_root():
    found = valleys()
    for each in found:
        assert each.plain == each.predicted_plain
        assert each.heavy == each.predicted_heavy
        k = each.condition
        assert each.cosine_plain == pytest.approx((1 - k * k) / (1 + k * k), abs=1e-9)
        assert each.plain == pytest.approx(np.log(100) / 2 * k, rel=0.02)
        assert each.heavy < 5.1 * np.sqrt(k)


def test_the_own_valley_is_that_of_the_steepest_and_flattest_direction():
    def rotated(w):
        return jnp.exp(0.01 * (w[0] - w[1])) + 20 * (w[0] + w[1]) ** 2 + 0.5 * (w[0] - w[1]) ** 2 + w[2] ** 2

    own = qed.step_size(rotated, jnp.array([0.1, 0.1, 0.0]), optimizer="sgd:0.01,momentum=0.9").value.valleys[-1]
    assert own.own
    assert own.condition == pytest.approx(40, rel=1e-3)
    assert own.plain == pytest.approx(own.predicted_plain, abs=1)
    assert own.heavy == pytest.approx(own.predicted_heavy, abs=1)
    saddle = qed.step_size(lambda w: w[0] ** 2 - w[1] ** 2, jnp.ones(2), optimizer="sgd:0.01,momentum=0.9")
    assert not any(each.own for each in saddle.value.valleys)


def test_a_run_that_goes_to_and_fro_is_told_with_the_momentum_that_was_tried():
    answer = qed.step_size(valley, jnp.ones(2), optimizer="sgd:0.0195")
    assert [finding.code for finding in answer.findings] == ["QED417"]
    assert answer.value.zigzag < -0.9
    assert answer.advice[0].trial.end < 1e-6 < answer.tried[-1][2]


def test_a_straight_run_is_no_zigzag():
    answer = qed.step_size(valley, jnp.ones(2), optimizer="sgd:0.009")
    assert answer.value.zigzag > 0
    assert not answer.findings
    assert not qed.step_size(lambda w: jnp.sum(w**2), jnp.ones(2), optimizer="sgd:0.9").findings
