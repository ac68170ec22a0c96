"""Sums whose ratios of successive terms tend to 1."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import betaln, gammaln

import qed
from qed.certificates.certificate import placed
from qed.certificates.raabe import diverges, expansion, rest
from qed.domains.precision import precision
from qed.domains.successive_ratio import SuccessiveRatio
from qed.graph.trace import trace
from qed.graph.walk import Walker
from qed.integration import measures


def central(k, n=1):
    """(binomial(2k, k) / 4^k)^n, about (pi k)^(-n/2)."""
    return jnp.exp(n * gammaln(2 * k + 1) - 2 * n * gammaln(k + 1)) * (4.0**n) ** -k


def step_of(fun, start=8):
    traced, domain = trace(fun, np.float64(0.5)), SuccessiveRatio(start)
    return domain.ratio(Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0]).step


TERMS = {
    "central": lambda k: central(k),
    "gammas": lambda k: jnp.exp(gammaln(k + 0.25) - gammaln(k + 2)),
    "powers": lambda k: jnp.exp(k * jnp.log(k) - k - gammaln(k + 1)) / k,
    "shifted powers": lambda k: jnp.exp(gammaln(k + 3) + k) * (k + 2.0) ** (-k) * (k + 1.0) ** -3,
    "a power and a line": lambda k: (2 * k - 3) ** 2 / (k + 0.5) ** 3,
}
LOGS = {
    "central": lambda k: math.lgamma(2 * k + 1) - 2 * math.lgamma(k + 1) - k * math.log(4),
    "gammas": lambda k: math.lgamma(k + 0.25) - math.lgamma(k + 2),
    "powers": lambda k: k * math.log(k) - k - math.lgamma(k + 1) - math.log(k),
    "shifted powers": lambda k: math.lgamma(k + 3) + k - k * math.log(k + 2) - 3 * math.log(k + 1),
    "a power and a line": lambda k: 2 * math.log(2 * k - 3) - 3 * math.log(k + 0.5),
}


@pytest.mark.parametrize("name", TERMS)
def test_an_expansion_holds_the_logarithm_of_the_ratio(name):
    with precision(128):
        one = expansion(step_of(TERMS[name]))
        assert one is not None
        for k in (int(one.first) + 1, 50, 400):
            ratio = LOGS[name](k + 1) - LOGS[name](k)
            assert abs(ratio - float(one.s) / k - float(one.q) / k**2) <= float(one.r) / k**3 + 1e-12


@pytest.mark.parametrize("name", ["gammas", "powers"])
def test_the_rest_is_that_of_the_sum(name):
    with precision(128):
        share = rest(step_of(TERMS[name], 100), 100)
        log, last = LOGS[name], 200_000
        total = sum(math.exp(log(k) - log(100)) for k in range(100, last))
        s = float(expansion(step_of(TERMS[name])).s)  # what is left is about last / (-s - 1) of the last term
        total += math.exp(log(last) - log(100)) * (last - 0.5) / (-s - 1)
        assert share.rad() < 1e-2 * share.mid() and abs(float(share.mid()) - total) < float(share.rad()) + 1e-4 * total


@pytest.mark.parametrize(
    "change, infinite", [(0.0, True), (2.0**-20, False), (-(2.0**-20), True), (2.0**-3, False)]
)  # k^-1 times k^-change
def test_the_border_of_convergence_is_told_exactly(change, infinite):
    with precision(128):
        step = step_of(lambda k: central(k, 2) * k**-change if change else central(k, 2), 4096)
        assert diverges(step, 2**18) is infinite
        assert (rest(step, 2**18) is not None) is not infinite


def test_a_constant_that_is_nearly_one_is_none():
    for off in (2.0**-20, -(2.0**-20)):
        with precision(128):
            assert expansion(step_of(lambda k, off=off: central(k) * (1 + off) ** k)) is None
            assert expansion(step_of(lambda k, off=off: central(k) * jnp.exp(off * k))) is None
    with precision(128):  # log 4 is rounded
        assert expansion(step_of(lambda k: jnp.exp(gammaln(2 * k + 1) - 2 * gammaln(k + 1) - k * np.log(4.0)))) is None


@pytest.mark.parametrize(
    "fun",
    [
        lambda k: central(k),
        lambda k: central(k, 2),
        lambda k: jnp.exp(gammaln(k + 0.25) - gammaln(k + 1)),
        lambda k: -jnp.exp(k * jnp.log(k) - k - gammaln(k + 1)),
        lambda k: jnp.exp(betaln(k, 0.5)),
        lambda k: jnp.exp(gammaln(k + 20.5) - gammaln(k + 21.5)),
        lambda k: jnp.exp(gammaln(k + 1)) * 2.0**-k,
    ],
)
def test_an_infinite_sum_by_ratios(fun):
    answer = qed.expect(fun, measures.Counting(1))
    assert answer.proved and answer.value == (-np.inf if float(fun(jnp.float32(3.0))) < 0 else np.inf)
    assert answer.check()


@pytest.mark.parametrize(
    "fun, value",
    [
        (lambda k: jnp.exp(gammaln(k + 0.5) - gammaln(k + 3)), math.sqrt(math.pi) / 6),  # it telescopes
        (lambda k: jnp.exp(2 * gammaln(k + 1) - gammaln(2 * k + 1)), 1 / 3 + 2 * math.pi * math.sqrt(3) / 27),
    ],
)
def test_a_finite_sum_by_ratios(fun, value):
    answer = qed.expect(fun, measures.Counting(1))
    assert answer.proved and answer.lower <= value <= answer.upper
    assert answer.upper - answer.lower < 1e-5 * value


def test_a_border_that_is_seen_from_far_out():
    answer = qed.expect(lambda k: jnp.exp(gammaln(k - 20.5) - gammaln(k - 19.5)), measures.Counting(30))
    assert answer.proved and answer.value == np.inf  # 1 / (k - 20.5)


def test_masses_by_ratios_are_a_law():
    base = measures.Counting(1)
    answer = qed.normalizer(lambda k: gammaln(k + 0.5) - gammaln(k + 3), base)
    assert answer.proved and answer.lower <= math.log(math.sqrt(math.pi) / 6) <= answer.upper
    assert qed.normalizer(lambda k: gammaln(k + 0.5) - gammaln(k + 1), base).value == np.inf
