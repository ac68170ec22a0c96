"""Remainders through orders that are decided on the segment, and through powers whose exponent moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

WEIGHTS = jnp.array([1.0, 2.0, 3.0])
POINT, ALONG = jnp.array([0.25, 2.0, 1.0]), jnp.array([1.0, 1.0, -1.0])

DECIDED = {
    "sort": (lambda x: jnp.sort(x * x) @ WEIGHTS, POINT, ALONG),
    "argsort": (lambda x: jnp.sum(jax.lax.sort((x, jnp.sin(x)), num_keys=1)[1] * WEIGHTS), POINT, ALONG),
    "top_k": (lambda x: jnp.sum(jax.lax.top_k(jnp.exp(x), 2)[0] * WEIGHTS[:2]), POINT, ALONG),
    "places": (lambda x: jnp.sum(x[jax.lax.top_k(jnp.exp(x), 2)[1]] ** 3), POINT, ALONG),
    "x**x": (lambda x: x**x, jnp.float32(1.5), None),
    "x**y": (lambda x: x[0] ** x[1], jnp.array([1.5, 0.75]), jnp.array([1.0, -1.0])),
}


@pytest.mark.parametrize("name", DECIDED)
def test_what_is_decided_is_proved(name):
    fun, at, direction = DECIDED[name]
    answer = qed.taylor(fun, at, order=2, direction=direction, radius=0.125)
    assert answer.proved, answer
    assert answer.check()
    low, high = answer.value.remainder.lower, answer.value.remainder.upper
    slope = np.float64(1.0) if direction is None else np.asarray(direction, np.float64)
    with jax.enable_x64(True):
        steps = np.linspace(-0.125, 0.125, 33)
        seen = [float(fun(jnp.asarray(np.asarray(at, np.float64) + t * slope))) - answer.value(t) for t in steps]
    assert low - 1e-12 <= min(seen) and max(seen) <= high + 1e-12
    assert max(abs(low), abs(high)) <= 1e-12 + 40 * max(map(abs, seen))


UNDECIDED = {
    "sort": (lambda x: jnp.sort(x) @ WEIGHTS, jnp.array([0.25, 2.0, 0.26]), ALONG, "sort"),
    "top_k": (lambda x: jnp.sum(jax.lax.top_k(x, 2)[0]), jnp.array([0.25, 2.0, 0.26]), ALONG, "top_k"),
    "a tie": (lambda x: jnp.sort(x) @ WEIGHTS, jnp.array([0.5, 2.0, 0.5]), ALONG, "sort"),
    "a base that may be zero": (lambda x: x**x, jnp.float32(0.1), None, ""),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_what_is_not_decided_is_said(name):
    fun, at, direction, primitive = UNDECIDED[name]
    answer = qed.taylor(fun, at, order=2, direction=direction, radius=0.125)
    assert answer.unknown
    assert primitive in answer.missing[0].what
