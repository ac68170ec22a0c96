"""Slopes that come together slowly at a tie, that have no limit there, or grow without an end: each told as it is."""

import jax.numpy as jnp
import pytest

import qed


def apart(g, at=0.0):
    """g of x - at, but for 0, where a condition chooses 0."""
    return lambda x: jnp.where(x == at, 0.0, g(jnp.where(x == at, 1.0, x - at)))


def logarithm(x):
    return jnp.log(jnp.abs(x) / 8)


SLOW = {
    "a power": (lambda x: 2 - 3 * jnp.abs(x) ** 1.03, 0.0),
    "of one side": (lambda x: jnp.exp(x) + jnp.maximum(-x, 0.0) ** 1.08, 0.0),
    "a logarithm below": (apart(lambda x: jnp.abs(x) / logarithm(x) ** 2 + x**2), 0.0),
    "an odd one": (apart(lambda x: 4 * x / logarithm(x)), 0.0),
    "in one of several": (lambda x: jnp.sum(jnp.abs(x) ** 1.06) + x[0] * x[2], jnp.array([0.0, 3.0, 0.0])),
}


@pytest.mark.parametrize("name", SLOW)
def test_slopes_that_come_together_slowly_are_no_kink(name):
    answer = qed.check_gradient(*SLOW[name])
    assert answer.value.verdict.value == "agrees", answer.headline


NONE = {
    "x cos(1/x)": (apart(lambda x: x * jnp.cos(1 / x)), 0.0),
    "of the logarithm, slowly": (apart(lambda x: x * jnp.cos(0.2 * logarithm(x))), 0.0),
    "on a slope": (lambda x: 7 - x + apart(lambda u: 0.3 * u * jnp.sin(2 / u))(x), 0.0),
    "at another point": (apart(lambda x: x * jnp.sin(2 * logarithm(x)), 2.0), 2.0),
    "in one of two": (lambda x: x[0] ** 2 + apart(lambda u: jnp.abs(u) * jnp.sin(1 / u))(x[1]), jnp.array([1.0, 0.0])),
}


@pytest.mark.parametrize("name", NONE)
def test_slopes_without_a_limit(name):
    answer = qed.check_gradient(*NONE[name])
    assert answer.value.verdict.value == "kink"
    assert "it swings as points come nearer" in answer.headline


def test_a_kink_whose_slopes_settle_slowly_is_one():
    answer = qed.check_gradient(apart(lambda x: jnp.abs(x) * (2 + 1 / logarithm(x))), 0.0)
    assert answer.value.verdict.value == "kink"
    assert "no single derivative" in answer.headline


def test_the_slope_of_the_branch_at_the_point_is_compared_with_that_around_it():
    answer = qed.check_gradient(apart(lambda x: 2 * x + jnp.abs(x) / logarithm(x) ** 2), 0.0)
    assert answer.refuted
    assert "comes to 2 from both sides, not 0" in answer.headline


@pytest.mark.parametrize(
    ("fun", "infinite"),
    [
        (lambda x: 10 + x - jnp.abs(x) ** 1.05, False),
        (lambda x: 10 + x + apart(lambda u: u * jnp.log(jnp.abs(u)))(x), True),
        (lambda x: apart(lambda u: u * jnp.sqrt(-logarithm(u)))(x), True),
    ],
)
def test_what_stops_growing_is_not_infinite(fun, infinite):
    answer = qed.check_gradient(fun, 0.0)
    assert ("grows without an end" in answer.headline) == infinite


def test_where_float64_does_not_go_nearer_it_is_not_decided():
    answer = qed.check_gradient(lambda x: jnp.abs(x - 3) ** 1.02, 3.0)
    assert answer.unknown
    assert "whether the slope in x jumps there or changes fast is not seen" in answer.headline
