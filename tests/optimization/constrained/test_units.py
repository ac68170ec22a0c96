"""A row in other units asks the same: of slope 1e-10 everywhere, or 1e12, it is judged in units of its slope."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed


def bowl(x):
    return (x[0] - 2) ** 2 + x[1] ** 2


@pytest.mark.parametrize("unit", [1e-12, 1e-10, 1e-6, 1e6])
@pytest.mark.parametrize("method", [None, "slsqp"])
def test_a_bound_in_any_unit_holds_and_has_its_price(unit, method):
    answer = qed.minimize(bowl, jnp.zeros(2), inequality=lambda x: unit * (1 - x[0]), method=method)
    assert answer.reason == "minimum" and answer.proved
    np.testing.assert_allclose(answer.x, [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(answer.multipliers.inequality, 2.0 / unit, rtol=1e-5)


def test_an_equality_of_tiny_slope_is_kept():
    answer = qed.minimize(bowl, jnp.zeros(2), equality=lambda x: 1e-9 * (x[0] + x[1] - 1))
    np.testing.assert_allclose(answer.x, [1.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(answer.multipliers.equality, -1e9, rtol=1e-5)


def test_a_point_that_violates_a_row_of_tiny_slope_is_told_so():
    found = qed.verdict(bowl, jnp.array([2.0, 0.0]), inequality=lambda x: 1e-10 * (1 - x[0]))
    assert found.kind == "infeasible"


def test_a_row_of_huge_slope_holds_with_force():
    def row(x):
        return 1e12 * (0.1 - x[0] * jnp.exp(x[1]))

    answer = qed.minimize(lambda x: (x[0] - 3) ** 2 + x[1] ** 2, jnp.array([0.1, 0.1]), inequality=row)
    assert answer.reason == "minimum" and answer.proved


def test_a_slope_that_is_small_by_chance_is_no_unit():
    answer = qed.minimize(lambda x: x @ x, jnp.array([0.01, 1.0]), inequality=lambda x: x[0] ** 4 - 1e-4)
    np.testing.assert_allclose(abs(answer.x[0]), 0.1, rtol=1e-4)
