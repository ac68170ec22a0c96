"""Exponentials under a law: their exponents are added up before anything is enclosed."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.tilted import factors_of
from qed.graph.trace import trace
from qed.integration import measures as m

STEEP = float(np.float32(0.48))


def test_the_factors_of_a_quotient():
    found = factors_of(trace(lambda x: x * jnp.exp(x) ** 3 / (jnp.exp(2 * x) * (1 + x)), np.float32(0.5)))
    assert [n for _, n in found.exponents] == [3, -1]
    assert [n for _, n in found.others] == [1, -1]


@pytest.mark.parametrize(
    ("fun", "law", "truth"),
    [
        (lambda x: jnp.exp(0.48 * x * x), m.Normal(), 1 / math.sqrt(1 - 2 * STEEP)),
        (lambda x: x * jnp.exp(x) / jnp.exp(2 * x), m.Normal(), -math.exp(0.5)),
        pytest.param(lambda x: jnp.exp(60 * (x - 30)), m.Normal(), 1.0, marks=pytest.mark.slow),
        (lambda x: jnp.exp(0.5 * x) * jnp.exp(-x) / 2.0, m.Exponential(1.0), 1 / 3),
        (lambda x: jnp.exp(2 * x), m.Uniform(0.0, 1.0), (math.exp(2) - 1) / 2),
    ],
)
def test_the_mean_is_that_of_the_closed_form(fun, law, truth):
    answer = qed.expect(fun, law)
    assert answer.proved, answer.missing
    assert answer.lower <= truth <= answer.upper
    assert answer.check()


def test_at_the_edge_and_beyond_it_is_infinite():
    for rate in (0.5, 0.50000006):
        answer = qed.expect(lambda x, rate=rate: jnp.exp(rate * x * x), m.Normal())
        assert answer.proved
        assert answer.value == math.inf
    assert qed.expect(lambda x: jnp.exp(0.5 * x * x) * x, m.Normal()).value is not math.inf
