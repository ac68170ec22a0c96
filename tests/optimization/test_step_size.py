"""`qed.step_size`: exact on quadratics, tried on both sides of the limit, local elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.errors import QedError

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((40, 3)), jnp.float32)
SIGNS = jnp.sign(X[:, 0] + 0.3)


def valley(w):
    return 50 * w[0] ** 2 + 0.5 * w[1] ** 2


def logistic(w):
    return jnp.mean(jax.nn.softplus(-SIGNS * (X @ w)))


def test_the_limit_of_a_quadratic_is_two_over_its_curvature():
    a = RNG.standard_normal((6, 4))
    matrix = jnp.asarray(a.T @ a, jnp.float32)
    values = np.linalg.eigvalsh(a.T @ a)
    answer = qed.step_size(lambda w: w @ matrix @ w / 2, jnp.ones(4))
    assert answer.standing == "MEASURED"
    assert answer.lower == 0.0
    assert answer.upper == pytest.approx(2 / values[-1], rel=1e-4)
    assert answer.best == pytest.approx(2 / (values[0] + values[-1]), rel=1e-4)
    assert answer.contraction == pytest.approx((values[-1] - values[0]) / (values[-1] + values[0]), rel=1e-4)
    assert answer.check()
    for reason in answer.reasons[1:3]:  # two runs a little apart
        assert reason.observed == pytest.approx(reason.predicted, rel=1e-2)


@pytest.mark.parametrize(
    ("optimizer", "limit"),
    [
        (None, 2 / 100),
        ("sgd:0.001", 2 / 100),
        ("sgd:0.001,momentum=0.5", 3 / 100),
        ("sgd:0.001,momentum=0.5,nesterov", 3 / 200),
        (optax.sgd(0.001, momentum=0.5), 3 / 100),
    ],
)
def test_runs_below_the_limit_fall_and_above_it_rise(optimizer, limit):
    answer = qed.step_size(valley, jnp.ones(2), optimizer=optimizer)
    assert answer.upper == pytest.approx(limit, rel=1e-4)
    for step, start, end in answer.tried:
        if step < 0.96 * limit:
            assert end < start
        if step > 1.04 * limit:
            assert not end < start


def test_the_best_step_contracts_as_is_said():
    answer = qed.step_size(valley, jnp.ones(2))
    w, step = np.ones(2), answer.best
    for _ in range(20):
        w = w - step * np.array([100.0, 1.0]) * w
    assert np.linalg.norm(w) == pytest.approx(np.sqrt(2) * answer.contraction**20, rel=1e-3)
    assert answer.halving == pytest.approx(np.log(0.5) / np.log(99 / 101), rel=1e-3)


def test_a_step_that_is_safe_everywhere_is_proved():
    answer = qed.step_size(logistic, jnp.zeros(3))
    assert answer.answers[0].proved
    assert answer.safe == pytest.approx(2 / answer.answers[0].upper)
    assert answer.safe <= answer.upper * (1 + 1e-5)


def test_an_adaptive_rule_is_judged_with_its_second_moment_frozen():
    w, gradient = jnp.array([1.0, 2.0]), np.array([100.0, 2.0])
    answer = qed.step_size(valley, w, optimizer="adam:1e-2")
    preconditioned = np.array([100.0, 1.0]) / gradient
    assert answer.upper == pytest.approx((2 + 2 * 0.9) / (1 - 0.9) / preconditioned.max(), rel=0.05)


def test_what_has_no_limit_says_so():
    hill = qed.step_size(lambda w: -jnp.sum(w**2), jnp.ones(2))
    assert np.isinf(hill.value.upper)
    assert hill.best is None
    saddle = qed.step_size(lambda w: w[0] ** 2 - w[1] ** 2, jnp.ones(2))
    assert saddle.upper == pytest.approx(1.0, rel=1e-4)
    assert saddle.best is None
    assert qed.step_size(lambda w: jnp.sum(w) * jnp.nan, jnp.ones(2)).unknown
    assert qed.step_size(valley, jnp.zeros(2), optimizer="adam:0.1").unknown


@pytest.mark.parametrize(
    ("fun", "x", "optimizer", "code"),
    [
        (valley, jnp.ones(2), "sgd", "QED005"),
        (valley, jnp.ones(2), "sgd:-1", "QED005"),
        (lambda w: w, jnp.ones(2), None, "QED002"),
        (valley, jnp.array([1, 2]), None, "QED003"),
    ],
)
def test_bad_input_is_refused(fun, x, optimizer, code):
    with pytest.raises(QedError) as error:
        qed.step_size(fun, x, optimizer=optimizer)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("fun", "limit"),
    [
        (lambda w: 0.5 * (w[0] + 0.5 * w[1] - 1 - 0.9 * jax.lax.stop_gradient(2 * w[0] + w[1])) ** 2, 0.0),
        (lambda w: w[0] * jax.lax.stop_gradient(w[1]) - w[1] * jax.lax.stop_gradient(w[0]) + 0.1 * w @ w, 0.4 / 1.04),
        (lambda w: jnp.sum((w + jax.lax.stop_gradient(jnp.round(w) - w)) ** 2), None),
        (lambda w: jnp.log(jnp.sum(jnp.exp(2 * w - jax.lax.stop_gradient(2 * jnp.max(w))))) + w @ w, None),
    ],
    ids=["temporal differences", "rotation", "straight through", "nothing left out"],
)
def test_where_the_gradient_is_of_no_function_the_field_decides(fun, limit):
    at = jnp.array([0.3, -0.2])
    answer = qed.step_size(fun, at, optimizer="sgd:0.1")
    if limit is None:
        assert answer.unknown == ("round" in str(jax.make_jaxpr(fun)(at)))
        return
    assert answer.measured and answer.upper == pytest.approx(limit, abs=1e-4) and answer.check()
    for reason in answer.reasons[1:]:
        assert reason.observed == pytest.approx(reason.predicted, rel=1e-2)
    assert qed.step_size(fun, at, optimizer="sgd:0.1,momentum=0.9").unknown
