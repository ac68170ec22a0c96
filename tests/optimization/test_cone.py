"""Points that bounds or rows hold with no force: the second order along what they allow to one side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization.cone import least_on_cone


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("given", [{"bounds": (0.0, None)}, {"inequality": lambda x: x}])
def test_a_corner_is_judged_by_the_directions_into_the_set(given, scale):
    up = qed.verdict(lambda x: scale * (x @ x + 3 * x[0] * x[1]), jnp.zeros(2), **given)
    assert up.kind == "minimum"
    down = qed.verdict(lambda x: scale * (x @ x - 3 * x[0] * x[1]), jnp.zeros(2), **given)
    assert down.kind == "saddle"


@pytest.mark.parametrize(
    "bounds", [(None, 0.0), (jnp.array([0.0, -jnp.inf]), jnp.array([jnp.inf, 0.0]))], ids=["upper", "mixed"]
)
def test_which_side_a_bound_leaves_decides(bounds):
    answer = qed.verdict(lambda x: x @ x + 3 * x[0] * x[1], jnp.zeros(2), bounds=bounds)
    assert answer.kind == ("minimum" if bounds[0] is None else "saddle")


def test_the_least_curvature_along_random_cones_is_that_of_samples():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n, k = int(rng.integers(2, 5)), int(rng.integers(1, 5))
        rows, H = rng.standard_normal((k, n)), rng.standard_normal((n, n))
        H = H + H.T + rng.uniform(0, 4) * np.eye(n)
        found = least_on_cone(H, np.zeros((0, n)), rows, 1e-9)
        ways = rng.standard_normal((20_000, n))
        ways = ways[np.all(ways @ rows.T >= 0, axis=1)]
        sampled = np.einsum("ij,jk,ik->i", ways, H, ways) / np.sum(ways**2, axis=1)
        assert sampled.min(initial=np.inf) >= found.curvature - 1e-9
        if np.isfinite(found.curvature):
            assert np.all(rows @ found.vector >= -1e-8)
            assert found.vector @ H @ found.vector == pytest.approx(found.curvature)


def test_a_budget_that_ends_before_a_feasible_point_is_told_as_spent():
    answer = qed.minimize(
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2], jnp.array([1.0, 5.0, 5.0, 1.0]), max_steps=1,
        equality=lambda x: x @ x - 40, inequality=lambda x: jnp.prod(x) - 25, bounds=(1.0, 5.0),
    )  # fmt: skip
    assert answer.reason == "budget_spent"
    assert "max_steps" in str(answer.missing)


def test_at_a_corner_that_f_slopes_away_from_the_point_is_not_stationary():
    answer = qed.verdict(lambda x: x[0] - 2 * x[1], jnp.zeros(2), bounds=(0.0, None))
    assert answer.kind == "not_stationary"


def test_under_jit_value_and_gradient_come_without_a_verdict():
    def fun(x, d):
        return jnp.sum((x - d) ** 2)

    kinds = []

    def asked(d):
        answer = qed.verdict(lambda x: fun(x, d), jnp.zeros(2))
        kinds.append((answer.standing, answer.missing[0].what[:6]))
        return answer.fun, answer.gradient, qed.minimize(lambda x: fun(x, d), jnp.zeros(2)).x

    value, gradient, x = jax.jit(asked)(jnp.array([1.0, 3.0]))
    assert kinds == [("UNKNOWN", "traced")]
    assert (float(value), float(gradient)) == (10.0, 6.0)
    assert x.tolist() == pytest.approx([1.0, 3.0])
