"""Polynomials at a point where the program stands at a tie: coefficients that jump there, however small, are told."""

import jax
import jax.numpy as jnp
import pytest

import qed


def beside_zero(g, at_zero=0.0):
    """g, but for 0, where a condition chooses another number."""
    return lambda x: jnp.where(x == 0, at_zero, g(jnp.where(x == 0, 1.0, x)))


JUMPS = {
    "a slope below the rounding of f": (lambda x: 5e3 + 2 * x + 0.05 * jnp.maximum(x - 3, -2 * (x - 3)), 3.0, 1),
    "a curvature": (lambda x: jnp.sinh(x) + 0.2 * jnp.where(x > 0.5, (x - 0.5) ** 2, 0.0) + 20, 0.5, 2),
    "a third derivative": (lambda x: 50 + x + 0.01 * jnp.abs(x) ** 3, 0.0, 3),
    "of one branch at the point only": (beside_zero(lambda x: 200 + jnp.tan(x) / x, 201.0), 0.0, 2),
    "kinks that cancel": (
        lambda x: 1e3 + 0.1 * jnp.maximum(2 * x, -(x**2)) - 0.1 * jnp.maximum(2 * x, -5 * x**2),
        0.0,
        2,
    ),
    "along a line through a corner": (lambda x: 300 + 0.02 * jnp.abs(x[0] - x[1]) + x @ x, jnp.ones(3), 2),
    "no limit of slopes": (lambda x: 30 + beside_zero(lambda u: 0.01 * u**2 * jnp.cos(1 / u))(x), 0.0, 1),
    "a slope that grows": (lambda x: 900 + beside_zero(lambda u: 0.01 * jnp.abs(u) ** 0.75)(x), 0.0, 1),
    "in two elements of a sort": (
        lambda x: 1e3 + jnp.sort(x) @ jnp.array([1.0, 1.05, 1.0]),
        jnp.array([2.0, 2.0, 1.0]),
        1,
    ),
}


@pytest.mark.parametrize("name", JUMPS)
def test_what_jumps_is_no_polynomial(name):
    fun, at, order = JUMPS[name]
    answer = qed.taylor(fun, at, order=order)
    assert answer.unknown, answer.headline
    if order > 1 and name != "along a line through a corner":
        lower = qed.taylor(fun, at, order=1)
        assert lower.standing is qed.Standing.MEASURED, lower.missing


def test_the_jump_is_told():
    answer = qed.taylor(lambda x: 2e3 - x + 0.25 * jnp.abs(x + 1), -1.0, order=2)
    assert "order 1 jumps from -1.25 to -0.75 at the point" in answer.missing[0].what


SMOOTH = {
    "equal arguments": (lambda x: jax.nn.logsumexp(jnp.stack([x, 2 * x, -x])) + 10, 0.0, 3),
    "pieces that fit": (lambda x: jnp.where(x > 1, x**3, 1 + 3 * (x - 1) + 3 * (x - 1) ** 2 + (x - 1) ** 3), 1.0, 3),
    "a step of order 3": (lambda x: jnp.cosh(x) + jnp.maximum(x, 0.0) ** 4, 0.0, 3),
    "equal weights": (lambda w: jnp.sum(jax.nn.softmax(w) ** 2) + jnp.max(w) - jnp.max(w), jnp.zeros(4), 2),
    "what does not move": (lambda x: x * jnp.abs(jnp.float32(0.0) * x) + jnp.exp(x), 0.5, 4),
    "the quotient by a series": (lambda x: jnp.sinc(x / 3) + jax.nn.softplus(x), 0.0, 4),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_ties_without_a_kink(name):
    fun, at, order = SMOOTH[name]
    answer = qed.taylor(fun, at, order=order)
    assert answer.standing is qed.Standing.MEASURED, answer.missing
    assert f"up to terms of order {order + 1}." in answer.headline


def test_what_is_left_may_be_no_power():
    answer = qed.taylor(lambda x: 3 + 2 * x - 0.01 * jnp.abs(x) ** 2.5, 0.0, order=2)
    assert answer.standing is qed.Standing.MEASURED
    assert answer.headline.endswith("3 + 2 x near the point, up to what is small beside t^2.")


@pytest.mark.parametrize(("fun", "at"), [(lambda x: 2 * x + x**6, 0.0), (lambda x: jnp.sin(x + 1) ** 7, -1.0)])
def test_what_is_left_may_begin_later_than_the_next_orders(fun, at):
    answer = qed.taylor(fun, at, order=2)
    assert answer.standing is qed.Standing.MEASURED, answer.missing
