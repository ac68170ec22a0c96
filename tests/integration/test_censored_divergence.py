"""The divergence of censored laws: flat pieces of a map are atoms, the rest is compared before it."""

import math
from dataclasses import replace

import jax.numpy as jnp
import pytest
from scipy import integrate, stats

import qed
from qed.errors import CertificateError, QedError
from qed.integration import measures as m

P = stats.norm.cdf


def at(p: float, q: float) -> float:
    """The share of an atom."""
    return p * math.log(p / q)


def over(p, q, lower: float, upper: float) -> float:
    """The share of a density."""
    return integrate.quad(lambda x: p(x) * (math.log(p(x)) - math.log(q(x))), lower, upper, epsabs=1e-13)[0]


def relu(x):
    return jnp.maximum(x, 0.0)


def soft(x):
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - 1.0, 0.0)


def of(g, *laws):
    return [m.pushforward(law, g) for law in laws]


def mixed(weight: float, law):
    return m.mixture([weight, 1 - weight], [m.Dirac(0.0), law])


N, MOVED = m.Normal(), m.Normal(1.0, 1.0)
F, G = stats.norm.pdf, stats.norm(1.0, 1.0).pdf
LOGNORMAL, WIDE = stats.lognorm(1.0), stats.lognorm(1.5, scale=math.exp(0.5))
RELU = at(0.5, P(-1)) + over(F, G, 0.0, 12.0)
CENSORED = {
    "choice": (of(lambda x: jnp.where(x > 0, x, 0.0), N, MOVED), RELU),
    "at two ends": (
        of(lambda x: jnp.clip(x, -0.1, 0.1), N, MOVED),
        at(P(-0.1), P(-1.1)) + at(P(-0.1), P(0.9)) + over(F, G, -0.1, 0.1),
    ),
    "at a number that float64 lacks": (
        of(lambda x: jnp.minimum(x, 3.0), m.LogNormal(0.0, 1.0), m.LogNormal(0.5, 1.5)),
        at(LOGNORMAL.sf(3), WIDE.sf(3)) + over(LOGNORMAL.pdf, WIDE.pdf, 1e-9, 3.0),
    ),
    "shrunk": (of(soft, N, MOVED), at(P(1) - P(-1), P(0) - P(-2)) + over(F, G, 1.0, 12.0) + over(F, G, -12.0, -1.0)),
    "to two places": (of(lambda x: (x > 0) * 1.0, N, MOVED), at(0.5, P(-1)) + at(0.5, P(1))),
    "beside an atom": (
        (mixed(0.25, of(relu, N)[0]), mixed(0.5, of(relu, MOVED)[0])),
        at(0.625, 0.5 + 0.5 * P(-1)) + 0.75 * (0.5 * math.log(1.5) + over(F, G, 0.0, 12.0)),
    ),
    "an atom of q alone": (
        (of(relu, N)[0], m.mixture([0.5, 0.5], [m.Dirac(-2.0), of(relu, MOVED)[0]])), RELU + math.log(2.0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CENSORED)
def test_the_divergence_of_censored_laws_is_proved(name):
    (p, q), truth = CENSORED[name]
    answer = qed.kl(p, q)
    assert answer.proved and abs(answer.value - truth) < 1e-7 and answer.upper - answer.lower < 1e-8
    assert answer.lower - 1e-9 < truth < answer.upper + 1e-9 and answer.claim.startswith("KL(")


@pytest.mark.slow
def test_censored_laws_may_be_infinitely_far_apart():
    for (p, q), because, code in (
        (of(relu, m.Uniform(-1.0, 1.0), m.Uniform(0.0, 2.0)), "atom at 0", ["QED605"]),
        (of(relu, m.Uniform(-1.0, 2.0), m.Uniform(-1.0, 1.0)), "density on (0, 2)", ["QED605"]),
        ((mixed(0.5, of(lambda x: x.clip(1.0, 2.0), N)[0]), of(lambda x: x.clip(1.0, 2.0), N)[0]), "at 0", ["QED605"]),
        (of(relu, m.Cauchy(), N), "tail", []),
    ):
        answer = qed.kl(p, q)
        assert answer.value == math.inf and answer.check() and because in answer.headline
        assert [one.code for one in answer.findings] == code


def test_maps_that_take_a_value_twice_are_refused():
    for g in (jnp.abs, lambda x: jnp.maximum(jnp.abs(x) - 1.0, 0.0), lambda x: jnp.where(x < 0, -x, x + 0.5)):
        with pytest.raises(QedError):
            qed.kl(*of(g, N, MOVED))


@pytest.mark.slow
def test_altered_divergences_of_censored_laws_are_refused():
    found = qed.kl(*CENSORED["at a number that float64 lacks"][0]).certificate
    a, b = found.cuts[1:3]
    for changed in (
        {"lower": 0.1, "upper": 0.14}, {"cuts": (-math.inf, math.inf)}, {"cuts": (-math.inf, a, math.inf)},
        {"cuts": (-math.inf, b, math.inf)}, {"cuts": (-math.inf, a, b, 50.0)}, {"constants": (0.0,)},
        {"p_parts": found.q_parts}, {"q_parts": found.p_parts}, {"p_atoms": ((1.0, "1/2"),)},
        {"q_atoms": ((1.0, "1/2"),)}, {"constants": (math.nan, 0.0)},
    ):  # fmt: skip
        with pytest.raises(CertificateError):
            replace(found, **changed).sealed().verify()
    with pytest.raises(CertificateError):
        found.verify(lambda x: jnp.minimum(jnp.exp(x), 2.0), 0.5)
    shifted = replace(found, constants=(found.constants[0] + 1e-3, *found.constants[1:])).sealed()
    assert shifted.verify()  # what a constant is off by is put right
