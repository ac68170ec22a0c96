"""Exponentials under a law: their exponents are added up before anything is enclosed."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.cells import BITS, walked
from qed.certificates.tilted import factors_of, mean_of, tilted
from qed.domains.polynomials import Polynomials, X
from qed.domains.precision import flint, precision
from qed.errors import CertificateError
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
        (lambda x: jnp.exp(x / 16), m.Exponential(0.1), 0.1 / (0.1 - 0.0625)),  # a sum that float32 does not hold
    ],
)
def test_the_mean_is_that_of_the_closed_form(fun, law, truth):
    answer = qed.expect(fun, law, budget=200.0)
    assert answer.proved, answer.missing
    assert answer.lower <= truth <= answer.upper
    assert answer.check()


def test_at_the_edge_and_beyond_it_is_infinite():
    for rate in (0.5, 0.50000006):
        answer = qed.expect(lambda x, rate=rate: jnp.exp(rate * x * x), m.Normal())
        assert answer.proved
        assert answer.value == math.inf
    assert qed.expect(lambda x: jnp.exp(0.5 * x * x) * x, m.Normal()).value is not math.inf


def test_exponents_that_are_polynomials_cancel_on_every_cell():
    part = ("Normal", (0.0, 1.0), (-math.inf, 0.0, math.inf), "1", True)
    with precision(BITS):
        for sign, truth in ((1, math.sqrt(math.pi / 2)), (-1, None)):
            traced = trace(lambda x, sign=sign: jnp.exp(sign * x * x / 2) / (1 + x**2), np.float32(0.5))
            together = tilted(traced, part, "parts[0]")
            (total,) = walked(together.f, Polynomials(), X, 1, "u").coefficients[2:] or (0,)
            assert total == (sign - 1) / 2
            if truth:
                assert mean_of(together, part, 1e-3).overlaps(flint().arb(truth))


@pytest.mark.parametrize(
    "fun", [jnp.abs, jnp.sqrt, lambda x: 1 / x, lambda x: x**20, lambda x: jnp.exp(x) - jnp.exp(x)]
)
def test_what_is_no_polynomial_is_not_taken_for_one(fun):
    with pytest.raises(CertificateError):
        walked(trace(fun, 0.5), Polynomials(), X, 0, "f")
