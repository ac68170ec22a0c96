"""The search where a function is undefined or has corners: it stops, and bounds better than the natural extension."""

# pyright: reportOptionalMemberAccess=false

import time

import jax.numpy as jnp
import numpy as np
import pytest

from qed.calculus.bounding.boxes import OnBoxes
from qed.calculus.bounding.search import Search
from qed.calculus.globally import minimize_globally
from qed.graph.trace import trace

UNDEFINED = {
    "everywhere": (lambda x: jnp.log(-1 - jnp.sum(x**2)), -np.ones(2), np.ones(2)),
    "in a part": (lambda x: jnp.sum(jnp.log(x)), -np.ones(2), np.ones(2)),
    "at a pole": (lambda x: jnp.sum(1 / x), -np.ones(2), np.ones(2)),
    "nan": (lambda x: jnp.sum(x) * jnp.nan, -np.ones(2), np.ones(2)),
    "infinite, and flat in a coordinate": (lambda x: x[0] ** 2 - jnp.inf, -np.ones(2), np.ones(2)),
    "nan, and flat in a coordinate": (lambda x: x[0] ** 2 + 0.0 * jnp.nan, -np.ones(2), np.ones(2)),
    "on a line": (lambda x: jnp.log(x[0]), np.full(1, -np.inf), np.full(1, np.inf)),
}


def searched(fun, lower, upper, corners=True):
    function = OnBoxes.of(trace(fun, np.zeros(len(lower), np.float32)))
    search = Search(function, lower, upper, 1e-6, time.monotonic() + 300, corners=corners)
    search.run()
    return search


@pytest.mark.parametrize("name", UNDEFINED)
def test_where_a_function_is_undefined_the_search_ends(name):
    search = searched(*UNDEFINED[name])
    assert search.low == -np.inf and not search.finished
    assert search.gap is not None or name.startswith("infinite")  # an infinite value has no equation to blame
    assert search.evaluated < 5000


def test_undefined_is_said_with_the_equation():
    fun, lower, upper = UNDEFINED["everywhere"]
    answer = minimize_globally(fun, (lower, upper), budget=300)
    assert answer.unknown and answer.missing[0].primitive == "log"


A = jnp.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 2.0], [0.25, 0.75, -1.0]])
CORNERS = {
    "least squares with |x|": (
        lambda x: jnp.sum((A @ x - jnp.array([1.0, 2.0, 3.0])) ** 2) + jnp.sum(jnp.abs(x)),
        3,
    ),
    "waves": (lambda x: jnp.sum(jnp.abs(jnp.sin(3 * x) - 0.3 * x) + 0.1 * jnp.abs(x - 1)), 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CORNERS)
def test_generalised_gradients_save_boxes(name):
    fun, n = CORNERS[name]
    lower, upper = -3 * np.ones(n), 3 * np.ones(n)
    with_slopes, without = searched(fun, lower, upper), searched(fun, lower, upper, False)
    assert with_slopes.finished and without.finished
    assert with_slopes.evaluated < 0.8 * without.evaluated
    assert max(with_slopes.low, without.low) <= min(with_slopes.best, without.best)


def test_what_was_found_by_generalised_gradients_is_verified():
    answer = minimize_globally(CORNERS["waves"][0], (-3 * np.ones(2), 3 * np.ones(2)), budget=60)
    assert answer.proved and answer.value.finished and answer.check()


@pytest.mark.slow
def test_a_region_that_bounds_badly_is_not_kept():
    def fun(x):  # its minimum, 59/48, is on the line where both pieces are equal
        first, second = (x[0] - 1) ** 2 + x[1] ** 2, (x[0] + 1) ** 2 + (x[1] - 1) ** 2
        return jnp.maximum(first, second) - x[0] * x[1]

    answer = minimize_globally(fun, (-3 * np.ones(2), 3 * np.ones(2)), tol=1e-2, budget=60)
    assert answer.proved and answer.value.finished
    assert answer.lower <= 59 / 48 <= answer.upper + 1e-6
