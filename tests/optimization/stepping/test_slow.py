"""A step that is needlessly small: counted against larger ones, and silent where nothing is five times as fast."""

import jax.numpy as jnp
import pytest

import qed


def bowl(w):
    return 2 * w[0] ** 2 + 0.5 * w[1] ** 2


def test_a_step_far_too_small_is_told_with_what_was_counted():
    answer = qed.step_size(bowl, jnp.ones(2), optimizer="sgd:0.005")
    assert [finding.code for finding in answer.findings] == ["QED422"]
    found = answer.slower
    assert found.ratio >= 5 and found.taken == 100 and 1 <= found.needed <= 20
    w = jnp.ones(2)
    for _ in range(found.needed):
        w = w - found.step * jnp.array([4.0, 1.0]) * w
    assert bowl(w) <= answer.tried[-1][2] * (1 + 1e-5)
    (reason,) = [each for each in answer.reasons if each.role == "slow"]
    assert reason.predicted == pytest.approx(102, rel=0.02)  # log(0.6) / log(1 - 0.005)
    assert answer.advice[0].trial.end < answer.tried[-1][2] and answer.advice[0].patch == f"sgd:{found.step:g}"


@pytest.mark.parametrize(
    ("optimizer", "start"),
    [("sgd:0.09", (1.0, 1.0)), ("sgd:0.4", (1.0, 1.0)), ("sgd:0.01", (0.0, 0.0))],  # near the limit; best; at rest
)
def test_nothing_is_said_of_a_step_that_no_other_beats_five_times(optimizer, start):
    answer = qed.step_size(bowl, jnp.array(start), optimizer=optimizer)
    assert "QED422" not in [finding.code for finding in answer.findings]


def test_of_a_step_that_is_lost_in_rounding_no_fall_is_told():
    """Of steps of 1e-30 from 1 none changes a float: nothing is said of how low they go."""
    answer = qed.step_size(bowl, jnp.ones(2), optimizer="sgd:1e-30")
    assert not answer.slower.moved and answer.tried[-1][2] >= bowl(jnp.ones(2))
    (found,) = answer.findings
    assert "100 steps of 1e-30 do not lower f" in found.message and "as low as" not in found.message


def test_where_a_larger_step_leads_higher_the_small_one_is_not_blamed():
    """Curvature 2 at the start and 2,000 below 0.9: steps that are stable at the start are not on the way."""
    answer = qed.step_size(lambda x: jnp.where(x > 0.9, x**2, 1000 * x**2 - 1798.2 * x + 809.19), 1.0, optimizer=1e-3)
    assert answer.slower is None or answer.slower.trial.end <= answer.tried[-1][2] * (1 + 1e-5)
