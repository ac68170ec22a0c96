"""That no minimum is attained, or that f falls for ever, is not said of functions that have a minimum elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

ELSEWHERE = {
    "a dip ahead": (lambda x: 1 / (2 + x**2) - jnp.exp(-((x - 37.0) ** 2)), 1.0, 37.0),
    "a dip behind": (lambda x: jnp.exp(-x) - 2e9 * jnp.exp(-4 * (x + 20.0) ** 2), 1.0, -20.0),
    "a narrow dip far out": (lambda x: 1 / (1 + x**2) - jnp.exp(-9 * (x - 4321.0) ** 2), 1.0, 4321.0),
    "a zero near the origin": (lambda x: (x - 0.4) ** 2 / (1 + x**4), 3.5, 0.4),
    "in the plane": (lambda x: 1 / (1 + x[0] ** 2) + x[1] ** 2 - 2 * jnp.exp(-((x[0] + 15) ** 2)), [1.0, 0.5], -15.0),
}
WELL = lambda x: 1 / (2 + x @ x) - 2 * jnp.exp(-jnp.sum((x - jnp.array([5.0, -7.0, 6.0])) ** 2) / 5)  # noqa: E731
ELSEWHERE["off the line, in space"] = (WELL, [0.7, 0.4, -0.9], 5.0)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_minimum_elsewhere_is_seen_and_the_run_goes_on_there(name):
    fun, x, where = ELSEWHERE[name]
    asked = qed.verdict(fun, jnp.asarray(x))
    assert asked.value.kind == "not_stationary"
    answer = qed.minimize(fun, jnp.asarray(x))
    assert answer.reason == "minimum" and np.ravel(answer.x)[0] == pytest.approx(where, abs=5e-2)


def test_a_verdict_names_the_minimum_that_it_saw():
    found = qed.verdict(lambda x: 1 / (2 + x**2) - jnp.exp(-((x - 37.0) ** 2)), 1.0)
    assert float(found.value.below) == pytest.approx(37.0, abs=1e-3)
    assert "attained elsewhere" in found.headline


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: 1 / (3 + x**2),
        lambda x: jnp.exp(-0.02 * x) - 0.1 * jnp.exp(-((x - 5) ** 2)),  # a local minimum above the infimum
        lambda x: jnp.logaddexp(0.0, -3 * x),
        lambda x: 2 * jnp.exp(-jnp.exp(x)),
    ],
)
def test_an_infimum_that_nothing_attains_stays_one(fun):
    assert qed.minimize(fun, 1.0).reason == "infimum_not_attained"


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: -(x**2) + 1e-36 * x**4,
        lambda x: -x + jnp.exp(1e-11 * x),
        lambda x: -jnp.log(2 + x**2) + 1e-28 * x**2,
    ],
)
def test_a_wall_far_away_ends_a_fall(fun):
    assert qed.verdict(fun, 1.5).value.kind != "unbounded_below"


def test_a_fall_that_its_dtype_hides_is_no_flat_minimum():
    answer = qed.minimize(lambda x: jnp.sqrt(4 + x**2) - x, jnp.float32(1.0))
    assert answer.reason not in ("minimum", "flat_minimum")


def test_along_a_rounded_direction_a_fall_is_still_seen():
    fun = lambda x: -jnp.sqrt(1 + (x[0] + 2 * x[1]) ** 2) + (2 * x[0] - x[1]) ** 2  # noqa: E731
    assert qed.minimize(fun, jnp.array([1.0, 0.3])).reason == "unbounded_below"


def test_a_wall_behind_a_saturated_fall_is_seen():
    assert qed.minimize(lambda x: -jnp.tanh(x) + 1e-20 * x**2, 1.0).reason != "infimum_not_attained"


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("power", [3, 5])
def test_the_direction_of_a_saddle_on_a_face_is_one_along_which_f_falls(k, power):
    other = 3 - k
    box = jnp.array([0.0, -1.0, -1.0]), jnp.ones(3)
    fun = lambda x: x[0] + x[k] ** power + x[other] ** 4  # noqa: E731
    found = qed.verdict(fun, jnp.zeros(3), bounds=box)
    assert found.value.kind == "saddle"
    assert fun(0.1 * jnp.asarray(found.value.direction)) < 0


def test_the_direction_of_a_flat_saddle_is_one_along_which_f_falls():
    fun = lambda x: x[0] ** 4 + 2 * x[1] ** 4 - x[2] ** 6  # noqa: E731
    found = qed.verdict(fun, jnp.zeros(3))
    assert found.value.kind == "saddle"
    assert fun(0.2 * jnp.asarray(found.value.direction)) < 0


def test_what_lies_below_an_infimum_on_the_other_side_is_named():
    answer = qed.minimize(lambda x: (x - 1) * jnp.exp(-x), 4.0)
    assert answer.reason == "unbounded_below" and float(answer.verdict.direction) < 0
    tails = lambda x: jnp.exp(-x[0]) - 3 / (1 + jnp.exp(x[1] - 40)) + 0.1 / (1 + jnp.exp(-x[1]))  # noqa: E731
    other = qed.verdict(tails, jnp.array([3.0, 90.0]))
    assert other.value.kind == "infimum_not_attained" and "Elsewhere it is lower: -" in other.claim


def test_a_valley_of_minima_elsewhere_is_found():
    answer = qed.minimize(lambda x: (x[0] ** 2 + 2 * x[1] ** 2 - 3) ** 2 / (1 + (x @ x) ** 3), jnp.array([3.0, 4.0]))
    assert answer.reason == "flat_minimum" and answer.fun == pytest.approx(0, abs=1e-12)


def test_the_claim_says_where_it_was_looked():
    answer = qed.verdict(lambda x: jnp.exp(-x) + 1.0, 2.0)
    assert answer.value.kind == "infimum_not_attained" and "Lower it was at none of" in answer.claim


def test_what_all_scores_have_in_common_carries_no_point_away():
    rows = jnp.array([[1.5, 2, -0.3], [2, -1, 1], [0.5, 1, -2], [1, 1, 1.2]])
    answer = qed.minimize(lambda w: -jnp.mean(jnp.diag(jax.nn.log_softmax(rows @ w))), jnp.zeros((3, 4)))
    assert answer.reason == "infimum_not_attained"
    assert np.abs(np.asarray(answer.x).mean(1)).max() < 100  # tens of thousands before


def test_a_fall_that_ends_in_rounding_is_told_from_the_start():
    """log(1 + exp z) - y z of classes that a plane separates: far out its terms are large, and cancel."""
    with jax.enable_x64(True):
        rows = jnp.asarray(np.random.default_rng(4).normal(size=(40, 3)))
        y = (rows @ jnp.array([2.0, -1.0, 0.5]) > 0.2).astype(float)

        def loss(p):
            z = rows @ p["w"] + p["b"]
            return jnp.mean(jnp.logaddexp(0.0, z) - y * z)

        assert qed.minimize(loss, {"w": jnp.zeros(3), "b": jnp.asarray(0.0)}).reason == "infimum_not_attained"


def test_a_point_that_a_solver_let_run_away_is_told():
    with jax.enable_x64(True):
        found = qed.verdict(lambda x: x[0] * x[1] + (x[2] - 1) ** 2, jnp.array([3e153, -1e154, 1.0]))
    assert found.value.kind == "unbounded_below"


@pytest.mark.parametrize(
    ("fun", "start"),
    [
        (lambda x: x[0] + jnp.exp(-2e-4 * x[0]) + x[1] ** 2, [1.0, 1.0]),
        (lambda x: x[0] + jnp.cosh(1e-3 * x[0]) + (x[1] - x[0]) ** 2, [0.0, 1.0]),
    ],
    ids=["exponential", "cosh"],
)
def test_a_minimum_far_out_is_not_passed_by(fun, start):
    """A ray from the start of as many doublings ends before the point, at which f has turned."""
    found = qed.minimize(fun, jnp.array(start))
    assert found.reason == "minimum" and found.fun < fun(jnp.array(start)) - 1e3
