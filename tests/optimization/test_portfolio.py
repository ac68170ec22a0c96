"""Where Newton's steps are spent: another method from the same start, and one radius for parameters of unlike sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.sparse import full_hessian
from qed.graph.function import read
from qed.optimization.bounds import bounds_of
from qed.optimization.minimize import _open
from qed.optimization.objective import Objective, Seen
from qed.optimization.portfolio import InUnits, elsewhere, solve
from qed.optimization.running import run
from qed.optimization.second_order import SecondOrder, second_order


def waves(x):
    """A bowl under waves whose Hessian says little about the way down, not written as a sum of squares."""
    return (1 - jnp.cos(40 * x[0])) * (1 - jnp.cos(40 * x[1])) / 4 + 0.05 * jnp.sum(x**2)


def test_a_function_under_waves_is_solved_by_another_method_than_the_first():
    with jax.enable_x64(True):
        answer = qed.minimize(waves, jnp.array([-506.0, -506.2]), tol=1e-6)
        assert abs(answer.fun) < 1e-9
        assert answer.reason == "minimum"
        (told,) = [reason for reason in answer.reasons if reason.rule == "methods one after the other"]
        assert "bfgs" in told.text
        # a budget or a method that the user gives is kept to
        kept = qed.minimize(waves, jnp.array([-506.0, -506.2]), max_steps=100)
        assert kept.counts["steps"] <= 100
        assert not [reason for reason in kept.reasons if reason.rule == "methods one after the other"]


def test_where_newton_is_enough_nothing_else_runs():
    answer = qed.minimize(lambda x: jnp.sum((x - 1) ** 2), jnp.zeros(3))
    assert not [reason for reason in answer.reasons if reason.rule == "methods one after the other"]


def test_units_change_the_parameters_and_not_the_function():
    with jax.enable_x64(True):
        objective = Objective(read(lambda x: x[0] ** 2 * x[1] + jnp.exp(x[1] / 1e3), jnp.array([2.0, 1e3])))
        units = np.array([0.5, 1e3])
        inside, u = InUnits(objective, units), np.array([4.0, 1.0])
        here, there = objective.at(u * units), inside.at(u)
        assert there.f == here.f
        np.testing.assert_allclose(there.g, here.g * units)
        np.testing.assert_allclose(inside.matrix(u), objective.matrix(u * units) * np.outer(units, units))


def test_a_start_of_unlike_sizes_is_walked_from_in_its_units():
    """x0 of 1e-4 and 1e6: the ball of radius 1 about the start holds the one far too loosely and the other too fast."""
    with jax.enable_x64(True):
        rows = jnp.arange(1.0, 9.0)

        def misfit(x):
            return jnp.sum((x[0] * jnp.exp(x[1] / (1e5 + 2e4 * rows)) - jnp.exp(3e5 / (1e5 + 2e4 * rows))) ** 2)

        objective = Objective(read(misfit, jnp.array([1e-4, 1e6])))
        ended, _ = solve(objective, objective.at(objective.start), bounds_of(None, objective.start), 1e-6, 60)
        assert ended.here.f < 1e-8
        np.testing.assert_allclose(ended.here.x, [1.0, 3e5], rtol=1e-3)


def test_from_a_plateau_of_which_no_test_tells_what_it_is_another_method_goes():
    """A bump that Newton's first steps move away from the data: there the gradient fades, and nothing bends."""
    with jax.enable_x64(True):
        at = jnp.linspace(400.0, 500.0, 21)

        def bump(b):
            return b[0] / b[1] * jnp.exp(-((at - b[2]) ** 2) / (2 * b[1] ** 2))

        data = bump(jnp.array([1.55, 4.09, 451.5]))

        def misfit(b):
            return jnp.sum((bump(b) - data) ** 2) - 1e-30  # not read as a sum of squares

        start = jnp.array([1.0, 10.0, 500.0])
        answer = qed.minimize(misfit, start)
        assert answer.reason == "minimum" and answer.fun < 1e-12
        ways = ("a finer tolerance", "methods one after the other")
        assert [reason for reason in answer.reasons if reason.rule in ways]
        objective = Objective(read(misfit, start))
        box, begun = bounds_of(None, objective.start), objective.at(objective.start)
        first = run(objective, begun, box, "newton", 1e-8, 1000)
        lower, _ = next(elsewhere(objective, begun, first, box, 1e-8))
        assert first.how == "stationary" and lower.here.f < 1e-12 < first.here.f


def test_a_sum_of_squares_that_reached_its_least_possible_value_is_decided():
    answer = qed.minimize(lambda x: (x[0] - 5.0) ** 2 + x[1] ** 2 * x[2] ** 2 + x[1] ** 6, jnp.array([2.0, 5.0, 1.0]))
    assert str(answer.reason) in ("minimum", "flat_minimum") and answer.fun < 1e-8


def test_where_a_hessian_is_dear_gradients_are_asked_first(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((10, 4))

    def loss(w):
        return jnp.sum(jnp.logaddexp(0.0, -rows @ w)) + w @ w

    usual = qed.minimize(loss, jnp.zeros(4))
    monkeypatch.setattr("qed.optimization.objective.DEAR", 100.0)
    dear = qed.minimize(loss, jnp.zeros(4))
    assert (usual.method, dear.method) == ("newton", "l-bfgs")
    assert any("a Hessian would take 4 products" in str(reason.text) for reason in dear.reasons)
    assert np.allclose(usual.x, dear.x, atol=1e-3) and str(dear.reason) == "minimum"


def test_where_a_hessian_is_dear_one_tells_what_the_point_is(monkeypatch):
    rows = np.random.default_rng(0).standard_normal((10, 4))

    def loss(w):
        return jnp.sum(jnp.logaddexp(0.0, -rows @ w)) + w @ w

    monkeypatch.setattr("qed.optimization.objective.DEAR", 100.0)
    monkeypatch.setattr("qed.optimization.judging.WORK", 0)
    monkeypatch.setattr("qed.optimization.together.NUMBERS", 0)
    made = []
    matrix = SecondOrder.matrix
    monkeypatch.setattr(SecondOrder, "matrix", lambda self, at: made.append(at) or matrix(self, at))
    monkeypatch.setattr("qed.optimization.judging.critical_within", lambda *asked: pytest.fail("asked"))
    answer = qed.minimize(loss, jnp.zeros(4))
    assert (str(answer.reason), answer.method, len(made)) == ("minimum", "l-bfgs", 1)
    saddle = qed.verdict(lambda x: jnp.sum(jnp.cosh(rows @ x)) - 20 * x[0] ** 2, jnp.zeros(4))
    assert str(saddle.kind) == "saddle" and saddle.lowest < 0


def test_products_that_share_a_look_at_the_data_make_the_same_hessian(monkeypatch):
    rows = jnp.asarray(np.random.default_rng(0).standard_normal((10, 5)))
    function = read(lambda w: jnp.sum(jnp.logaddexp(0.0, -rows @ w)) + w @ w, jnp.ones(5))
    usual = full_hessian(function)(function.parameters).toarray()
    for name, least in (("WIDE", 0), ("BEYOND", 0), ("BLOCK", 2)):
        monkeypatch.setattr(f"qed.calculus.sparse.{name}", least)
    assert np.allclose(full_hessian(function)(function.parameters).toarray(), usual, rtol=1e-5)
    monkeypatch.setattr("qed.optimization.second_order.PATTERN", 0.0)
    monkeypatch.setattr("qed.optimization.second_order.sparse_hessian", lambda *asked, **more: pytest.fail("asked"))
    assert np.allclose(second_order(function).matrix(function.parameters), usual, rtol=1e-5)


def test_a_saddle_that_was_not_left_is_open_to_other_methods():
    answer = qed.verdict(lambda x: x[0] ** 5 + x[1] ** 2, jnp.zeros(2))
    here = Seen(np.zeros(2), 0.0, np.zeros(2))
    assert answer.kind == "saddle" and answer.measured and _open(answer, here, here)
