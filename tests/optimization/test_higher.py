"""Points without curvature that are no minimum, and rays along which polynomials are proved to fall for ever."""

import jax
import jax.numpy as jnp
import pytest

import qed


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("fun", "n", "kind", "proved"),
    [
        (lambda x: -(x[0] ** 4), 1, "maximum", True),
        (lambda x: 1e-8 * x[0] ** 3, 1, "saddle", True),
        (lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, 2, "saddle", True),
        (lambda x: -((x @ x) ** 2), 2, "maximum", True),
        (lambda x: x[0] ** 5 + x[1] ** 2, 2, "saddle", False),
    ],
)
def test_a_point_without_curvature_is_what_f_does_around_it_and_its_fall_far_away_is_said_besides(fun, n, kind, proved):
    answer = qed.verdict(fun, jnp.zeros(n))
    assert answer.kind == kind
    assert answer.proved == proved
    assert "unbounded below" in answer.headline
    assert "QED306" in [finding.code for finding in answer.findings]
    assert answer.check()


@pytest.mark.parametrize("fun", [lambda x: x[0] ** 4, lambda x: x[0] ** 6 + x[0] ** 5 * 0])
def test_a_minimum_of_higher_order_stays_one(fun):
    assert qed.verdict(fun, jnp.zeros(1)).kind in ("flat_minimum", "minimum")


def test_beside_a_point_of_inflection_f_is_unbounded():
    answer = qed.verdict(lambda x: x[0] ** 3, jnp.array([1e-12]))
    assert answer.kind == "unbounded_below"


ROWS = jnp.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0]])


def test_a_flat_minimum_of_a_convex_function_is_proved_to_be_the_least_value():
    answer = qed.verdict(lambda w: jnp.mean((ROWS @ w - jnp.array([2.0, 5.0])) ** 2), jnp.ones(3))
    assert answer.kind == "flat_minimum"
    assert answer.proved
    assert answer.check()
    assert "no point is lower" in answer.headline


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_an_affine_function_with_a_slope_is_proved_to_be_unbounded(scale):
    answer = qed.minimize(lambda x: scale * (x[0] + 2 * x[1]), jnp.zeros(2), tol=1e-8 * scale)
    assert answer.reason == "unbounded_below"
    assert answer.proved
    assert answer.check()
    boxed = qed.minimize(lambda x: scale * (x[0] - 2 * x[1]), jnp.ones(2), bounds=(0.0, None), tol=1e-8 * scale)
    assert boxed.reason == "unbounded_below"
    assert boxed.proved


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda x: x[0] + jnp.log(x[0]) - jnp.log(x[0]), 1.0),  # defined for x > 0 only
        (lambda x: jnp.sqrt(x[0]) ** 2, 1.0),
        (lambda x: x[0] / x[0] * x[0], 1.0),
        (lambda x: (1e16 + x[0]) - 1e16 - x[0], 0.0),
    ],
)
def test_what_is_a_polynomial_on_a_part_only_is_not_proved_to_fall(fun, start):
    answer = qed.minimize(fun, jnp.array([start]))
    assert not (answer.proved and answer.reason == "unbounded_below")
