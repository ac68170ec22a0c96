"""Integrals that are infinite or undefined, and finite ones beside them: poles, logarithms of logarithms, two parts."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.integration import measures as m
from qed.integration.quadrature import measured

LINE, HALF = m.Normal(), m.Uniform(-1.0, 1.0)
LOG_CAUCHY = m.from_log_density(lambda x: -jnp.log(x) - jnp.log1p(jnp.log(x) ** 2), 0.0, math.inf)
SLOW = m.from_log_density(lambda x: -jnp.log(x) - 2 * jnp.log(jnp.log(x)), 3.0, math.inf)
STEEP = m.from_log_density(lambda x: -jnp.log(x) - 2 * jnp.log(-jnp.log(x)), 0.0, 0.25)
MIRRORED = m.pushforward(m.Pareto(1.0, 1.0), lambda x: -x)
EXPECTED = {
    "a double pole at 0 that float64 smears": (lambda x: 1 / (1 - jnp.cos(x)), HALF, math.inf),
    "three poles beside corners": (lambda x: 1 / jnp.abs(x**3 - x), LINE, math.inf),
    "log-Cauchy": (jnp.sqrt, LOG_CAUCHY, math.inf),
    "two parts of opposite signs": (lambda x: x, m.mixture([0.5, 0.5], [m.Pareto(1.0, 1.0), MIRRORED]), math.nan),
    "a sum and a density": (lambda x: x, m.mixture([0.5, 0.5], [m.Poisson(2.0), m.Cauchy()]), math.nan),
}


THIRD = m.from_log_density(
    lambda x: -jnp.log(x) - jnp.log(jnp.log(x)) - 2 * jnp.log(jnp.log(jnp.log(x))), 16.0, math.inf
)
BEYOND, BESIDE = m.Lebesgue(16.0, math.inf), m.Lebesgue(0.0, 0.0625)
ITERATED = {
    "diverges": (lambda x: 1 / (x * jnp.log(x) * jnp.log(jnp.log(x))), BEYOND, math.inf),
    "converges": (lambda x: 1 / (x * jnp.log(x) * jnp.log(jnp.log(x)) ** 2), BEYOND, 1 / math.log(math.log(16))),
    "beside 0": (lambda x: 1 / (-x * jnp.log(x) * jnp.log(-jnp.log(x))), BESIDE, math.inf),
    "beside 0, converging": (
        lambda x: 1 / (x * jnp.log(x) * jnp.log(-jnp.log(x)) ** 2), BESIDE, -1 / math.log(math.log(16)),
    ),
    "a mean of a law": (lambda x: jnp.log(jnp.log(x)), THIRD, math.inf),
}  # fmt: skip


@pytest.mark.parametrize("name", ITERATED)
def test_logarithms_of_logarithms(name):
    """The scale of Bertrand, one logarithm further: in log x it is the one before."""
    fun, law, truth = ITERATED[name]
    answer = qed.expect(fun, law)
    assert answer.proved, answer.missing
    assert answer.lower <= truth <= answer.upper
    assert answer.certificate.verify()


@pytest.mark.parametrize(
    ("power", "truth"), [(1.0, None), (1.5, None), (2.0, 1 / math.log(2)), (3.0, 0.5 / math.log(2) ** 2)]
)
def test_what_falls_too_slowly_is_not_measured(power, truth):
    """1 / (x (log x)^p): what lies beyond all numbers of float64 is a part of the error, or there is no measurement."""
    found = measured(np.ones_like, lambda x: -np.log(x) - power * np.log(np.log(x)), [2.0, 10.0, math.inf], False)
    assert (found is None) == (truth is None)
    assert found is None or abs(found.value - truth) <= found.error < 0.1


SLOW_ONES = {"three poles beside corners", "two parts of opposite signs"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_ONES else name for name in EXPECTED]
)
def test_an_expectation(name):
    fun, law, truth = EXPECTED[name]
    answer = qed.expect(fun, law)
    assert answer.proved, answer.missing
    assert answer.value == truth or math.isnan(answer.value) == math.isnan(truth) is True
    assert answer.check()


@pytest.mark.parametrize(("law", "truth"), [pytest.param(SLOW, math.inf, marks=pytest.mark.slow), (STEEP, -math.inf)])
def test_an_entropy(law, truth):
    answer = qed.entropy(law)
    assert answer.proved, answer.missing
    assert answer.value == truth
    assert answer.check()


def test_log_log_x_in_a_density_that_is_known():
    """1 / (x log^2 x) has the mass 1 / log 3 beyond 3."""
    answer = qed.normalizer(lambda x: -jnp.log(x) - 2 * jnp.log(jnp.log(x)), m.Lebesgue(3.0, math.inf))
    assert answer.proved
    assert answer.lower <= -math.log(math.log(3)) <= answer.upper


def test_a_log_density_that_is_nan_is_told():
    answer = qed.expect(lambda x: x, m.reweight(m.Normal(), jnp.log))
    assert answer.unknown and "log-density of the measure is NaN at -" in answer.missing[0].what
