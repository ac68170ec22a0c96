"""On a sum of squares a run changes between Newton's model and that of Gauss and Newton, whichever tells more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.objective import FEW, Objective
from qed.optimization.two_models import TwoModels

AT = np.linspace(0.0, 4.0, 30)


def decay(x):
    return x[0] * jnp.exp(-x[1] * AT) + x[2] * jnp.exp(-x[3] * AT)


DATA = np.asarray(decay(np.array([2.0, 0.7, 1.0, 3.0]))) + 0.02 * np.sin(37 * AT)


def two_exponentials(x):
    return jnp.sum((decay(x) - DATA) ** 2)


def valley(x):
    return 100 * (x[1] - x[0] ** 3) ** 2 + (1 - x[0]) ** 2


def logistic(x):
    return jnp.mean((x[0] / (1 + jnp.exp(-x[1] * (AT - x[2]))) - 3 / (1 + jnp.exp(-2 * (AT - 2)))) ** 2)


def words(answer):
    return [r.text for r in answer.reasons if r.role == "method" and "the matrix of first derivatives" in r.text]


PROBLEMS = {
    "two exponentials": (two_exponentials, [1.0, 1.0, 3.0, 2.0]),
    "valley": (valley, [-1.2, 1.0]),
    "logistic": (logistic, [1.0, 0.5, 1.0]),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_sum_of_squares_takes_fewer_values_than_newton_alone(name):
    fun, start = PROBLEMS[name]
    with jax.enable_x64(True):
        both = qed.minimize(fun, jnp.array(start))
        alone = qed.minimize(fun, jnp.array(start), method="newton")
        slope = jax.grad(fun)(both.x)
    assert str(both.reason) in ("minimum", "flat_minimum") and np.abs(slope).max() < 1e-8
    assert both.value.fun <= alone.value.fun * (1 + 1e-9) + 1e-18
    assert both.counts["values"] < alone.counts["values"]
    assert words(both) and not words(alone)


def test_residuals_that_stay_large_leave_the_choice_to_second_derivatives():
    def far_away(x):
        return jnp.sum((jnp.stack([x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7, 5 * jnp.sin(x[0]) - 40])) ** 2)

    with jax.enable_x64(True):
        objective = Objective(read(far_away, jnp.array([1.0, 1.0])))
        two = TwoModels(objective)
        answer = qed.minimize(far_away, jnp.array([1.0, 1.0]))
        here = objective.at(np.asarray(answer.x) + 1e-3)
        two.at(here.x)
        move = -np.linalg.solve(two.matrix, here.g)
        assert two.changed(here, objective.at(here.x + move), move, None)
    assert two.use == "second derivatives" and str(answer.reason) == "minimum" and answer.proved


def test_a_trial_that_is_no_number_changes_nothing_and_an_infinite_matrix_is_not_used():
    with jax.enable_x64(True):
        objective = Objective(read(lambda x: jnp.sum(jnp.log(x) ** 2), jnp.array([2.0])))
        two = TwoModels(objective)
        here = objective.at(np.array([2.0]))
        two.at(here.x)
        assert not two.changed(here, objective.at(np.array([-1.0])), np.array([-3.0]), None)
        two.matrices = {}
        objective.small_squares = type("Infinite", (), {"matrix": lambda self, x: np.full((1, 1), np.inf)})()
        assert np.isfinite(two.at(here.x)).all() and two.use == "second derivatives"


def test_many_parameters_have_one_model():
    assert Objective(read(lambda x: jnp.sum(jnp.outer(x, x) ** 2), jnp.ones(FEW + 1))).small_squares is None


def test_a_plateau_beside_the_data_is_left_by_another_road():
    """The first road ends where both exponentials have died out: the others are tried, and their ends looked at."""

    def misfit(x):
        return jnp.sum((x[0] + x[1] * jnp.exp(-AT * x[3]) + x[2] * jnp.exp(-AT * x[4]) - DATA) ** 2)

    with jax.enable_x64(True):
        answer = qed.minimize(misfit, jnp.array([50.0, 150.0, -100.0, 1.0, 2.0]))
    assert answer.value.fun < 0.1


def test_a_flat_minimum_of_a_convex_function_is_the_end():
    """Two equal columns: x is not determined, f is, and no other road is taken."""
    rows = np.sin(np.arange(60.0)).reshape(20, 3)
    twice, wanted = np.hstack([rows, rows]), np.cos(np.arange(20.0))
    with jax.enable_x64(True):
        answer = qed.minimize(lambda w: jnp.mean((twice @ w - wanted) ** 2), jnp.ones(6))
    assert str(answer.reason) == "flat_minimum" and answer.counts["values"] <= 4
