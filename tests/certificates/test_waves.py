"""Tails that oscillate without an end: what is undefined, what is infinite, and what is neither is not said to be."""

import math

import jax.numpy as jnp
import pytest

import qed
from qed.integration import measures as m

UP = m.Lebesgue(1.0, math.inf)
COUNTED = m.Counting(1)
WEIGHTED = m.reweight(COUNTED, lambda k: -2 * jnp.log(k))
UNDEFINED = {
    "sinc": (lambda x: jnp.sin(x) / x, UP),
    "Cauchy": (lambda x: x * jnp.sin(x), m.Cauchy()),
    "Fresnel": (lambda x: jnp.sin(x * x), m.Lebesgue()),
    "faster and faster": (lambda x: jnp.sin(jnp.exp(x)) * jnp.exp(x), m.Laplace()),
    "slower and slower": (lambda x: jnp.sin(jnp.log(x)) / x, UP),
    "beside an end": (lambda x: jnp.sin(1 / x) / x, m.Uniform(0.0, 1.0)),
    "with a mean that is too small": (lambda x: (0.25 + jnp.sin(x)) / x, UP),
    "harmonic, by turns": (lambda k: jnp.where(k % 2 == 0, 1.0, -1.0) / k, COUNTED),
    "powers of -1": (lambda k: (-1.0) ** k / jnp.sqrt(k), COUNTED),
    "powers of -2": (lambda k: (-2.0) ** k, COUNTED),
    "three turns": (lambda k: jnp.where(k % 3 == 0, -1.0, jnp.where(k % 3 == 1, 1.0, 0.0)) / k, COUNTED),
    "a mean of numbers by turns": (lambda k: (-1.0) ** k * k, WEIGHTED),
    "sines of whole numbers": (lambda k: jnp.sin(k) / k, COUNTED),
}
INFINITE = {
    "sizes": (lambda x: jnp.abs(jnp.sin(x)) / x, UP, math.inf),
    "with a mean": (lambda x: -(1.5 + jnp.sin(x)) * x, m.HalfCauchy(1.0), -math.inf),
    "even numbers": (lambda k: jnp.where(k % 2 == 0, 1.0, 0.0) / k, COUNTED, math.inf),
    "squares of sines": (lambda k: jnp.sin(k) ** 2 / k, COUNTED, math.inf),
}
FINITE = {
    "sin^2 / x^2": (lambda x: jnp.sin(x) ** 2 / x**2, UP, 0.6734566901447166),
    "a law by turns": (lambda k: (-1.0) ** k * 2.0**-k, m.Counting(), 2 / 3),
}


def some_slow(names, slow):
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.mark.parametrize("name", some_slow(UNDEFINED, {"Fresnel", "with a mean that is too small"}))
def test_both_parts_are_infinite(name):
    answer = qed.expect(*UNDEFINED[name])
    assert answer.proved, answer.missing
    assert math.isnan(answer.value)
    assert answer.check()


@pytest.mark.parametrize("name", some_slow(INFINITE, {"sizes"}))
def test_one_part_is_infinite(name):
    *question, truth = INFINITE[name]
    answer = qed.expect(*question)
    assert answer.proved, answer.missing
    assert answer.value == truth


@pytest.mark.parametrize("name", some_slow(FINITE, {"sin^2 / x^2"}))
def test_what_converges_is_not_said_to_diverge(name):
    *question, truth = FINITE[name]
    answer = qed.expect(*question)
    assert answer.proved, answer.missing
    assert answer.lower <= truth <= answer.upper


SILENT = {
    "a remainder that hides the rest": (lambda x: jnp.sin(x) / x + 1 / x**0.5, UP),
    "integrable": (lambda k: (-1.0) ** k / k**1.5, COUNTED),
    "another frequency": (lambda x: (jnp.sin(x) - jnp.sin(x)) / x, UP),
}


@pytest.mark.parametrize("name", some_slow(SILENT, {"integrable"}))
def test_nothing_is_called_undefined_that_is_not(name):
    answer = qed.expect(*SILENT[name])
    assert not (answer.proved and math.isnan(answer.value))
