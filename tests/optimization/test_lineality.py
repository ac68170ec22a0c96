"""Directions along which a function is the same everywhere are taken out of steps; separable scores have no minimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.cornered import cornered
from qed.optimization.lineality import lineality
from qed.optimization.objective import Objective

RNG = np.random.default_rng(3)
ROWS, SCORES = RNG.normal(size=(20, 3)), RNG.normal(size=(3, 4))
TOLD = np.argmax(ROWS @ SCORES, axis=1)
DRAWN = RNG.integers(0, 4, 20)


@pytest.fixture(autouse=True)
def _both_dtypes():
    with jax.enable_x64(True):
        yield


def loss(rows, labels):
    labels = jnp.asarray(labels)[:, None]

    def of(p):
        scores = jax.nn.log_softmax(rows @ p["W"] + p["b"])
        return -jnp.mean(jnp.take_along_axis(scores, labels, 1))

    return of


def start(dtype):
    return {"W": jnp.zeros((3, 4), dtype), "b": jnp.zeros(4, dtype)}


SPACES = {
    "softmax": (lambda x: jax.nn.logsumexp(x[:3]) - x[1] + x[3] ** 2, np.array([0.1, 0.2, -0.3, 1.0]), 1),
    "differences": (lambda x: jnp.sum((x[1:] - x[:-1] - 1.0) ** 4 + x[1:] - x[:-1]), np.arange(4.0) ** 2, 1),
    "dependent columns": (lambda x: jnp.sum((jnp.asarray(ROWS[:2]) @ x - 1) ** 2), np.ones(3), 1),
    "a steep and a slight one": (lambda x: x[0] ** 2 + 1e-9 * x[1] ** 2, np.ones(2), 0),
    "flat at the start only": (lambda x: jnp.sum(x**4), np.array([0.0, 1.0]), 0),
    "a product": (lambda x: (x[0] * x[1] - 1) ** 2, np.ones(2), 0),
}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", SPACES)
def test_the_directions_along_which_f_is_the_same(name, dtype):
    f, x, count = SPACES[name]
    objective = Objective(read(f, jnp.asarray(x, dtype)))
    here = objective.at(objective.start)
    found = lineality(objective, here, objective.dense(here.x))
    assert found.shape == (len(x), count)
    for t in (1.0, -30.0):
        away = objective.at(here.x + t * found.sum(axis=1))
        assert abs(away.f - here.f) <= 1e3 * objective.eps * (1 + abs(here.f) + 900 * float(np.abs(away.g).max()))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["float32", "float64"])
def test_separable_classes_have_no_minimum_and_scores_do_not_wander(dtype):
    found = qed.minimize(loss(jnp.asarray(ROWS, dtype), TOLD), start(dtype))
    assert found.reason == "infimum_not_attained", found.headline
    shared = max(float(jnp.abs(found.x["W"].sum(axis=1)).max()), abs(float(found.x["b"].sum())))
    assert shared < (1e-2 if dtype == jnp.float32 else 0.1 * float(jnp.linalg.norm(found.x["W"])))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=["float32", "float64"])
def test_classes_that_overlap_have_minima(dtype):
    assert qed.minimize(loss(jnp.asarray(ROWS, dtype), DRAWN), start(dtype)).reason == "flat_minimum"


@pytest.mark.slow
def test_a_class_without_a_row_has_no_minimum_where_others_overlap():
    labels = np.where(DRAWN == 3, 0, DRAWN)
    found = qed.minimize(loss(jnp.asarray(ROWS, jnp.float32), labels), start(jnp.float32))
    assert found.reason == "infimum_not_attained", found.headline


SMOOTH = {
    "softmax": lambda x: jax.nn.softmax(x)[0],
    "log_softmax": lambda x: jnp.sum(jax.nn.log_softmax(x) * x),
    "logsumexp": lambda x: jax.nn.logsumexp(2 * x),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "log_sigmoid": lambda x: -jnp.sum(jax.nn.log_sigmoid(x)),
}
ROUGH = {
    "max": lambda x: jnp.max(x),
    "hinge": lambda x: jnp.sum(jax.nn.relu(1 - x)),
    "straight through": lambda x: jnp.sum(x + jax.lax.stop_gradient(jnp.floor(x) - x)),
    "a size": lambda x: jnp.abs(jnp.sum(x)),
    "a largest score taken off": lambda x: jnp.sum(x - jnp.max(x)) ** 2,
    "a choice by a stopped number": lambda x: jnp.where(jax.lax.stop_gradient(x[0]) > 0, x[1] ** 2, x[1] ** 4),
}


@pytest.mark.parametrize("name", [*SMOOTH, *ROUGH])
def test_what_may_have_corners(name):
    graph = read({**SMOOTH, **ROUGH}[name], jnp.ones(3)).graph
    assert cornered(graph, graph.inputs[:1]) is (name in ROUGH)


def test_a_loop_is_read_too():
    def rolled(x):
        return jax.lax.scan(lambda c, r: (jax.nn.softplus(c * r), c), x[0], jnp.arange(3.0))[0]

    graph = read(rolled, jnp.ones(2)).graph
    assert cornered(graph, graph.inputs[:1])  # within loops everything is taken to vary
