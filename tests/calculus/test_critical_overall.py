"""Degenerate points of convex and concave functions, and of functions that are the same along straight lines."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

ROWS = jnp.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0]])


@pytest.mark.parametrize(
    ("fun", "x", "nature", "why"),
    [
        (lambda w: jnp.sum((ROWS @ w - jnp.array([2.0, 5.0])) ** 2), jnp.ones(3), "minimum", "moving"),
        (lambda w: -((jnp.sum(w) - 3) ** 4), jnp.ones(3), "maximum", "moving"),
        (lambda x: jnp.sum(x**4), jnp.zeros(3), "minimum", ""),
        (lambda x: jnp.maximum(x[0] - 1, 0.0) ** 2 + x[1] ** 2, jnp.zeros(2), "minimum", "nothing depends on x[0]"),
    ],
    ids=["regression", "concave", "quartic", "flat beside a corner"],
)
def test_a_point_without_slope_is_proved_to_be_best_overall(fun, x, nature, why):
    answer = qed.critical_point(fun, x)
    value = answer.value
    assert answer.proved and answer.check() and answer.kind == "degenerate"
    assert value.nature == nature and value.everywhere and f"a global {nature}" in answer.claim
    assert all(way.why.startswith(why) for way in value.directions[:1])


def test_slopes_that_are_zero_up_to_rounding_are_measured():
    rows = np.random.default_rng(0).normal(size=(8, 3)) @ np.array([[1.0, 0.5, 0.3, 0.7], [0, 1, 1, 0], [2, 0, 1, 1]])
    with jax.enable_x64(True):
        x = jnp.asarray(np.linalg.pinv(rows) @ np.ones(8))
        answer = qed.critical_point(lambda w: jnp.mean((rows @ w - 1) ** 2), x)
    assert answer.measured and answer.check()
    assert answer.value.nature == "minimum" and answer.value.everywhere


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("fun", [lambda x: jnp.exp(x - 2000), lambda x: jax.nn.softplus(x - 5000)])
def test_slopes_that_no_float64_holds_are_no_zeros(fun, x64):
    with jax.enable_x64(x64):
        value = qed.critical_point(fun, jnp.zeros(())).value
    assert not value.everywhere and value.nature != "minimum"


@pytest.mark.parametrize(
    ("fun", "least"),
    [
        (lambda x: (x[0] + x[1]) ** 2 + jnp.sin(x[0] - x[1]) ** 3, False),
        (lambda x: (x[0] + x[1]) ** 2 - 1e-9 * (x[0] - x[1]) ** 6, False),
        (lambda x: x[0] ** 2 * x[1] ** 2, True),  # by its enclosure, nowhere below 0
    ],
    ids=["cubic", "small sextic", "product"],
)
def test_neither_is_told_of_a_function_that_is_not_so(fun, least):
    value = qed.critical_point(fun, jnp.zeros(2)).value
    assert not value.everywhere and not value.moving and (value.nature == "minimum") == least


def test_numbers_that_tie_inside_a_logarithm_of_a_sum_are_a_minimum_that_a_shift_moves():
    answer = qed.critical_point(lambda x: jax.nn.logsumexp(x) - jnp.mean(x), jnp.zeros(3))
    assert answer.kind == "degenerate" and answer.value.nature == "minimum" and answer.value.moving
    assert [way.why for way in answer.value.directions] == ["adding one number to all of x changes nothing"]
    assert answer.check()
