"""A run that stands still at a saddle is told, with the runs that left it; one that rests at a minimum is not."""

import jax
import jax.numpy as jnp
import pytest

import qed

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (64, 5))
Y = jnp.sin(X[:, 0])
RANDOM = {"a": 0.3 * jax.random.normal(KEYS[1], (5, 6)), "b": 0.3 * jax.random.normal(KEYS[2], (6,))}
ZERO = jax.tree.map(jnp.zeros_like, RANDOM)


def network(w):
    return jnp.mean((jnp.tanh(X @ w["a"]) @ w["b"] - Y) ** 2)


def led_in(v):
    """Falls along v[0] to a saddle at 0; the descent never sees v[1]."""
    return v[0] ** 2 - v[1] ** 2 + v[1] ** 4


def quartic(v):
    return jnp.sum(v**4)


def two_wells(v):
    return jnp.sum((v**2 - 1) ** 2) + 1


def found(loss, at, step):
    return qed.why(qed.Problem(loss, at, step=step))


@pytest.mark.parametrize(
    ("loss", "at", "step", "text"),
    [
        (network, ZERO, "sgd:0.3", "it starts at a saddle"),
        (led_in, jnp.array([1.0, 0.0]), "sgd:0.05", "it comes to rest at a saddle"),
        (led_in, jnp.zeros(2), "adam:0.1", "it starts at a saddle"),
        (two_wells, jnp.zeros(3), "sgd:0.05", "it starts at a saddle"),
    ],
)
def test_a_run_that_rests_at_a_saddle_is_told_with_what_left_it(loss, at, step, text):
    answer = found(loss, at, step)
    saddle = next(finding for finding in answer.findings if finding.code == "QED303")
    assert text in answer.headline
    assert answer.refuted
    assert answer.value.verdict == "mistake"
    assert saddle.witness["curvature"] < 0
    assert saddle.witness["falls_to"] < saddle.witness["loss"]
    assert answer.advice
    assert all(advice.trial.end < answer.value.losses[-1] for advice in answer.advice)
    assert answer.check()


@pytest.mark.parametrize(
    ("loss", "at", "step"),
    [
        (network, RANDOM, "sgd:0.3"),
        (led_in, jnp.array([1.0, 1e-3]), "sgd:0.1"),
        (quartic, jnp.zeros(2), "sgd:0.1"),
        (quartic, jnp.ones(2), "sgd:0.1"),
        (two_wells, jnp.array([0.5, -0.5, 1.0]), "sgd:0.05"),
    ],
)
def test_a_run_that_moves_or_rests_at_a_minimum_is_healthy(loss, at, step):
    answer = found(loss, at, step)
    assert [finding.code for finding in answer.findings] == []
    assert answer.value.verdict == "healthy"
