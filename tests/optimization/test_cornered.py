"""Corners are looked for where they may be: not in the places of numbers, nor in data."""

import jax.numpy as jnp
import pytest

import qed
from qed.graph.function import read
from qed.optimization.objective import Objective

SIGNS = jnp.array([3.0, -1.0])
SMOOTH = {
    "a place that may be negative": lambda x: jnp.sum(x[jnp.array([0, -1])] ** 2),
    "data with corners": lambda x: jnp.sum(jnp.where(SIGNS > 0, 2.0, 1.0) * (x - jnp.abs(SIGNS)) ** 2),
    "what data select": lambda x: jnp.sum(jnp.where(SIGNS > 0, x**2, 3 * x**2)),
}
CORNERED = {
    "a slope in two pieces": lambda x: jnp.sum(jnp.where(x > 0, x, 3 * x)),
    "a table": lambda x: jnp.sum(SIGNS[x.astype(int)] * x),
    "within a call": lambda x: jnp.sum(jnp.clip(x, 0.0, 1.0)),
    "the largest": lambda x: jnp.max(x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_what_computes_places_or_data_makes_no_corner(name):
    assert not Objective(read(SMOOTH[name], jnp.ones(2))).cornered


@pytest.mark.parametrize("name", CORNERED)
def test_what_the_parameters_pass_may(name):
    assert Objective(read(CORNERED[name], jnp.ones(2))).cornered


def test_a_quadratic_function_with_data_from_comparisons_takes_newtons_step():
    i = jnp.arange(4)

    def fun(x):
        a = jnp.where(i[:, None] == i[None, :], 5.0, 1.0 / (1.0 + i[:, None] + i[None, :]))
        return x @ a @ x - jnp.sum(x)

    assert qed.minimize(fun, jnp.full(4, -3.0), tol=1e-5).counts["values"] <= 4
