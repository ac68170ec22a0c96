"""What is said of minima with a Hessian that is none or singular: whether x is determined, whether there is a kink."""

import jax
import jax.numpy as jnp
import pytest

import qed


@pytest.mark.parametrize(
    ("fun", "x"),
    [
        (lambda x: (x - 2) ** 6, 2.0),
        (lambda x: 3 * (x[0] + 1) ** 4 + (x[1] - 1) ** 2, jnp.array([-1.0, 1.0])),
        (lambda x: jnp.cosh(x) - x**2 / 2, 0.0),
    ],
)
def test_a_flat_minimum_that_is_strict_determines_x(fun, x):
    answer = qed.verdict(fun, x)
    assert answer.value.kind == "flat_minimum"
    assert "a strict one" in answer.headline and "x is not" not in answer.headline


def test_where_f_is_the_same_along_a_line_x_is_not_determined():
    answer = qed.verdict(lambda x: (x[0] - 3 * x[1]) ** 2, jnp.array([3.0, 1.0]))
    assert "f is determined and x is not" in answer.headline


def test_of_several_flat_directions_no_more_is_said_than_is_known():
    answer = qed.verdict(lambda x: jnp.sum(x**4), jnp.zeros(2))
    assert answer.value.kind == "flat_minimum"
    assert "x is not" not in answer.headline


@pytest.mark.parametrize(
    ("fun", "kind"),
    [
        (lambda x: jnp.abs(x - 1) ** 1.25 + (x - 1) ** 2, "minimum"),
        (lambda x: jnp.maximum(x - 1, 0.5 * (1 - x)) + (x - 1) ** 2, "kink"),
    ],
)
def test_a_power_below_two_is_no_kink(fun, kind):
    answer = qed.verdict(fun, 1.0)
    assert answer.proved and answer.value.kind == kind
    assert ("kink" in answer.headline) == (kind == "kink")


@pytest.mark.parametrize("g", [lambda u: u**2 * (3 + jnp.cos(1 / u)), lambda u: 1 - jnp.tanh(u) / u])
def test_zero_curvatures_of_the_branch_at_the_point_are_not_called_flat(g):
    """The first has no second derivative at 0, the second one of 2/3: JAX differentiates the constant."""
    answer = qed.verdict(lambda x: jnp.where(x == 0, 0.0, g(jnp.where(x == 0, 1.0, x))), 0.0)
    assert answer.unknown, answer.headline


def test_small_numbers_are_not_flat():
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: 1e-12 * ((1 - x[0]) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2), jnp.zeros(2))
    assert answer.value.verdict.kind != "flat_minimum"
