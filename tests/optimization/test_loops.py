"""A loss with a loop of unknown length, which JAX cannot walk back: by forward mode while parameters are few."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.gradient.either import LARGEST, value_and_gradient
from qed.errors import QedError


def root(a):
    """The square root of each number by Newton's iteration, until it stands, in 40 steps at most."""

    def goes_on(state):
        k, now, before = state
        return (k < 40) & jnp.any(jnp.abs(now - before) > 1e-5 * jnp.abs(now))

    def step(state):
        k, now, _ = state
        return k + 1, 0.5 * (now + a / now), now

    return jax.lax.while_loop(goes_on, step, (0, a, a + 1))[1]


def loss(w):
    return jnp.sum((root(w) - 2.0) ** 2)


def test_value_and_gradient_are_those_of_the_closed_form():
    w = jnp.array([1.0, 9.0])
    value, slope = value_and_gradient(loss)(w)
    r = np.sqrt([1.0, 9.0])
    assert float(value) == pytest.approx(np.sum((r - 2) ** 2), rel=1e-5)
    np.testing.assert_allclose(slope, (r - 2) / r, rtol=1e-4)


def test_it_is_minimised_and_judged():
    answer = qed.minimize(loss, jnp.array([1.0, 9.0]), tol=1e-3)
    np.testing.assert_allclose(answer.x, 4.0, rtol=1e-2)
    assert answer.reason != "gradient_wrong"
    verdict = qed.verdict(loss, jnp.array([1.0, 9.0]))
    assert verdict.kind == "not_stationary"


def test_with_many_parameters_the_error_says_what_to_do():
    with pytest.raises(QedError) as error:
        qed.verdict(loss, jnp.ones(LARGEST + 1))
    assert error.value.code == "QED010"
    assert "scan" in str(error.value)


def test_a_map_whose_exact_coefficients_double_in_length_is_given_up():
    """x <- r x (1 - x) from a number with 24 bits: after 40 steps the exact numbers would have 10^13."""

    def orbit(r):
        return jax.lax.scan(lambda x, _: (r * x * (1 - x), x), jnp.asarray(0.3, jnp.float32), None, length=40)[1]

    answer = qed.convexity(lambda r: jnp.mean(orbit(r[0]) ** 2), qed.Box(jnp.array([3.6]), jnp.array([3.7])))
    assert answer.refuted


@pytest.mark.slow
def test_a_gradient_that_is_mostly_rounding_is_told_beside_that_of_float64():
    """A recurrent network with large weights is chaotic: float32 has no digit of its gradient."""
    rng = np.random.default_rng(0)
    series, a, b, c = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in (40, (2, 2), 2, 2))

    def fit(p):
        def step(h, x):
            h = jnp.tanh(p["A"] @ h + p["B"] * x)
            return h, h @ p["c"]

        return jnp.mean((jax.lax.scan(step, jnp.zeros(2), series)[1][:-1] - series[1:]) ** 2)

    answer = qed.minimize(fit, {"A": 2.5 * a, "B": b, "c": c}, method="newton")
    assert answer.reason == "noise_floor" and "in float32" in answer.headline and "in float64" in answer.headline
