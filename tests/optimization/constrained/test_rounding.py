"""What floats say of constraints and curvatures, and rounding alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("kind", ["equality", "inequality"])
def test_a_constraint_that_holds_in_floats_alone_does_not_hold(kind):
    rows = {kind: lambda x: (1e16 + x[0]) - 1e16 - 1}
    answer = qed.verdict(lambda x: x[0] ** 2, jnp.zeros(1), **rows)
    assert answer.kind == "infeasible"
    assert "by 1" in answer.headline
    found = qed.minimize(lambda x: x[0] ** 2, jnp.zeros(1), **rows)
    assert found.reason != "minimum" or float(found.x[0]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("large", [1e3, 1e9])
def test_a_constraint_whose_digits_floats_keep_is_judged_as_they_say(large):
    answer = qed.minimize(lambda x: x[0] ** 2, jnp.zeros(1), inequality=lambda x: (large + x[0]) - large - 1)
    assert answer.reason == "minimum"
    assert float(answer.x[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_curvature_that_cancels_to_rounding_does_not_bend(scale):
    x = jnp.array([0.6, 0.8], jnp.float32)
    answer = qed.verdict(lambda x: scale * (x @ x), x, inequality=lambda x: x @ x - 1)
    assert answer.kind == "flat_minimum"


def test_a_curvature_that_is_left_where_large_ones_cancel_bends():
    x = jnp.array([0.0, 1.0])
    answer = qed.verdict(lambda x: x @ x + 1e-3 * x[0] ** 2, x, inequality=lambda x: x @ x - 1)
    assert answer.kind == "minimum"
    assert answer.proved


@pytest.mark.parametrize(("at", "price", "half"), [(0.0, 2.0, 0.1), (1e-8, 2.0, 0.1), (1.0, 4.0, 0.2)])
def test_the_price_of_a_bound_holds_as_far_at_0_as_elsewhere(at, price, half):
    bounds = (jnp.array([at, -jnp.inf]), None)
    found = qed.minimize(lambda x: (x[0] + 1) ** 2 + x[1] ** 2, jnp.full(2, at), bounds=bounds).explain().prices[0]
    assert found.price == pytest.approx(price)
    assert found.lower == pytest.approx(-half, rel=0.02)
    assert found.upper == pytest.approx(half, rel=0.02)


def test_a_price_without_an_end_was_followed_far():
    found = qed.minimize(lambda x: x[0] + 2 * x[1], jnp.zeros(2), bounds=(0.0, None)).explain().prices[0]
    assert found.upper == np.inf
    assert found.path[-1][0] > 1e9


@pytest.mark.parametrize(
    ("fun", "rows"),
    [
        (lambda x: -(x[0] ** 2) + x[1] ** 2, lambda x: x[0] ** 2),
        (lambda x: -((x[0] - x[1]) ** 2) + 0.5 * x[0] ** 2, lambda x: (x[0] - x[1]) ** 2),
        (lambda x: -(x[0] ** 2) + x[1], lambda x: jnp.array([x[1] - x[0] ** 2, x[1] + x[0] ** 2])),
    ],
    ids=["a square", "a slanted square", "only the point"],
)
def test_where_gradients_of_rows_are_dependent_a_bend_alone_is_no_saddle(fun, rows):
    """Each of these points is the minimum of what is feasible, where the Lagrangian bends down."""
    answer = qed.verdict(fun, jnp.zeros(2), equality=rows)
    assert answer.unknown and "dependent" in answer.headline, answer
