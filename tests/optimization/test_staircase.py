"""Accuracy, ranks and counts as losses: their gradient is 0, and a verdict says which operation no gradient passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

RNG = np.random.default_rng(1)
X = jnp.asarray(RNG.normal(size=(60, 3)), jnp.float32)
SCORES = X @ jnp.asarray(RNG.normal(size=(3, 3)), jnp.float32)
LABELS = jnp.argmax(SCORES, axis=1)
LEFT = SCORES[:, 0] > 0


def rank_loss(w):
    return jnp.mean((jnp.argsort(X @ w) - jnp.arange(60)) ** 2.0)


@pytest.mark.parametrize(
    ("loss", "shape", "name"),
    [
        (lambda w: -jnp.mean((jnp.argmax(X @ w, axis=1) == LABELS) * 1.0), (3, 3), "argmax"),
        (lambda w: jnp.mean(jnp.where((X @ w > 0) == LEFT, 0.0, 1.0)), (3,), "gt"),
        (rank_loss, (3,), "sort"),
        (lambda w: jnp.mean((jnp.asarray(3 * (X @ w), jnp.int32) - 2.0) ** 2), (3,), "convert_element_type"),
    ],
    ids=["accuracy", "zero-one", "ranks", "integers"],
)
def test_a_loss_of_steps_is_told_with_the_operation(loss, shape, name):
    for start in (jnp.ones(shape), jnp.asarray(RNG.normal(size=shape), jnp.float32)):
        answer = qed.verdict(loss, start)
        assert answer.measured and answer.kind == "stop_gradient"
        assert f"No gradient passes {name}" in answer.headline
        assert [finding.code for finding in answer.findings] == ["QED102"]


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda x: jnp.tanh(x[0]), [50.0]),
        (lambda x: jnp.sum(jnp.where(x > 0, x, 0.0)), [-1.0, -2.0]),
        (lambda x: 0.0 * jnp.sum(x > 0) + x[0] ** 2, [0.0]),
        (lambda x: jnp.sum(0.0 * x), [1.0, 2.0]),
        (lambda x: jnp.tanh(x[0]) * jnp.where(x[0] > 0, 1.0, 1.0), [50.0]),
        (lambda x: jnp.sum((x > 0) * x**2), [-1.0]),
    ],
    ids=["saturated", "dead relu", "square", "constant", "a choice of nothing", "dead square"],
)
def test_what_has_a_slope_somewhere_is_no_staircase(fun, start):
    with jax.enable_x64(True):
        assert qed.verdict(fun, jnp.array(start)).kind != "stop_gradient"
