"""Networks of pieces end where corners meet: told from slopes around, and left where f falls down their mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective
from qed.optimization.point import Judged
from qed.optimization.running import Ended
from qed.optimization.solution import Ending
from qed.optimization.stopped import stopped_short
from qed.optimization.subgradients import around_corners, below_corners, bends_evenly

OPEN = Bounds(np.full(2, -np.inf), np.full(2, np.inf))


def network(activation, seed):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(rng.normal(size=(60, 3)), jnp.float32)
    y = jnp.asarray(np.asarray(x) @ rng.normal(size=3) + 0.3 * rng.normal(size=60), jnp.float32)
    start = {"W": rng.normal(size=(3, 4)), "b": np.zeros(4), "v": rng.normal(size=4)}

    def loss(p):
        return jnp.mean((activation(x @ p["W"] + p["b"]) @ p["v"] - y) ** 2)

    return loss, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), start)


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "seed"), [(jax.nn.leaky_relu, 1), (jnp.abs, 2)])
def test_a_network_of_pieces_is_told_to_end_where_corners_meet(activation, seed):
    loss, start = network(activation, seed)
    answer = qed.minimize(loss, start)
    assert answer.measured and answer.reason == "kink" and "A minimum as far as was looked" in answer.headline
    rng = np.random.default_rng(1)
    for _ in range(50):
        near = jax.tree.map(lambda a: a + 1e-3 * jnp.asarray(rng.normal(size=a.shape), a.dtype), answer.x)
        assert loss(near) > answer.fun - 1e-5


def test_below_a_valley_of_corners_lies_a_point_that_no_single_slope_shows():
    """Beside |y - x^2| = 0 both slopes point across the valley; their mean goes along it."""
    with jax.enable_x64(True):

        def valley(z):
            return 100 * jnp.abs(z[1] - z[0] ** 2) + z[0]

        objective = Objective(read(valley, jnp.ones(2)))
        here = objective.at(np.array([1.0, 1.0 + 1e-9]))
        lower = below_corners(objective, here, OPEN)
        assert lower is not None and lower.f < here.f - 1e-4
        ball = next(around_corners(objective, here, OPEN))
        assert ball.mean < 1.0 < 100.0 < ball.shortest


def test_where_nothing_has_corners_nothing_is_asked():
    objective = Objective(read(lambda z: jnp.sum(z**2), jnp.ones(2)))
    assert list(around_corners(objective, objective.at(np.ones(2)), OPEN)) == []


def test_a_saddle_of_corners_is_no_minimum():
    """At 0 the slopes cancel in every ball, and f falls along the last axis of thirty."""
    with jax.enable_x64(True):

        def saddle(z):
            return jnp.sum(jnp.abs(z[:-1])) - jnp.abs(z[-1])

        for at in (np.zeros(30), np.full(30, 1e-9)):
            verdict = qed.verdict(saddle, jnp.asarray(at))
            assert "A minimum" not in verdict.headline


def test_beside_a_plateau_a_slope_of_zero_is_one_of_the_slopes():
    """Next to the corner of max(0, x) some slopes are 0, and 0 is their mean."""
    with jax.enable_x64(True):
        objective = Objective(read(lambda z: jnp.maximum(0.0, z[0]) + 0 * z[1], jnp.ones(2)))
        here = objective.at(np.array([1e-9, 1.0]))
        balls = list(around_corners(objective, here, OPEN))
        assert balls and all(ball.shortest == ball.mean == 0.0 for ball in balls[:2])
        run = Ended(here, "stuck", 1, 0)
        case = Judged(objective, here, OPEN, (None, jnp.ones(2), ()), run, None, 1e-8)
        assert stopped_short(case, {}).value.kind == "kink"


@pytest.mark.parametrize("seed", range(3))
def test_no_corners_meet_at_a_minimum_beside_which_nothing_bends_sharply(seed):
    """The slopes around each smooth minimum have a mean of 0, and the one at it is rounding."""
    levels = Objective(read(lambda x: jnp.round(x[0]) + (x[1] - 2) ** 2 + (x[1] - 2) ** 4, jnp.ones(2)))
    assert bends_evenly(levels, np.array([1.25, 2.0 + 1e-9]), 1e-3, seed)
    assert bends_evenly(levels, np.array([1.25, 2.0]), 1e-6, seed)
    ridges = Objective(read(lambda x: jnp.max(jnp.array([x[0], -3 * x[0], x[1], -x[1]])) + x[0] ** 2, jnp.ones(2)))
    assert not bends_evenly(ridges, np.array([1e-7, 0.0]), 1e-3, seed)


def test_levels_are_no_corners():
    answer = qed.minimize(lambda x: jnp.round(x[0]) + (x[1] - 2) ** 2, jnp.array([1.25, 1.0]))
    assert answer.value.reason is not Ending.KINK and "orner" not in str(answer.headline)
