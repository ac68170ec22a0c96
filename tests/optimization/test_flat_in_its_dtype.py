"""Points that look like minima in float32 and are none: underflow, values that are rounded away, jumps beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed


@pytest.mark.parametrize(
    ("fun", "at", "kind"),
    [
        (lambda x: jnp.sum(jnp.exp(-x)), 90.0, "infimum_not_attained"),
        (lambda x: 1 + 1e-10 * jnp.sum(x), 0.0, "unbounded_below"),
        (lambda x: jnp.sum(1 / x), 1e8, "infimum_not_attained"),
        (lambda x: jnp.where(x[0] > 0, x[0] ** 2 - 1, x[0] ** 2), 0.0, "kink"),
        (lambda x: jnp.sum(0 * x) + 1, 0.0, "flat_minimum"),
        (lambda x: jnp.where(x[0] > 0.125, x[0] ** 2 - 1, x[0] ** 2), 0.0, "minimum"),
    ],
)
def test_what_only_looks_like_a_minimum(fun, at, kind):
    answer = qed.verdict(fun, jnp.full(1, at, jnp.float32))
    assert answer.kind == kind
    assert ("float64" in answer.headline) == (at == 90.0)


def test_a_gradient_that_underflowed_is_not_called_wrong():
    answer = qed.verdict(lambda x: jnp.sum(1 / x**2), jnp.full(1, 1e15, jnp.float32))
    assert answer.kind not in ("gradient_wrong", "flat_minimum", "minimum")


def test_a_loss_that_float32_rounds_to_zero_has_no_wrong_gradient():
    answer = qed.verdict(lambda x: -jax.nn.log_softmax(x)[0], jnp.array([30.0, 0.0], jnp.float32))
    assert answer.kind not in ("gradient_wrong", "stop_gradient")


def test_a_run_that_halts_before_a_point_of_inflection_has_no_minimum_in_the_box():
    answer = qed.verdict(lambda x: jnp.sum(x**3), jnp.full(1, 3e-5, jnp.float32), bounds=(-1.0, 1.0))
    assert answer.kind not in ("minimum", "flat_minimum")
    edge = qed.verdict(lambda x: jnp.sum((x - 1) ** 2), jnp.ones(1, jnp.float32), bounds=(0.0, 5.0))
    assert edge.kind == "minimum"


@pytest.mark.parametrize(
    ("fun", "at", "kind"),
    [
        (lambda x: jnp.tanh(x[0]), [-20.0], "infimum_not_attained"),
        (lambda x: -jax.nn.log_softmax(x)[0], [30.0, 0.0], "infimum_not_attained"),
        (lambda x: jnp.tanh(x[0]), [20.0], "not_stationary"),
        (lambda x: jax.nn.relu(x[0]), [-3.0], "flat_minimum"),
    ],
)
def test_a_saturated_point_is_not_called_flat(fun, at, kind):
    answer = qed.verdict(fun, jnp.array(at, jnp.float32))
    assert answer.kind == kind
    assert ("saturated" in answer.headline) == (kind != "flat_minimum")


def test_a_run_from_a_saturated_start_goes_down_the_slope_that_floats_do_not_show():
    answer = qed.minimize(lambda x: -jnp.exp(-(x[0] ** 2)), jnp.array([30.0], jnp.float32))
    assert answer.reason == "minimum"
    assert answer.fun == -1.0


@pytest.mark.parametrize(
    ("fun", "at"),
    [
        (lambda x: jax.lax.cond(x[0] > 0, lambda u: u - 1, lambda u: u, x[0]), [0.0]),
        (lambda x: -jax.lax.cond(x[0] < 1, lambda u: u + 1, lambda u: u, x[0]), [1.0]),
        (lambda x: 2 * jnp.sort(x)[0] - x[0], [0.0, 0.0]),
        (lambda x: jnp.sum(x**2 - 2 * jax.lax.stop_gradient(x) ** 2), [0.0]),
    ],
    ids=["above a bound", "below a bound", "an order", "a slope cut off"],
)
def test_what_lies_beyond_a_jump_or_a_stop_is_no_minimum_in_the_box(fun, at):
    answer = qed.verdict(fun, jnp.array(at, jnp.float32), bounds=(0.0, 1.0))
    assert answer.kind not in ("minimum", "flat_minimum")
    assert not answer.proved


def test_a_point_inside_of_its_box_is_judged_as_without_a_box():
    answer = qed.verdict(lambda x: (x[1] - x[0] ** 2) * (x[1] - 3 * x[0] ** 2), jnp.zeros(2), bounds=(-1.0, 1.0))
    assert answer.kind == "saddle"


@pytest.mark.parametrize("bounds", [None, (-9.0, 9.0)])
def test_beside_a_large_constant_a_point_is_not_called_flat(bounds):
    with jax.enable_x64(True):
        found = qed.verdict(lambda x: 1e12 + jnp.sum((x - 1) ** 4 + x**2), jnp.array([0.9, 0.8]), bounds=bounds)
    assert found.value.kind == "not_stationary"


def test_a_gradient_passed_through_coarse_steps_is_wrong():
    @jax.custom_vjp
    def steps(x):
        return jnp.round(x * 25) / 25

    steps.defvjp(lambda x: (steps(x), None), lambda _, g: (g,))
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: jnp.sum((steps(x) - jnp.array([0.37, -1.03])) ** 2), jnp.array([2.0, 1.5]))
    assert answer.reason == "gradient_wrong"


@pytest.mark.slow
def test_what_is_added_to_all_scores_alike_hides_no_fall():
    """Rounding adds thousands to all classes' weights; without them the ray is seen, in float64."""
    rng = np.random.default_rng(1)
    rows, truth = rng.standard_normal((30, 3)).astype(np.float32), rng.standard_normal((3, 3))
    labels = np.argmax(rows @ truth, 1)
    answer = qed.minimize(lambda w: -jnp.mean(jax.nn.log_softmax(rows @ w)[jnp.arange(30), labels]), jnp.zeros((3, 3)))
    assert str(answer.reason) == "infimum_not_attained"


@pytest.mark.slow
def test_a_network_that_tells_its_classes_apart_has_no_minimum_and_no_saddle_in_float32():
    """387 parameters: curvatures of both signs are left beside a gradient of roundings; a true saddle stays one."""

    def loss(p, x, y):
        scores = jnp.tanh(x @ p["w"] + p["b"]) @ p["v"] + p["c"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1))

    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(32, 8)).astype(np.float32), draw.integers(0, 3, 32)
    w, v = draw.normal(size=(8, 32)).astype(np.float32), draw.normal(size=(32, 3)).astype(np.float32)
    begin = {"w": w / 3, "b": np.zeros(32, np.float32), "v": v / 6, "c": np.zeros(3, np.float32)}
    assert qed.minimize(loss, begin, x, y).reason == "infimum_not_attained"
    crossed = qed.verdict(lambda x: jnp.tanh(x[0]) * jnp.tanh(x[1]) / 10, np.zeros(2, np.float32))
    assert crossed.kind == "saddle"


@pytest.mark.parametrize("n", [5, 8])
def test_a_point_so_far_out_that_the_slope_is_rounding_is_no_flat_minimum(n):
    def falls(y):
        ends = jnp.cumsum(y)[::-1]
        return jnp.sum(ends[2:]) + ends[1] ** 4 + ends[0] ** 6

    with jax.enable_x64(True):
        answer = qed.minimize(falls, jnp.full(n, 7.0))
        assert answer.proved and answer.value.reason == "unbounded_below"


def test_a_regression_with_large_targets_and_more_parameters_than_rows_is_flat():
    rng = np.random.default_rng(3)
    rows, targets = (jnp.asarray(a, jnp.float32) for a in (rng.normal(size=(5, 8)), 3e3 * rng.normal(size=5)))
    answer = qed.minimize(lambda x: jnp.sum((rows @ x - targets) ** 2), jnp.zeros(8, jnp.float32))
    assert answer.value.reason == "flat_minimum"
