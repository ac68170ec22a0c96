"""Second derivatives that overflow where values and gradients do not, and runs that no value tells on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization.differences import mended
from qed.optimization.stalling import WINDOW, Stall


def scaled_erfc(z):
    """exp(z^2) erfc(z), about 1/(z sqrt pi): near z = 26.5 its second derivative as computed is inf times 0."""
    return jnp.exp(z * z) * jax.scipy.special.erfc(z)


def test_newton_goes_on_by_differences_where_the_hessian_overflows():
    def misfit(x):
        return jnp.sum((1e3 * (scaled_erfc(jnp.array([1.0, 1.0005]) * x) - 0.02126)) ** 2)

    with jax.enable_x64(True):
        start = jnp.array(26.5)
        assert not jnp.isfinite(jax.hessian(misfit)(start)) and jnp.isfinite(jax.grad(misfit)(start))
        answer = qed.minimize(misfit, start)
        assert str(answer.reason) == "minimum" and abs(jax.grad(misfit)(answer.x)) < 1e-4
    assert answer.counts["steps"] < 5


@pytest.mark.parametrize("side", [0, 1, -1])
def test_differences_are_taken_from_the_side_that_is_finite(side):
    def gradient(x):
        blocked = side and side * (x[1] - 2.0) > 0
        return np.full(2, np.nan) if blocked else np.array([2 * x[0], 3 * x[1] ** 2])

    found = mended(np.array([[2.0, np.inf], [np.inf, np.nan]]), np.array([1.0, 2.0]), gradient, 2.2e-16)
    np.testing.assert_allclose(found, [[2.0, 0.0], [0.0, 12.0]], atol=1e-6)


def test_where_no_gradient_is_finite_the_matrix_stays():
    spoilt = np.array([[np.nan]])
    assert mended(spoilt, np.ones(1), lambda x: np.full(1, np.nan), 2.2e-16) is spoilt


@pytest.mark.parametrize(("fall", "shrink", "halts"), [(0.0, 1.0, True), (1e-9, 1.0, False), (0.0, 0.98, False)])
def test_a_run_halts_where_neither_value_nor_slope_gets_less(fall, shrink, halts):
    run = Stall()
    seen = [run.halted(1.0 - fall * k, shrink**k, 1e-15) for k in range(4 * WINDOW)]
    assert any(seen) == halts


def test_values_that_scatter_end_a_run_and_not_its_budget():
    wave = jnp.array([1e9, 3e9])

    def rough(x):
        return jnp.sum((x - 1.0) ** 4) + 1e-13 * jnp.sum(jnp.sin(wave * x)) + 1.0

    answer = qed.minimize(rough, jnp.zeros(2), method="l-bfgs", max_steps=5000)
    assert answer.counts["steps"] < 1000 and str(answer.reason) != "budget_spent"


@pytest.mark.parametrize(
    ("verb", "name"), [(qed.verdict, "kind"), (qed.minimize, "reason")], ids=["verdict", "minimize"]
)
def test_differences_that_shrink_with_their_steps_are_no_curvatures(verb, name):
    """2 (x^2)^(3/2) - 5 x^3 falls to the right of 0, where the second derivative is 0 and JAX computes NaN."""

    def falls(x):
        return jnp.sum(2 * (x**2) ** 1.5 - 5 * x**3)

    answer = verb(falls, jnp.zeros(2))
    assert str(getattr(answer.value, name)) not in ("minimum", "flat_minimum")
