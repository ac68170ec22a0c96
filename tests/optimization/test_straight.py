"""Falls for ever along a line on which f does not bend are told before a run goes there; floors are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.function import read
from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective
from qed.optimization.straight import straight_way

DTYPES = [pytest.param(jnp.float32, id="float32"), pytest.param(jnp.float64, id="float64")]


def partial_sums(y):  # its least curvature is rounding once y is large
    sums = jnp.cumsum(2 * y)
    return jnp.sum(sums[:-2]) + (sums[-2] - 1) ** 4 + sums[-1] ** 8


def way_of(fun, x):
    objective = Objective(read(fun, x))
    box = Bounds(np.full(x.size, -np.inf), np.full(x.size, np.inf))
    here = objective.at(np.asarray(x, np.float64))
    return straight_way(objective, here, objective.matrix(here.x), box)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("start", [1.0, -0.5])
def test_a_run_sees_it_in_its_first_steps(dtype, start):
    with jax.enable_x64(True):
        answer = qed.minimize(partial_sums, jnp.full(12, start, dtype))
    assert str(answer.reason) == "unbounded_below"
    assert answer.value.counts["steps"] <= 16


@pytest.mark.parametrize("dtype", DTYPES)
def test_next_to_a_power(dtype):
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: 3 * x[1] - x[0] + x[0] ** 4, jnp.array([2.0, 1.0], dtype))
        assert str(answer.reason) == "unbounded_below" and answer.value.counts["values"] < 300


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.maximum(x[0], -1e9) + x[1] ** 2,
        lambda x: x[0] + 1e-12 * jnp.maximum(-x[0] - 1e4, 0.0) ** 2 + (x[0] + x[1]) ** 4,
        lambda x: (x[0] + x[1] - 3) ** 4,
        lambda x: jnp.sum((x - 1) ** 2),
    ],
    ids=["a floor", "a penalty far out", "nothing across", "definite"],
)
def test_where_a_fall_has_an_end_no_line_is_told(fun):
    with jax.enable_x64(True):
        assert way_of(fun, jnp.array([5.0, 2.0])) is None


def test_the_slope_may_be_hidden_by_what_bends():
    with jax.enable_x64(True):
        at, way = way_of(lambda x: x[0] + (x[0] + x[1]) ** 10, jnp.array([3e4, 2e4]))
    np.testing.assert_allclose(way * 2**0.5, [-1, 1], rtol=1e-12)
    assert abs(at.x[0] + at.x[1]) < 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_floor_far_down_is_no_fall_for_ever(dtype):
    with jax.enable_x64(True):
        answer = qed.minimize(lambda x: -jnp.minimum(jnp.sum(x), 1e30), jnp.array([0.0, 1.0], dtype))
    assert str(answer.reason) == "flat_minimum"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fun", "at"),
    [
        (lambda x: -2e-3 * jnp.log(x[0]) + 4e-9 * x[0] + (x[1] - 1) ** 2, [5e3, 1.0]),
        (lambda x: 50 * (x[1] - jnp.log(x[0])) ** 2 + 1 / x[0] + 1e-8 * x[0], [100.0, 4.60517]),
    ],
    ids=["logarithm", "curve"],
)
def test_a_valley_with_an_end_far_off_is_not_told_to_have_none(fun, at):
    """Their minima lie at x[0] = 5e5 and 1e4."""
    answer = qed.verdict(fun, jnp.array(at))
    assert answer.value is None or answer.value.kind not in ("infimum_not_attained", "unbounded_below")


@pytest.mark.slow
def test_a_slope_that_is_rounding_is_worth_little_where_all_curvatures_are_more():
    """A run that begins near a minimum far from 0 has little to fall; eigenvalues are no matter of proofs."""
    rows, more = jnp.array([[1.0, 2], [2, 1], [1, 1]]), jnp.array([[1.0, 0.2], [0.2, 3]])
    data = rows @ jnp.array([4e3, 3e3]) + jnp.array([1.0, -1, 1])

    def loss(w):
        return jnp.sum((rows @ w - data) ** 2) + 0.01 * jnp.linalg.eigvalsh(jnp.diag(w) + more)[-1]

    assert qed.minimize(loss, jnp.array([4001.0, 2999.0])).reason == "minimum"
