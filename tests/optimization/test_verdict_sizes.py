"""Verdicts on points of many parameters, and on functions that fall for ever."""

import jax.numpy as jnp
import pytest

import qed


def test_many_parameters_are_judged_by_a_sparse_hessian_or_by_products():
    answer = qed.verdict(lambda x: jnp.sum((x - 1) ** 2 * (1 + x**2)), jnp.ones(1500))
    assert str(answer.kind) == "minimum"
    assert answer.proved
    saddle = qed.verdict(lambda x: jnp.sum(x[1:] ** 2) - x[0] ** 2 + x[0] ** 4, jnp.zeros(1200))
    assert str(saddle.kind) == "saddle"


@pytest.mark.parametrize("x", [1.0, jnp.ones(2)])
def test_a_straight_line_down_is_unbounded(x):
    answer = qed.minimize(lambda x: -jnp.sum(x), x)
    assert str(answer.reason) == "unbounded_below"
