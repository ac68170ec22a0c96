"""Questions to many boxes at once: yes is true on samples, and what is false is not proved."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.boxes import OutOfTime, Prover
from qed.certificates.boxes_questions import Questions
from qed.certificates.boxes_together import Together
from qed.errors import CertificateError
from qed.graph.trace import trace

FUNCTIONS = {
    "smooth": lambda x: jnp.sin(3 * x[0]) * x[1] + x[0] ** 2 * x[1] ** 2,
    "corner": lambda x: jnp.abs(x[0] - 0.3) + jnp.maximum(x[1], x[0] * x[1]),
    "quartic": lambda x: (x[0] ** 2 + x[1] - 1) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2,
}


def boxes(rng, count=80):
    low = rng.uniform(-2, 2, (count, 2))
    return low, low + rng.choice([1e-3, 0.3, 1.0], (count, 2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_bounds_hold_and_are_found(name):
    rng = np.random.default_rng(0)
    low, high = boxes(rng)
    fun = jax.jit(jax.vmap(FUNCTIONS[name]))
    points = low + rng.random((400, *low.shape)) * (high - low)
    least = np.min([np.asarray(fun(jnp.asarray(p)), float) for p in points], 0)
    ask = Together(trace(FUNCTIONS[name], np.zeros(2, np.float32)))
    above, below = (ask.at_least(low, high, least + shift) for shift in (1e-3, -1.0))  # samples miss corners by less
    assert not above.any()
    assert below.mean() > 0.9


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_have_the_sign_that_is_proved(name):
    rng = np.random.default_rng(1)
    low, high = boxes(rng)
    ask = Together(trace(FUNCTIONS[name], np.zeros(2, np.float32)))
    fun = jax.jit(jax.vmap(FUNCTIONS[name]))
    i, down = rng.integers(0, 2, len(low)), rng.random(len(low)) < 0.5
    said = ask.sloped(low, high, i, down)
    assert 5 < said.sum() < 75
    for s, t in rng.random((200, 2, *low.shape)):
        x = low + s * (high - low)
        y = x.copy()
        each = np.arange(len(x))
        y[each, i] = (low + t * (high - low))[each, i]
        rise = np.asarray(fun(jnp.asarray(y)), float) - np.asarray(fun(jnp.asarray(x)), float)
        wrong = rise * np.where(down, -1, 1) * np.sign(y - x)[each, i] < -1e-5
        assert not np.any(wrong & said)


def test_convexity():
    ask = Together(trace(lambda x: jnp.exp(x[0]) + x[0] * x[1] + x[1] ** 2, np.zeros(2, np.float32)))
    both = np.array([True, True])
    assert ask.convex(np.zeros(2), np.full(2, 2.0), both)
    assert not ask.convex(np.full(2, -2.0), np.full(2, 2.0), both)  # exp(x) < 1/2
    assert ask.convex(np.full(2, -2.0), np.full(2, 2.0), np.array([True, False]))
    flat = Together(trace(lambda x: (x[0] + x[1]) ** 2, np.zeros(2, np.float32)))
    assert not flat.convex(np.zeros(2), np.ones(2), both)  # singular


def test_infinite_boxes_and_undefined_functions_are_left_to_balls():
    ask = Together(trace(lambda x: jnp.sum(x), np.zeros(1, np.float32)))
    assert not ask.at_least(np.array([[-np.inf]]), np.array([[np.inf]]), np.array([-1e300]))[0]
    ask = Together(trace(lambda x: jnp.sum(0 * jnp.log(x) + x**2), np.zeros(1, np.float32)))
    assert not ask.at_least(np.array([[-1.0]]), np.array([[1.0]]), np.array([-1.0]))[0]
    assert ask.at_least(np.array([[0.5]]), np.array([[1.0]]), np.array([-1.0]))[0]


def test_time():
    with pytest.raises(OutOfTime):
        Together(trace(jnp.sum, np.zeros(1, np.float32)), time.monotonic() - 1).at_least(
            np.zeros((1, 1)), np.ones((1, 1)), np.array([-1.0])
        )


def test_what_is_not_settled_together_is_asked_of_balls():
    ask = Questions(trace(lambda x: jnp.sum(jax.scipy.special.gammaln(x)), np.zeros(1, np.float32)))
    assert not ask.together.known and isinstance(ask.balls, Prover)
    ask.at_least(np.array([3.0]), np.array([4.0]), 0.5, "here")
    ask.sloped(np.array([3.0]), np.array([4.0]), 0, False, "there")
    ask.convex(np.array([3.0]), np.array([4.0]), np.array([3.5]), np.array([True]), "everywhere")
    ask.settle()
    ask.at_least(np.array([3.0]), np.array([4.0]), 0.7, "nowhere")
    with pytest.raises(CertificateError, match="nowhere"):
        ask.settle()
