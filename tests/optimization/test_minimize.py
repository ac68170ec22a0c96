"""Minimising: classics solved, bounds kept, saddles left; and the point found is called what it is."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import qed
from qed.errors import QedError
from qed.graph.function import read
from qed.optimization.bounds import bounds_of
from qed.optimization.objective import Objective, Seen
from qed.optimization.point import Judged, bottomless, fallen


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def beale(x):
    a = jnp.array([1.5, 2.25, 2.625])
    return jnp.sum((a - x[0] * (1 - x[1] ** jnp.arange(1, 4))) ** 2)


def scaled(x):
    return 0.5 * jnp.sum(jnp.array([1.0, 1e2, 1e4]) * (x - 1) ** 2)


@jax.custom_jvp
def flipped(x):
    return rosenbrock(x)


@flipped.defjvp
def _(primals, tangents):
    slope = jax.grad(rosenbrock)(primals[0])
    return flipped(*primals), jnp.vdot(slope * jnp.array([1.0, -1.0]), tangents[0])


@pytest.mark.parametrize("method", [None, "l-bfgs", "bfgs"])
def test_a_curved_valley_is_walked_to_its_end(method):
    answer = qed.minimize(rosenbrock, np.array([-1.2, 1.0], np.float32), method=method, tol=1e-3)
    assert answer.reason == "minimum"
    assert answer.value.method == (method or "newton")
    np.testing.assert_allclose(answer.x, 1.0, atol=2e-3)
    assert answer.x.dtype == np.float32
    assert answer.counts["values"] < 200


@pytest.mark.parametrize(("fun", "start", "at"), [(beale, [1.0, 1.0], [3.0, 0.5]), (scaled, [0.0] * 3, [1.0] * 3)])
def test_newton_solves_classics(fun, start, at):
    answer = qed.minimize(fun, np.array(start, np.float32), tol=1e-3)
    np.testing.assert_allclose(answer.x, at, atol=5e-3)
    assert answer.reason == "minimum"
    assert answer.check()


def test_a_start_on_the_ridge_of_a_saddle_leaves_it():
    answer = qed.minimize(lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, jnp.array([1.0, 0.0]), tol=1e-4)
    assert answer.reason == "minimum"
    assert abs(answer.fun + 0.25) < 1e-5
    assert abs(answer.x[1]) > 0.6


@pytest.mark.parametrize("method", [None, "l-bfgs"])
def test_bounds_hold_and_their_multipliers_are_slopes(method):
    box = ((-1.0, 0.5), (0.5, None))
    answer = qed.minimize(lambda x: (x[0] - 2) ** 2 + (x[1] + 1) ** 2, (0.0, 5.0), bounds=box, method=method)
    assert [float(v) for v in answer.x] == [0.5, 0.5]
    assert answer.reason == "minimum"
    assert [float(v) for v in answer.multipliers.upper] == [3.0, 0.0]
    assert [float(v) for v in answer.multipliers.lower] == [0.0, 3.0]


def test_a_start_outside_the_bounds_is_projected_and_fixed_numbers_stay():
    box = (jnp.array([0.0, 3.0]), jnp.array([1.0, 3.0]))
    answer = qed.minimize(lambda x: jnp.sum((x - 0.5) ** 2), jnp.array([9.0, 9.0]), bounds=box)
    np.testing.assert_allclose(answer.x, [0.5, 3.0])
    assert any("outside the bounds" in (reason.text or "") for reason in answer.reasons)


@pytest.mark.parametrize(
    ("fun", "start", "kind"),
    [
        (lambda x: x[0] ** 3 + x[1] ** 2, [1.0, 1.0], "unbounded_below"),
        (lambda x: -jnp.log(1 + x[0] ** 2) + x[1] ** 2, [1.0, 1.0], "unbounded_below"),
        (lambda x: jnp.log1p(jnp.exp(-x[0] - 2 * x[1])), [0.0, 0.0], "infimum_not_attained"),
        (lambda x: x[0] ** 4 + (x[1] - x[0]) ** 2, [0.0, 0.0], "flat_minimum"),
        (lambda x: jnp.abs(x[0] - 0.25) + 3 * jnp.abs(x[1] + 0.5), [1.0, 1.0], "kink"),
        (lambda x: (x[0] - 1) ** 2 + (jax.lax.stop_gradient(x[1]) + 2) ** 2, [1.2, 1.3], "stop_gradient"),
        (flipped, [-1.2, 1.0], "gradient_wrong"),
    ],
    ids=["cubic", "logarithm", "separable", "flat", "kink", "stopped", "flipped"],
)
def test_the_cause_is_named(fun, start, kind):
    answer = qed.minimize(fun, jnp.array(start), max_steps=50)
    assert answer.reason == kind
    assert answer.headline
    if kind == "kink":
        np.testing.assert_allclose(answer.x, [0.25, -0.5], atol=1e-4)


def test_a_verdict_takes_what_scipy_returns_and_says_whether_it_is_a_minimum():
    found = scipy.optimize.minimize(lambda x: float(rosenbrock(x)), [1.01, 1.01], method="Nelder-Mead", tol=1e-10)
    assert qed.verdict(rosenbrock, found).kind == "minimum"
    assert qed.verdict(rosenbrock, jnp.array([0.0, 0.0])).kind == "not_stationary"
    assert qed.verdict(lambda x: -jnp.sum(x**2), jnp.zeros(2)).kind == "maximum"
    assert qed.verdict(lambda x: jnp.sqrt(x[0] ** 2) + x[1] ** 2, jnp.zeros(2)).kind == "nonfinite"


def test_a_budget_that_is_spent_is_said():
    answer = qed.minimize(rosenbrock, jnp.array([-1.2, 1.0]), max_steps=2)
    assert answer.reason == "budget_spent"
    assert answer.counts["steps"] == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"bounds": (2.0, 1.0)}, "QED007"),
        ({"bounds": (float("nan"), 1.0)}, "QED007"),
        ({"method": "magic"}, "QED007"),
        ({"starts": 0}, "QED007"),
        ({"starts": 1.5}, "QED007"),
        ({"tol": "small"}, "QED007"),
        ({"max_steps": 2.5}, "QED007"),
        ({"equality": lambda x: x, "method": "newton"}, "QED007"),
        ({"compiled": True, "method": "newton"}, "QED007"),
        ({"compiled": True, "bounds": (0.0, 1.0)}, "QED007"),
    ],
)
def test_options_without_a_meaning_are_refused(options, code):
    with pytest.raises(QedError) as error:
        qed.minimize(lambda x: jnp.sum(x**2), jnp.ones(2), **options)
    assert error.value.code == code


def test_a_start_where_nothing_is_finite_says_where():
    with pytest.raises(QedError) as error:
        qed.minimize(lambda x: jnp.sum(jnp.log(x)), jnp.array([-1.0, 1.0]))
    assert error.value.code == "QED006"
    assert "log" in error.value.because
    for wrong, code in (
        (jnp.arange(2), "QED003"),
        (jnp.zeros(0), "QED004"),
        (jnp.array([jnp.nan]), "QED006"),
    ):
        with pytest.raises(QedError) as error:
            qed.minimize(lambda x: jnp.sum(x**2), wrong)
        assert error.value.code == code


def test_several_starts_show_the_places_they_end_at_and_how_far_apart_these_are():
    answer = qed.minimize(lambda x: (x**2 - 1) ** 2 + 0.3 * x, 1.0, starts=4)
    assert answer.fun < -0.29
    (told,) = [reason.text for reason in answer.reasons if "4 starts" in (reason.text or "")]
    places = r"1 of them at -0\.30542\d; 3 at 0\.29414\d, \|x - x of the lowest\| = 2"
    assert "ended at 2 places" in told and re.search(places, told)


def test_a_run_that_meets_its_tolerance_is_not_said_to_have_failed():
    def fun(x):  # least along a curve, on which it hardly bends
        return (x[0] * x[1] - 1) ** 2 + 1e-4 * (x[1] - x[2]) ** 4

    with jax.enable_x64(True):
        answer = qed.minimize(fun, jnp.array([2.0, 2.0, 5.0]), tol=1e-2)
        assert np.max(np.abs(answer.value.gradient)) <= 1e-2
        assert answer.reason in ("undecided", "flat_minimum")
        assert qed.verdict(fun, jnp.array([1.2, 0.9, 1.4])).kind == "not_stationary"


def test_a_run_that_falls_without_end_is_told_by_how_far_it_fell():
    """Where no straight ray shows it: a value below -1e30 times that of the start, and not one a little lower."""
    objective, x = Objective(read(lambda x: -jnp.sum(x), jnp.ones(2))), np.ones(2)
    start = Seen(x, 3.0, x)
    for f, told, kind in ((-1e31, True, "unbounded_below"), (-1e29, False, "undecided")):
        case = Judged(objective, Seen(x, f, x), bounds_of(None, x), (None, x, ()), None, start, 0.0)
        assert (bottomless(case), str(fallen(case).kind)) == (told, kind)


def test_a_stop_gradient_is_told_beside_a_minimum_that_is_proved():
    def valley(x):
        return 10 * (x[1] - jax.lax.stop_gradient(x[0]) ** 2) ** 2 + (1 - x[0]) ** 2

    answer = qed.verdict(valley, jnp.ones(2))
    assert answer.kind == "stop_gradient" or (answer.proved and "stop_gradient is in the way" in answer.headline)


@pytest.mark.parametrize(
    ("bounds", "instead"),
    [
        ([(0.0, 1.0), (None, 3.0)], "bounds=(np.array([0.0, -np.inf]), np.array([1.0, 3.0]))"),
        (np.array([[0.0, 1.0], [0.0, 3.0]]), "bounds=(bounds[:, 0], bounds[:, 1])"),
        (scipy.optimize.Bounds([0, 0], [1, 3]), "bounds=(bounds.lb, bounds.ub)"),
        ("ab", "each one number for all"),
        (5.0, "each one number for all"),
    ],
)
def test_bounds_in_another_form_are_told_how_to_be_written(bounds, instead):
    """Two pairs for two numbers are two sides, too: to take them for one or the other would be a guess."""
    with pytest.raises(QedError) as caught:
        qed.minimize(lambda x: jnp.sum((x - 2) ** 2), jnp.zeros(2), bounds=bounds)
    assert caught.value.code == "QED007" and instead in caught.value.instead


def test_pairs_by_name_are_told_how_to_be_written():
    start = {"a": jnp.array(0.5), "b": jnp.zeros(2)}
    fun = lambda p: (p["a"] - 1) ** 2 + jnp.sum((p["b"] - 2) ** 2)  # noqa: E731
    with pytest.raises(QedError) as caught:
        qed.minimize(fun, start, bounds={"a": (0.0, 0.7)})
    said = caught.value.instead
    assert said == "bounds=({'a': 0.0, 'b': None}, {'a': 0.7, 'b': None})"
    answer = qed.minimize(fun, start, bounds=({"a": 0.0, "b": None}, {"a": 0.7, "b": None}))
    assert float(answer.x["a"]) == np.float32(0.7)
    with pytest.raises(QedError, match="a point x has one end"):
        qed.convexity(fun, start)
