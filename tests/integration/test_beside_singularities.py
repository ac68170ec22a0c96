"""Integrals up to a place where the integrand is not bounded: what float64 leaves out is told, or nothing is."""

import math

import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
import pytest

import qed
from qed.integration import measures as m
from qed.integration.quadrature import measured

UNIT = (0.0, 0.5, 1.0)
INTEGRABLE = {
    "x^-1/2": (lambda x: x**-0.5, 2.0),
    "x^-.99": (lambda x: x**-0.99, 100.0),
    "log": (np.log, -1.0),
    "1/(x log^2)": (lambda x: 1 / (x * (1 - np.log(x)) ** 2), 1.0),
    "1/(x log^3)": (lambda x: 1 / (x * (1 - np.log(x)) ** 3), 0.5),
}


@pytest.mark.parametrize("name", INTEGRABLE)
def test_what_lies_nearer_to_a_singularity_is_within_the_error(name):
    f, truth = INTEGRABLE[name]
    found = measured(f, np.zeros_like, UNIT, False)
    assert found is not None and abs(found.value - truth) <= found.error <= 0.05 * abs(truth)


DIVERGING = {
    "1/x": lambda x: 1 / x,
    "-1/x": lambda x: -1 / x + np.cos(x),
    "x^-.9999": lambda x: x**-0.9999,
    "1/(x log)": lambda x: 1 / (x * (1 - np.log(x))),
    "1/(x log^1.1)": lambda x: 1 / (x * (1 - np.log(x)) ** 1.1),
}


@pytest.mark.parametrize("name", DIVERGING)
def test_what_does_not_fall_beside_a_singularity_is_not_measured(name):
    assert measured(DIVERGING[name], np.zeros_like, UNIT, False) is None


def test_a_short_way_to_a_place_without_a_value_does_not_undo_a_measurement():
    def f(x):
        return np.where(x == 1.0, np.nan, 1.0)

    found = measured(f, np.zeros_like, (0.0, 1.0, 1.0 + 3 * 2.0**-46, 2.0), False)
    assert found is not None and abs(found.value - 2.0) <= found.error < 1e-9


GAMMA = {
    "gamma": (lambda x: jnp.exp(jsp.gammaln(x)), m.Uniform(0.0, 1.0), math.inf),
    "digamma": (jsp.digamma, m.Uniform(0.0, 1.0), -math.inf),
    "digamma at the other end": (lambda x: x * jsp.digamma(1 - x), m.Uniform(0.0, 1.0), -math.inf),
    "gamma, weakened": (lambda x: jnp.sqrt(x) * jnp.exp(jsp.gammaln(x)), m.Uniform(0.0, 1.0), 1.873249937),
    "log-gamma": (jsp.gammaln, m.Uniform(0.0, 2.0), math.log(2 * math.pi) / 2 - 0.5),
    "x digamma": (lambda x: x * jsp.digamma(x), m.Uniform(0.0, 1.0), -math.log(2 * math.pi) / 2),
}


@pytest.mark.parametrize("name", GAMMA)
def test_poles_of_the_gamma_function_at_an_end(name):
    f, law, truth = GAMMA[name]
    answer = qed.expect(f, law)
    assert answer.proved and answer.check()
    assert answer.value == truth or answer.lower - 1e-9 <= truth <= answer.upper + 1e-9
