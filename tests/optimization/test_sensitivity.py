"""Prices of constraints: what they mean, how far they hold, and how other tools write them."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import qed
from qed.errors import QedError
from qed.optimization.solution import Multipliers


def cost(x):
    return (x[0] - 2) ** 2 + (x[1] - 1) ** 2


def room(x):
    return {"room": 2 - x[0] - x[1]}


@pytest.fixture(scope="module")
def half_plane():
    return qed.minimize(cost, jnp.zeros(2), inequality=room)


def test_the_interval_of_a_price_is_the_one_known_by_hand(half_plane):
    # f*(b) = (1 + b)^2 / 2: the tangent b is |b| / 2 off, relative to b
    answer = half_plane.explain()
    (price,) = answer.prices
    assert answer.measured and answer.check()
    assert price.name == "inequality['room']" and price.price == pytest.approx(1)
    assert price.lower == pytest.approx(-0.1, rel=0.02) and price.upper == pytest.approx(0.1, rel=0.02)
    assert price.observed == pytest.approx(price.moved + price.moved**2 / 2, rel=1e-6) and price.moved < 0
    assert answer.value.cosine == pytest.approx(1)
    assert any("cosine" in reason.text for reason in half_plane.reasons)


def test_what_begins_to_hold_at_the_ends_is_named():
    answer = qed.minimize(
        lambda x: -x[0] - 2 * x[1], jnp.ones(2), inequality=lambda x: (4 - x[0] - x[1], 3 - x[1]), bounds=(0.0, None)
    ).explain()
    first, second = sorted(answer.prices, key=lambda one: one.name)
    assert first.price == pytest.approx(1) and second.price == pytest.approx(1)
    assert first.lower == -np.inf and 1 <= first.upper < 1.1
    assert "lower bound of x[0] begins to hold" in first.at_upper and "inequality[1] lets go" in first.at_upper
    assert second.upper == pytest.approx(3, rel=0.01) and "no solution" in second.at_upper


def test_bounds_have_prices_too():
    answer = qed.minimize(cost, jnp.zeros(2), bounds=(None, 1.0)).explain()
    (price,) = answer.prices
    assert price.name == "upper bound of x[0]" and price.price == pytest.approx(-2)
    assert price.upper == pytest.approx(0.1, rel=0.02)


def test_where_nothing_can_be_priced_it_is_said():
    twice = qed.minimize(cost, jnp.zeros(2), inequality=lambda x: jnp.stack([1 - x[0], 2 - 2 * x[0]]))
    assert twice.explain().unknown and "not unique" in twice.explain().headline
    with pytest.raises(QedError, match="nothing to price"):
        qed.minimize(cost, jnp.zeros(2)).explain()
    assert "changes nothing" in qed.minimize(cost, jnp.zeros(2), inequality=lambda x: 9 - x[0]).explain().headline


def slopes(x):
    return np.array([2 * (x[0] - 2), 2 * (x[1] - 1)])


def test_scipy_has_the_signs_that_are_named(half_plane):
    row = scipy.optimize.NonlinearConstraint(
        lambda x: 2 - x[0] - x[1], 0, np.inf, jac=lambda x: -np.ones((1, 2)), hess=lambda x, v: np.zeros((2, 2))
    )
    theirs = scipy.optimize.minimize(
        lambda x: float(cost(x)), np.zeros(2), method="trust-constr", jac=slopes, constraints=row,
        hess=lambda x: 2 * np.eye(2), bounds=scipy.optimize.Bounds([-9, -9], [1.25, 9]), options={"gtol": 1e-10},
    )  # fmt: skip
    ours = qed.minimize(cost, jnp.zeros(2), inequality=room, bounds=(None, jnp.array([1.25, 9.0]))).multipliers
    told = ours.in_signs_of("trust-constr")
    assert np.allclose(theirs.v[0], told["v"], atol=1e-3) and np.allclose(theirs.v[1], told["v of bounds"], atol=1e-3)
    slsqp = scipy.optimize.minimize(
        lambda x: float(cost(x)), np.zeros(2), method="SLSQP", jac=slopes,
        constraints={"type": "ineq", "fun": lambda x: 2 - x[0] - x[1]},
    )  # fmt: skip
    assert np.allclose(slsqp.multipliers, half_plane.multipliers.in_signs_of("slsqp")["multipliers"], atol=1e-5)


def test_other_names_have_the_same_numbers_with_their_signs():
    ours = Multipliers(lower=np.array([3.0, 0.0]), upper=np.array([0.0, 4.0]), equality=(1.0,), inequality={"a": 2.0})
    assert ours.in_signs_of("casadi")["lam_x"].tolist() == [-3.0, 4.0]
    assert ours.in_signs_of("ipopt")["mult_g"].tolist() == [-1.0, -2.0]
    assert ours.in_signs_of("cvxpy")["equality"] == (-1.0,) and ours.in_signs_of("cvxpy")["inequality"] == {"a": 2.0}
    with pytest.raises(QedError, match="not known"):
        ours.in_signs_of("excel")
