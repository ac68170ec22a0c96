"""Tails of sums by expansions at infinity: they agree with one another and with known sums, and refuse the rest."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.euler_maclaurin import by_expansion
from qed.certificates.integral_parts import BITS, value_on
from qed.domains.precision import flint, precision
from qed.graph.trace import trace
from qed.integration import measures as m

POSITIVE = m.Counting(1)
FINITE = {
    "zeta(1.125)": (lambda k: k**-1.125, POSITIVE, 8.586241294510575),
    "a shifted square": (lambda k: 1 / (1 + k**2), m.Counting(), (1 + math.pi / math.tanh(math.pi)) / 2),
    "a squared logarithm": (lambda k: 1 / (k * jnp.log(k) ** 2), m.Counting(2), 2.109742801236892),
    "a logarithm": (lambda k: jnp.log(k) / k**2, POSITIVE, 0.9375482543158438),
    "a telescope": (lambda k: 1 / k - 1 / (k + 1), POSITIVE, 1.0),
    "a telescope of roots": (lambda k: 1 / jnp.sqrt(k) - 1 / jnp.sqrt(k + 1), POSITIVE, 1.0),
    "a product": (lambda k: jnp.log1p(1 / k**2), POSITIVE, math.log(math.sinh(math.pi) / math.pi)),
    "sines": (lambda k: 1 / k - jnp.sin(1 / k), POSITIVE, None),
    "an exponential": (lambda k: jnp.exp(-1.5 * jnp.log(k + 0.5)), m.Counting(), 7.0 + 0.0),
}
FINITE["sines"] = (*FINITE["sines"][:2], math.fsum(1 / k - math.sin(1 / k) for k in range(1, 4000)) + 1 / 12 / 4000**2)
FINITE["an exponential"] = (*FINITE["an exponential"][:2], (2**1.5 - 1) * 2.612375348685488)


@pytest.mark.parametrize("name", FINITE)
def test_slow_sums_are_proved(name):
    fun, law, truth = FINITE[name]
    answer = qed.expect(fun, law)
    assert answer.proved and answer.check()
    assert answer.lower - 2e-10 * truth <= truth <= answer.upper + 2e-10 * truth
    assert answer.upper - answer.lower <= 1e-9 * truth


@pytest.mark.parametrize(
    "fun",
    [
        lambda k: jnp.sqrt(k + 1) - jnp.sqrt(k),
        lambda k: jnp.log(k + 1) - jnp.log(k),
        lambda k: 1 / k - 1 / (k + 1) + 1 / (2 * k * jnp.log(k)),
        lambda k: jnp.sqrt(1 + 1 / k) - 1 - 0.5 / k + 0.125 / k,
    ],
)
def test_sums_that_only_just_diverge_are_infinite(fun):
    answer = qed.expect(fun, m.Counting(2))
    assert answer.proved and answer.value == math.inf and answer.check()


def test_laws_known_up_to_a_constant():
    answer = qed.normalizer(lambda k: -jnp.log(k) - 2 * jnp.log(jnp.log(k)), m.Counting(2))
    assert answer.proved and answer.value == pytest.approx(math.log(2.109742801236892), abs=1e-12)
    improper = qed.normalizer(lambda k: -jnp.log(k) - jnp.log(jnp.log(k)), m.Counting(2))
    assert improper.proved and improper.value == math.inf


def tail(fun, start):
    with jax.enable_x64(True):
        traced = trace(fun, np.float64(9.0))
    with precision(BITS):
        found = by_expansion(traced, None, flint().arb(0), start, "f")
        return traced, None if found is None else found.of_f


SMOOTH = {
    "a cancelling sum": lambda k: (jnp.sqrt(k * k + 1) - k) / k + 0.25 / k**2,
    "logarithms": lambda k: jnp.log(k) ** 2 * jnp.log1p(1 / k) / k,
    "a sigmoid": lambda k: (jax.nn.sigmoid(1 / k) - 0.5) / k,
    "both signs": lambda k: 30 / k**2 - 1000 / k**3,
    "a fractional power": lambda k: (k + 3) ** -1.75 + 2 * (k - 1) ** -1.5,
}


@pytest.mark.parametrize("name", SMOOTH)
def test_two_tails_differ_by_the_terms_between_them(name):
    fun = SMOOTH[name]
    traced, near = tail(fun, 24)
    _, far = tail(fun, 320)
    with precision(BITS):
        between = sum(value_on(traced, 0, k, k, "f") for k in range(24, 320))
        assert (near - between).overlaps(far)
        assert 0 < float(far.rad()) < 1e-20 and float(near.rad()) < 1e-8


@pytest.mark.parametrize(
    "fun",
    [
        lambda k: jnp.abs(k - 1000.5) ** -2.0,  # not smooth beyond the start
        lambda k: 1 / (k - 1000.5) ** 2,
        lambda k: jnp.where(k > 1000, 1.0, 0.0) / k**2,
        lambda k: jnp.maximum(1 / k - 1e-3, 0.0),
        lambda k: jnp.sin(k) / k**2,
        lambda k: jnp.floor(k / 2) / k**3,
        lambda k: (-1.0) ** k / k,
        lambda k: jnp.exp(-k),
        lambda k: jnp.sqrt(500 - k),
        lambda k: jnp.log(1 - 700 / k) / k,
    ],
)
def test_what_has_no_expansion_from_the_start_on_is_not_known(fun):
    assert tail(fun, 24)[1] is None
