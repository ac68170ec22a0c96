"""What a mixture leaves of 1: in value and gradient, in logarithms, with weights that add up to 1 or do not."""

import jax
import jax.numpy as jnp
import pytest
from jax.nn import sigmoid
from jax.scipy.stats import norm

import qed
from tests.numerics import scoring
from tests.numerics.scoring import Stability


def wrong_although_one_may_guess(z, guess):
    c = sigmoid(guess)
    return jnp.log(1 - (c + (1 - c) / (1 + jnp.exp(-z))))


def with_an_upper_asymptote(z, guess, careless):
    c, d = sigmoid(guess), sigmoid(careless)
    return jnp.log(1 - (c + (d - c) * sigmoid(z)))


def tail_of_two_laws(z, guess):
    c = sigmoid(guess)
    return jnp.log(1 - (c * norm.cdf(z) + (1 - c) * sigmoid(z)))


def tail_of_three(z):
    return 1 - (0.3 * sigmoid(z) + 0.5 * norm.cdf(z) + 0.2 * sigmoid(2 * z))


def tail_of_hyperexponential_waits(t):
    return jnp.log(1 - (0.25 * (1 - jnp.exp(-t)) + 0.75 * (1 - jnp.exp(-2 * t))))


def less_than_certain(z, c):
    return (c * sigmoid(z) + (1 - c) * norm.cdf(z)) - 1


def inflated(rate, c):
    return 1 - (c + (1 - c) * jnp.exp(-rate))


CASES = [
    (wrong_although_one_may_guess, (30.0, -2.0), (0.5, -1.5), (-20.0, 3.0), (80.0, -2.0)),
    (with_an_upper_asymptote, (30.0, -2.0, 50.0), (0.5, -1.0, 2.0)),
    (tail_of_two_laws, (30.0, -2.0), (5.0, 30.0)),
    (tail_of_three, (30.0,), (5.0,)),
    (tail_of_hyperexponential_waits, (30.0,), (1e-5,), (2.0,)),
    (less_than_certain, (30.0, 0.3), (5.0, 0.9)),
    (inflated, (1e-5, 0.3), (2.0, 0.9999)),
]


TURNS = [
    pytest.param(fun, points, dtype, id=f"{fun.__name__}-{dtype}", marks=[pytest.mark.slow] * (k not in (0, 5, 9, 12)))
    for k, (fun, points, dtype) in enumerate((f, p, d) for f, *p in CASES for d in ("float32", "float64"))
]


@pytest.mark.parametrize(("fun", "points", "dtype"), TURNS)
def test_what_a_mixture_leaves_of_one_keeps_its_digits(fun, points, dtype):
    case = Stability(fun.__name__, "mixtures", fun, tuple(points))
    verdict = scoring.verdict(case, dtype, qed.stabilize(fun), scoring.truths(case, dtype))
    for what in ("value", "gradient"):
        assert verdict.broken(what) and verdict.after.worst(what) <= 4, verdict  # of 24 or 53; exp(-x^2/2) is steep


def test_a_logarithm_of_it_does_not_underflow():
    stable = qed.stabilize(wrong_although_one_may_guess)
    at = jnp.float32(500), jnp.float32(-300)
    assert stable(*at) == -500 and jax.grad(stable)(*at) == -1


@pytest.mark.parametrize(
    "fun",
    [
        lambda z, c: 1 - (c * sigmoid(z) + (2 - c) * sigmoid(-z)),
        lambda z, c: 1 - (0.3 * sigmoid(z) + 0.6 * norm.cdf(c)),
        lambda z, c: 1 - (c * sigmoid(z) - (1 - c) * sigmoid(2 * z)),
        lambda z, c: 1 - (c * sigmoid(z) + (1 - c) ** 2 * sigmoid(2 * z)),
        lambda z, c: 2 - (c * sigmoid(z) + (1 - c) * sigmoid(2 * z)),
        lambda z, c: jnp.exp(z - c) - 1 - (z - c),
    ],
)
def test_weights_that_do_not_add_up_to_one_are_no_mixture(fun):
    at = jnp.float32(1.5), jnp.float32(0.25)
    found = qed.stabilize(fun).rewrites(*at).rewrites
    assert not any("weights whose sum is 1" in each.identity for each in found)
    assert qed.stabilize(fun)(*at) == pytest.approx(float(fun(*at)), rel=1e-5)
