"""The heavy ball goes round on a function that is no quadratic: checked exactly, and run."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.optimization.cycles import cycle, refuted


def textbook(low, high):
    root = np.sqrt(high / low)
    return float(4 / (np.sqrt(high) + np.sqrt(low)) ** 2), float(((root - 1) / (root + 1)) ** 2)


@pytest.mark.parametrize("condition", [20.0, 25.0, 100.0, 1e4])
def test_with_the_constants_of_quadratics_it_goes_round_elsewhere(condition):
    low = 0.3
    step, momentum = textbook(low, low * condition)
    found = cycle(low, low * condition, step, momentum)
    assert found.holds()
    before, now = found.points[2], found.points[0]
    for _ in range(30):
        before, now = now, now - step * found.derivative(now) + momentum * (now - before)
    assert min(abs(now - x) for x in found.points) < 1e-6
    slopes = [found.derivative(x + 1e-3) - found.derivative(x) for x in np.linspace(-4, 4, 801)]
    assert low * 0.999 <= min(slopes) / 1e-3 and max(slopes) / 1e-3 <= low * condition * 1.001


def test_what_is_altered_does_not_hold():
    step, momentum = textbook(1.0, 25.0)
    found = cycle(1.0, 25.0, step, momentum)
    for fields in (
        {"low": 9.0},
        {"high": 5.0},
        {"step": 0.9},
        {"points": (1.0, 1.0, 2.0)},
        {"points": (1.0, -0.5, 2.9)},
    ):
        assert not replace(found, **fields).holds()


def test_below_a_condition_of_18_and_without_momentum_none_is_found():
    assert cycle(1.0, 15.0, *textbook(1.0, 15.0)) is None
    assert cycle(1.0, 100.0, 2 / 101, 0.0) is None
    assert refuted(1.0, 15.0, *textbook(1.0, 15.0)) is None


def test_rate_says_it_beside_the_run_that_converges():
    def fun(w):
        return jnp.sum(jnp.array([50.0, 0.5]) * w**2) + jnp.sum(jnp.sqrt(1 + w**2))

    everywhere = (np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32))
    answer = qed.rate(fun, jnp.ones(2), method="heavy ball", steps=60, region=everywhere)
    assert answer.kind == "linear"
    (never,) = [part for part in answer.answers if part.refuted]
    assert never.check()
    assert "every function" in never.claim
