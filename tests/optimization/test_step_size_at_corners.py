"""No stable step is told where f has no second derivative; one that is safe from everywhere is, where it is proved."""

import jax
import jax.numpy as jnp
import pytest

import qed


def apart(g):
    return lambda x: jnp.where(x == 0, 0.0, g(jnp.where(x == 0, 1.0, x)))


def quantile(r):
    return jnp.maximum(0.3 * r, -0.7 * r)


CORNERS = {
    "a power below 2": (lambda x: apart(lambda u: jnp.abs(u) ** 1.7)(x[0]) + x @ x, jnp.array([0.0, 2.0])),
    "a quantile": (lambda x: jnp.sum(quantile(x - jnp.array([1.0, 3.0]))) + 2 * x @ x, jnp.array([1.0, 0.0])),
    "a length": (lambda x: jnp.sqrt(jnp.where(x @ x == 0, 1.0, x @ x)) + 3 * x @ x, jnp.zeros(3)),
    "an oscillation": (lambda x: apart(lambda u: u**2 * jnp.cos(1 / u))(x) + 2 * x**2, 0.0),
    "the greatest of three": (lambda x: jnp.max(jnp.stack([x[0] + x[1], x[0] ** 2, 2 * x[1]])) + x @ x, jnp.zeros(2)),
}


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("optimizer", [None, "sgd:0.1,momentum=0.8"])
def test_at_a_corner_no_step_is_told(name, optimizer):
    answer = qed.step_size(*CORNERS[name], optimizer=optimizer)
    assert answer.unknown, answer.headline
    assert answer.missing[0].code == "QED104"


@pytest.mark.parametrize("optimizer", [None, "adam:1e-3", "newton"])
def test_the_step_that_is_safe_from_everywhere_is_told_there(optimizer):
    def fun(x):
        return jnp.sum(jnp.where(jnp.abs(x) < 2, x**2, 4 * jnp.abs(x) - 4)) + x[1] ** 2

    answer = qed.step_size(fun, jnp.array([2.0, 1.0]), optimizer=optimizer)
    assert answer.unknown
    assert "No gradient step below 0.4999 raises f, from anywhere." in answer.headline
    assert answer.answers[0].proved


def test_where_a_tie_is_smooth_the_step_is_told():
    rows = jnp.array([[1.0, -1.0], [2.0, 0.5], [0.5, 1.0]])
    answer = qed.step_size(lambda w: jnp.mean(jax.nn.softplus(rows @ w)) + w @ w, jnp.zeros(2))
    assert answer.standing is qed.Standing.MEASURED
    truth = jnp.linalg.eigvalsh(rows.T @ rows / 12 + 2 * jnp.eye(2))[-1]
    assert answer.upper == pytest.approx(2 / float(truth), rel=1e-3)
