"""Points a little off a valley of minima, points at steps, and falls that are rounding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

SLOW = functools.partial(pytest.param, marks=pytest.mark.slow)
D = np.arange(1.0, 5.0)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def passed_through(step):
    """A step function with the gradient of x itself."""
    return lambda x: x + jax.lax.stop_gradient(step(x) - x)


@pytest.mark.parametrize("scale", [SLOW(1e-8), 1.0, SLOW(1e8)])
@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda x: (x @ x - 1) ** 2, [0.3, 0.4]),
        (lambda x: (x[0] * x[1] - 1) ** 2, [0.3, 0.4]),
        (lambda x: (x @ (D * x)) / (x @ x), [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_a_run_that_ends_beside_a_valley_of_minima_is_told_the_valley(fun, start, scale):
    answer = qed.minimize(lambda x: scale * fun(x), jnp.array(start), tol=1e-8 * scale)
    assert answer.reason == "flat_minimum"


def test_a_curvature_that_is_only_rounding_makes_no_minimum():
    with jax.enable_x64(False):  # on the ray on which a Rayleigh quotient is the same, H_11 is computed as 1.5e-5
        d = np.arange(1.0, 5.0, dtype=np.float32)  # of D itself JAX keeps what it made in float64
        x = jnp.array([0.22017991542816162, 5.9162438836857234e-11, 9.7235604984424739e-12, -4.0069442447214498e-13])
        assert qed.verdict(lambda x: (x @ (d * x)) / (x @ x), x).kind == "flat_minimum"


@pytest.mark.parametrize("bend", [1e-6, 1e-2])
def test_a_valley_that_bends_a_little_keeps_its_minimum(bend):
    answer = qed.minimize(lambda x: (x @ x - 1) ** 2 + bend * x[1] ** 2, jnp.array([0.3, 0.4]))
    assert answer.reason == "minimum"
    assert abs(float(answer.x[1])) < 1e-4


def test_a_saturated_loss_falls_on_beside_a_parameter_that_is_settled():
    answer = qed.verdict(lambda x: jnp.tanh(x[0]) + (x[1] - 1) ** 2, jnp.array([-20.0, 1 + 1e-13]))
    assert answer.kind == "infimum_not_attained"


def test_a_fall_that_rounding_explains_is_no_kink():
    def fun(x):
        return -jnp.linalg.slogdet(jnp.eye(2) + jnp.outer(x, x))[1] + x @ x

    answer = qed.minimize(fun, jnp.array([1.0, 0.5]))
    assert answer.reason in ("noise_floor", "flat_minimum", "minimum")


@pytest.mark.parametrize("step", [jnp.round, SLOW(jnp.floor), lambda x: jnp.round(8 * x) / 8])
def test_a_gradient_passed_through_a_step_is_told_where_the_run_rests_on_the_step(step):
    passes = passed_through(step)
    answer = qed.minimize(lambda x: jnp.sum((passes(x) - 0.3) ** 2), jnp.array([2.2, -1.0]))
    assert answer.reason == "stop_gradient"


def test_steps_that_a_gradient_does_not_pass_through_keep_the_minimum_between_them():
    answer = qed.minimize(lambda x: (x[0] - 0.3) ** 2 + 1e-3 * jnp.round(10 * x[0]), jnp.array([2.2]))
    assert answer.reason == "minimum"


def test_far_out_in_a_box_a_slope_is_still_a_slope():
    answer = qed.minimize(lambda x: x[0] - 2 * x[1], jnp.array([0.5, 0.5]), bounds=(0.0, None))
    assert answer.reason == "unbounded_below"
    held = qed.minimize(lambda x: x[0] - 2 * x[1], jnp.array([0.5, 0.5]), bounds=(0.0, 1e17))
    assert held.reason == "minimum"
    assert float(held.x[1]) == 1e17


@pytest.mark.parametrize("method", ["trust-krylov", "trust-exact"])
def test_what_a_point_is_does_not_depend_on_how_the_run_held_its_second_derivatives(method):
    answer = qed.minimize(lambda x: x @ x, jnp.ones(3), method=method)
    assert answer.reason == "minimum"
    assert answer.proved


def test_a_proof_about_the_point_beside_names_its_distance():
    answer = qed.verdict(lambda x: (x[0] - x[1] ** 2) ** 2 - 1e-3 * x[1] ** 3, jnp.array([1e-7, 0.0]))
    assert answer.kind == "saddle" and answer.headline.startswith("Within 1.01e-07 of this point: "), answer
    assert answer.claim.startswith("of a point within 1.01e-07 of the one that was asked: ")
