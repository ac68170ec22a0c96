"""Losses that are means over draws: what they are in expectation, draws that are fitted, and the gap of a bound."""

import jax
import jax.numpy as jnp
import pytest

import qed
from qed.graph.trace import trace
from qed.why.mistakes.expected import _normal_draw
from qed.why.mistakes.flat import flatten

KEY = jax.random.key(3)
DATA = jnp.array([1.0, 2.0, 0.5])
LOG_2PI = jnp.log(2 * jnp.pi)


def fitted(w, key=KEY):
    e = jax.random.normal(key, (4,))
    return jnp.mean((w[0] * e + w[1] * e**2 + w[2] - jnp.sin(3 * e)) ** 2)


def bound(w, key):
    e = jax.random.normal(key, (4,))
    z = w[0] + jnp.exp(w[1]) * e
    joint = -((z / 2) ** 2) / 2 - jnp.log(2.0) - 2 * LOG_2PI - jnp.sum((DATA[:, None] - z) ** 2, 0) / 2
    return jnp.mean(-(e**2) / 2 - w[1] - LOG_2PI / 2 - joint)


def told(answer):
    (found,) = [one for one in answer.answers if one.claim.startswith("the loss is the mean of 4 draws")]
    return found


@pytest.mark.slow
def test_draws_that_are_fitted():
    answer = qed.why(qed.Problem(fitted, jnp.full(3, 0.1), step="sgd:0.1"))
    assert [finding.code for finding in answer.findings] == ["QED611"]
    first, last = told(answer).answers
    assert first.proved and last.proved and last.value > first.value


@pytest.mark.slow
def test_a_new_key_at_each_step_fits_nothing():
    answer = qed.why(qed.Problem(fitted, jnp.full(3, 0.1), key=KEY, step="sgd:0.02"))
    assert "QED611" not in [finding.code for finding in answer.findings]
    first, last = told(answer).answers
    assert last.value < first.value


@pytest.mark.slow
def test_the_gap_of_an_evidence_lower_bound():
    answer = qed.why(qed.Problem(bound, jnp.array([-2.0, 1.0]), key=KEY, step="sgd:0.03"))
    reason = told(answer).reasons[-1]
    assert reason.predicted == pytest.approx(-4.779675, abs=1e-4) and reason.observed == pytest.approx(
        -4.779675, abs=1e-4
    )
    assert "evidence lower bound" in told(answer).claim


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda w, k: jnp.mean((w - jax.random.normal(k, (4,))) ** 2), True),
        (lambda w, k: jnp.mean((w - jax.random.uniform(k, (4,))) ** 2), False),
        (lambda w, k: jnp.mean((w - jax.random.normal(k, (4,)) * jax.random.uniform(k)) ** 2), False),
        (lambda w, k: jnp.mean((w - w * jax.scipy.special.erfinv(w)) ** 2), False),
        (lambda w, k: jax.lax.fori_loop(0, 3, lambda i, x: x - w * jnp.mean(jax.random.normal(k, (4,))), w), False),
    ],
)
def test_only_a_draw_of_normal_numbers_is_read(loss, found):
    traced = trace(loss, jnp.array(0.1), KEY)
    assert (_normal_draw(flatten(traced.graph, (0,))) is not None) == found
