"""Where a run goes far out along a curve: a value that is not attained, none at all, or a minimum that lies there."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed

OUTWARD = {
    "x0 on a hyperbola": (lambda x: x[0], [1.0, 2.0], {"inequality": lambda x: x[0] * x[1] - 1, "bounds": (0.0, None)}),
    "1/x0": (lambda x: 1 / x[0], [2.0], {"inequality": lambda x: x[0] - 1}),
    "1/x0 beside a square": (
        lambda x: 1 / x[0] + (x[1] - 1) ** 2,
        [2.0, 0.0],
        {"inequality": lambda x: x[0] - x[1]},
    ),
    "x0^2 on x0 x1 = 1": (lambda x: x[0] ** 2, [1.0, 3.0], {"equality": lambda x: x[0] * x[1] - 1}),
}


@pytest.mark.parametrize("name", OUTWARD)
def test_a_value_that_is_approached_along_a_curve_is_not_attained(name):
    fun, start, constraints = OUTWARD[name]
    answer = qed.minimize(fun, jnp.array(start), **constraints)
    assert answer.reason == "infimum_not_attained"
    assert answer.standing == "MEASURED" and "towards some 0." in answer.headline


def test_a_curve_on_which_f_falls_without_end_is_told_without_noise(recwarn):
    constraint = {"equality": lambda x: jnp.exp(x[0]) + jnp.exp(x[1]) - jnp.pi}
    answer = qed.minimize(lambda x: x[0] - x[1], jnp.zeros(2), **constraint)
    assert answer.reason == "unbounded_below" and answer.standing == "MEASURED"
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
    assert answer.check()


def test_a_minimum_far_out_in_a_problem_of_that_size_is_one():
    def inside(x):
        return 1e3 * (1.5 - x[0]) + 1e-6 * (5e5 - x[1])

    def fun(x):
        return 1e8 * (x[0] - 1) ** 2 + 1e-8 * (x[1] - 1e6) ** 2

    answer = qed.minimize(fun, jnp.zeros(2), inequality=inside)
    assert answer.reason == "minimum" and answer.proved
    np.testing.assert_allclose(answer.x, [1.0, 1e6], rtol=1e-9)


def test_a_valley_that_looks_flat_by_its_size_and_is_flat_stays_flat():
    answer = qed.minimize(lambda x: 1e8 * (x[0] + x[1]) ** 2, jnp.ones(2), inequality=lambda x: 9 - x[0] - x[1])
    assert answer.reason == "flat_minimum"


def test_a_hyperbola_whose_least_value_is_attained_is_not_called_endless():
    answer = qed.minimize(lambda x: x[0] + 1e-6 * x[1], jnp.array([1.0, 2.0]), inequality=lambda x: x[0] * x[1] - 1)
    assert answer.reason != "infimum_not_attained"
    bounded = {"inequality": lambda x: x[0] * x[1] - 1, "bounds": (0.0, None)}
    answer = qed.minimize(lambda x: x[0] + 1e-6 * x[1], jnp.array([1.0, 2.0]), **bounded)
    assert answer.reason == "minimum"
    np.testing.assert_allclose(answer.x, [1e-3, 1e3], rtol=1e-5)
