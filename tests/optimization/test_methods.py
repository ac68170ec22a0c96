"""Every method ends at the minimum, says what a step costs and how fast it was; updates of optax, whole or by rows."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import qed
from qed.errors import QedError
from qed.optimization.methods import METHODS

SCALES = np.array([1.0, 10.0, 100.0], np.float32)
RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((64, 3)).astype(np.float32)
RIGHT = (ROWS @ np.array([1, 2, -1]) + 0.3 * RNG.standard_normal(64)).astype(np.float32)


def bowl(x):
    return 0.5 * jnp.sum(SCALES * (x - 1) ** 2)


def squares(w, rows, right):
    return jnp.mean((rows @ w - right) ** 2)


def words(answer, role):
    return " ".join(str(reason.text) for reason in answer.reasons if reason.role == role)


@pytest.mark.parametrize("bounds", [None, (-1.0, 0.75)])
@pytest.mark.parametrize("method", METHODS)
def test_each_method_ends_at_the_minimum(method, bounds):
    if method == "trust-krylov" and bounds is not None:
        with pytest.raises(QedError):
            qed.minimize(bowl, jnp.zeros(3), method=method, bounds=bounds)
        return
    answer = qed.minimize(bowl, jnp.zeros(3), method=method, bounds=bounds, tol=1e-4)
    assert answer.reason == "minimum"
    np.testing.assert_allclose(answer.x, 1.0 if bounds is None else 0.75, atol=2e-4)
    assert f"{method} takes" in words(answer, "cost")


def test_momentum_needs_fewer_steps_than_the_gradient_and_nesterov_too():
    steps = {m: qed.minimize(bowl, jnp.zeros(3), method=m, tol=1e-4).counts["steps"] for m in METHODS}
    assert steps["nesterov"] < 0.6 * steps["gradient"]
    assert steps["heavy-ball"] < 0.6 * steps["gradient"]
    assert steps["newton"] <= 3
    assert qed.minimize(bowl, jnp.zeros(3), method="heavy ball", tol=1e-4).counts["steps"] == steps["heavy-ball"]


@pytest.mark.parametrize("method", ["sgd:0.1,momentum=0.9,nesterov", optax.adam(0.1)])
def test_updates_of_optax_end_at_the_minimum(method):
    answer = qed.minimize(squares, jnp.zeros(3), ROWS, RIGHT, method=method, tol=1e-4)
    assert answer.reason == "minimum"
    assert "by 0." in words(answer, "rate")


def test_the_floor_of_mini_batches_falls_with_the_rate_and_the_rows():
    best = qed.minimize(squares, jnp.zeros(3), ROWS, RIGHT).fun
    left = {
        (rate, rows): qed.minimize(
            squares, jnp.zeros(3), ROWS, RIGHT, method=f"sgd:{rate},batch={rows}", max_steps=600
        ).fun
        - best
        for rate, rows in ((0.2, 4), (0.02, 4), (0.2, 32))
    }  # fmt: skip
    assert left[0.02, 4] < 0.3 * left[0.2, 4]
    assert left[0.2, 32] < 0.3 * left[0.2, 4]


def test_a_run_that_diverges_is_said():
    answer = qed.minimize(squares, jnp.zeros(3), ROWS, RIGHT, method="sgd:10.0")
    assert answer.reason == "not_stationary"
    assert "diverged" in answer.headline


@pytest.mark.parametrize("method", ["magic", "sgd", 3, "sgd:0.1,batch=0", "adamm:0.1", "sgd:0.1,batch=8"])
def test_a_method_that_is_none_is_refused_with_those_that_are(method):
    with pytest.raises(QedError) as error:
        qed.minimize(bowl, jnp.zeros(3), method=method)
    assert error.value.code in ("QED005", "QED007")
    if method in ("magic", "sgd", 3):
        assert all(name in error.value.because for name in METHODS)
