"""Why a run halts on a slope: an edge of the domain, a branch whose derivative is NaN, values in steps, a collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.objective import Objective
from qed.optimization.probing import slope
from qed.optimization.solution import Ending


@pytest.mark.parametrize(
    ("fun", "start", "kind", "words"),
    [
        (lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0) + (x + 1) ** 2), [1.0, 2.0], "nonfinite", "gradient"),
        (lambda x: x[0] + jnp.where(x[0] > 0, 0.0, jnp.inf), [1.0], "nonfinite", "its value is inf"),
        (lambda x: jnp.sum((jnp.round(x * 100) / 100 - 1) ** 2), [0.3, 0.2], "stop_gradient", "passes round"),
        (lambda p: 0.5 * ((0.7 - p[0]) / jnp.exp(p[1])) ** 2 + p[1], [0.0, 0.0], "unbounded_below", "Unbounded"),
        (lambda x: -(x[0] ** 3) + 1e-20 * x[0] ** 4 + x[1] ** 2, [1.0, 1.0], "minimum", "minimum"),
        (lambda x: -x[0] / (1 + x[0]), [0.5], "infimum_not_attained", "towards -1"),
        (lambda x: x[0] ** 20, [2.0], "flat_minimum", "still moves"),
    ],
    ids=["where", "open edge", "round", "collapse", "deep", "tail", "high order"],
)
def test_the_cause_is_named(fun, start, kind, words):
    with jax.enable_x64(True):
        answer = qed.minimize(fun, jnp.array(start), max_steps=200)
        assert answer.reason == kind, answer.headline
        assert words in answer.headline


def test_an_edge_that_is_not_in_the_way_is_not_told():
    """The minimum of x - log x / 10 lies at 1/10, and a point with a slope in the open has no edge close by."""
    with jax.enable_x64(True):
        assert qed.minimize(lambda x: x[0] - 0.1 * jnp.log(x[0]), jnp.array([1e-3])).reason == "minimum"
        told = qed.verdict(lambda x: x[0] - 0.1 * jnp.log(x[0]), np.array([1e-3]))
        assert told.kind != "nonfinite"


def test_steps_are_blamed_only_where_f_falls_by_them():
    """Beside a step that is constant, or changes and is no part of the fall, w1^4 alone makes a degenerate saddle."""
    with jax.enable_x64(True):

        def bent(w):
            steps = 0 * jnp.floor(w[0] + 2.5) + 1e-3 * jnp.floor(8 * w[1] + 0.5)
            return w[0] ** 2 - w[1] ** 4 + w[1] ** 6 + steps

        assert qed.verdict(bent, np.zeros(2)).kind == "saddle"

        def looped(w):
            return 0 * jnp.floor(w[0]) + jax.lax.fori_loop(0, 2, lambda _, c: c - jnp.round(w[0] + 8 * w[1]) ** 2, 0.0)

        told = qed.verdict(looped, np.zeros(2))
        assert told.kind == "stop_gradient" and "passes round" in told.headline and "floor" not in told.headline


@pytest.mark.parametrize(
    "edge",
    [lambda x: -1e-6 * jnp.log(100 - x), lambda x: jnp.where(x < 100, 0.0, jnp.inf)],
    ids=["log", "where"],
)
def test_a_barrier_beyond_a_spent_budget_is_no_fall_for_ever(edge):
    assert qed.minimize(lambda x: edge(x) - x, 0.0, max_steps=5).reason == "budget_spent"


def test_a_run_that_creeps_along_an_edge_is_told_where_the_value_is_nan():
    """A network that fits its labels: float32's 1 - sigmoid(z) is 0 from z = 17 on, and values beside it scatter."""
    rng = np.random.default_rng(3)
    x = jnp.asarray(rng.normal(size=(30, 2)), jnp.float32)
    y = jnp.where(x[:, 0] * x[:, 1] > 0, 1.0, 0.0)

    def loss(p):
        q = jax.nn.sigmoid(jnp.tanh(x @ p["W"] + p["b"]) @ p["v"])
        return jnp.mean(-(y * jnp.log(q) + (1 - y) * jnp.log(1 - q)))

    w, v = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((2, 5), (5,)))
    answer = qed.minimize(loss, {"W": w, "b": jnp.zeros(5), "v": v}, tol=1e-6)
    assert answer.reason == "nonfinite" and "nan" in answer.headline and "log at 0" in answer.headline


def test_scores_that_grow_for_ever_are_told_by_the_layer_that_is_read_last():
    """All parameters together, twice as large, tell the classes apart no more: tanh(0.6 x) is near 1 for all x."""
    x, sign = jnp.asarray([1.0, 3.0, 1.2, 2.5]), jnp.asarray([-1.0, 1.0, -1.0, 1.0])

    def loss(p):
        return jnp.mean(jax.nn.softplus(-sign * (p["v"] * jnp.tanh(p["w"] * x) + p["c"])))

    answer = qed.verdict(loss, {"c": jnp.asarray(-20.0), "v": jnp.asarray(40.0), "w": jnp.asarray(0.3)})
    assert answer.kind == "infimum_not_attained" and "(80% p['v'], 20% p['c'])" in answer.headline


def cusp(power, bend):
    """A root with a condition at 0, as it is written to have no infinite slope; JAX differentiates the 0."""
    return lambda x: jnp.sum(jnp.where(x == 0, 0.0, jnp.abs(jnp.where(x == 0, 1.0, x)) ** power)) + bend * jnp.sum(x**2)


@pytest.mark.parametrize(("power", "bend"), [(0.4, 0.0), (0.8, 1.0)])
def test_a_cusp_is_no_flat_minimum(power, bend):
    answer = qed.verdict(cusp(power, bend), jnp.zeros(2))
    assert answer.value.kind is Ending.KINK and "A minimum as far as was looked" in answer.headline


def test_steps_and_smooth_bottoms_are_no_cusps():
    for fun in (
        lambda x: jnp.floor(x[0]) + x[0] ** 2,
        lambda x: x[0] ** 4 + x[1] ** 2,
        lambda x: jnp.sum(jnp.abs(x) ** 3),
    ):
        objective = Objective(read(fun, jnp.ones(2)))
        for at in (np.zeros(2), np.ones(2)):
            found = slope(objective, objective.at(at), np.array([1.0, 0.0]), objective.noise(1.0))
            assert found is not None and not found.kinked
