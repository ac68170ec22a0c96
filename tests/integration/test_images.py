"""Image measures, reweighted measures, and the distributions of NumPyro, against closed forms."""

import math
from dataclasses import replace
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import qed
from qed.domains.precision import precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import NoOrder, Term
from qed.errors import CertificateError, QedError
from qed.integration import measures as m
from qed.integration.transport import quantile

N, LOGNORMAL = m.Normal(), m.LogNormal(0.5, 0.75)
CENSORED = m.pushforward(N, lambda x: jnp.maximum(x, 0.0))
CLIPPED = m.pushforward(m.Normal(0.5, 2.0), lambda x: jnp.clip(x, -1.0, 1.0))
IMAGES = {
    "log-normal": (lambda x: x, LOGNORMAL, math.exp(0.5 + 0.75**2 / 2)),
    "the square of it": (lambda x: x * x, LOGNORMAL, math.exp(1 + 2 * 0.75**2)),
    "beyond": (lambda x: x > 3.0, LOGNORMAL, stats.norm.sf((math.log(3) - 0.5) / 0.75)),
    "censored": (lambda x: x, CENSORED, 1 / math.sqrt(2 * math.pi)),
    "its atom": (lambda x: x == 0.0, CENSORED, 0.5),
    "its density": (lambda x: x > 1.0, CENSORED, stats.norm.sf(1.0)),
    "an atom at an end": (lambda x: x >= 1.0, CLIPPED, stats.norm.sf(0.25)),
    "zero-inflated": (lambda x: x, m.mixture([0.25, 0.75], [m.Dirac(0.0), LOGNORMAL]), 0.75 * math.exp(0.78125)),
    "moved counts": (lambda x: 1 / x, m.pushforward(m.Poisson(3.0), lambda k: k + 1), (1 - math.exp(-3)) / 3),
    "Gumbel": (lambda x: x, m.pushforward(m.Exponential(), lambda x: -jnp.log(x)), 0.5772156649015329),
    "twice": (lambda x: x, m.pushforward(m.pushforward(LOGNORMAL, jnp.log), lambda x: x * 2), 1.0),
    "an atom moved": (lambda x: x, m.pushforward(m.mixture([0.5, 0.5], [m.Dirac(2.0), N]), lambda x: x * x), 2.5),
    "a posterior": (lambda x: x, m.reweight(N, lambda x: -((x - 2) ** 2) / 2), 1.0),
    "a posterior of counts": (lambda k: k, m.reweight(m.Poisson(4.0), lambda k: -k * jnp.log(2.0)), 2.0),
    "a law from counting": (lambda k: k, m.reweight(m.Counting(), lambda k: -k * jnp.log(2.0)), 1.0),
}
SLOW = ("beyond", "its atom", "an atom at an end", "its density", "an atom moved", "twice", "the square of it")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in IMAGES])
def test_the_integral_is_proved_and_within_its_claim(name):
    fun, law, truth = IMAGES[name]
    verb = qed.probability if name in ("beyond", "its atom", "its density", "an atom at an end") else qed.expect
    answer = verb(fun, law)
    assert answer.proved, answer.missing
    slack = 1e-7 if "count" in name else 1e-13 * abs(truth)  # log 2 is float32's in the function
    assert answer.lower - slack <= truth <= answer.upper + slack and answer.upper - answer.lower <= 1e-5


def test_an_image_has_its_derivative_in_a_parameter():
    laws = (lambda mean: m.LogNormal(mean, 1.0), lambda mean: m.pushforward(m.Normal(mean, 1.0), jnp.exp))
    for law in laws:
        slope = jax.grad(lambda mean, law=law: qed.expect(lambda x: x, law(mean)).value)(0.5)
        assert float(slope) == pytest.approx(math.e, rel=1e-5)


def test_points_are_carried_onto_the_image():
    assert quantile(CENSORED, [0.25, 0.5, 0.9]) == pytest.approx([0.0, 0.0, stats.norm.ppf(0.9)])
    assert quantile(m.pushforward(m.Poisson(3.0), lambda k: 2 * k), 0.5) == 6.0


@pytest.mark.slow
def test_an_altered_certificate_of_an_image_is_refused():
    certificate = qed.expect(lambda x: x, m.mixture([0.5, 0.5], [LOGNORMAL, N])).certificate
    assert certificate.verify() and certificate.functions == (1, 0)
    for functions in ((0, 1), (0, 0), (1, 1), (2, 0), (1,), (), (-1, 0)):
        with pytest.raises(CertificateError):
            replace(certificate, functions=functions).sealed().verify()


def test_an_exponential_is_ordered_with_a_constant():
    domain = Tail(8.0)
    with precision(128) as flint:
        arb, zero = flint.arb, flint.arb(0)
        growing = Term(arb(1), Fraction(1), arb(1), Fraction(1))
        three, huge = domain.fixed(arb(3)), domain.fixed(arb(1e6))
        assert domain._order(growing, three) == 1 and domain._order(three, growing) == -1
        assert domain._order(domain.scaled(growing, arb(-1)), three) == -1
        assert domain._order(three, three) == 0 and domain._order(domain.fixed(zero), domain.fixed(zero)) == 0
        with pytest.raises(NoOrder):
            domain._order(growing, huge)


NUMPYRO = [
    dist.Normal(1.0, 2.0), dist.Laplace(0.25, 0.75), dist.StudentT(5.0, 0.5, 2.0), dist.Cauchy(0.5, 2.0),
    dist.Exponential(1.5), dist.Gamma(2.5, 2.0), dist.Beta(2.0, 3.0), dist.Uniform(0.25, 0.75), dist.HalfNormal(1.5),
    dist.HalfCauchy(1.5), dist.InverseGamma(3.5, 2.0), dist.LogNormal(0.25, 0.5), dist.Logistic(0.25, 0.75),
    dist.Pareto(0.5, 4.5), dist.Weibull(1.5, 2.5), dist.Poisson(3.0), dist.GeometricProbs(0.25),
    dist.NegativeBinomialProbs(2.5, 0.25), dist.BinomialProbs(0.25, 10), dist.BernoulliProbs(0.25),
    dist.CategoricalProbs(np.float32([0.25, 0.25, 0.5])), dist.Delta(2.0),
]  # fmt: skip


@pytest.mark.parametrize("law", NUMPYRO, ids=lambda law: type(law).__name__)
def test_a_distribution_of_numpyro_is_that_law(law):
    found = m.from_numpyro(law)
    if type(law).__name__ == "Delta":
        assert found.atoms == m.Dirac(2.0).atoms
    elif law.support.is_discrete:
        masses = [qed.probability(lambda k, one=one: k == one, found).value for one in (0.0, 1.0)]
        assert masses == pytest.approx(np.exp(np.asarray(law.log_prob(jnp.arange(2)))), rel=1e-5)
    else:
        u = np.linspace(0.05, 0.95, 7)
        x = quantile(found, u)
        density = np.gradient(u, x) if type(law).__name__ == "Uniform" else np.exp(np.asarray(law.log_prob(x)))
        h = 1e-4
        slopes = 2 * h / (quantile(found, u + h) - quantile(found, u - h))
        assert density == pytest.approx(slopes, rel=1e-3)


COMPOSED = {
    "zero-inflated": lambda: (dist.ZeroInflatedPoisson(0.25, 2.0), 1.5),
    "truncated": lambda: (
        dist.TruncatedNormal(1.0, 2.0, low=0.0), stats.truncnorm(-0.5, np.inf, loc=1.0, scale=2.0).mean()
    ),
    "mixed": lambda: (
        dist.MixtureSameFamily(dist.Categorical(jnp.array([0.25, 0.75])), dist.Normal(jnp.arange(2.0), 1.0)), 0.75
    ),
    "transformed": lambda: (
        dist.TransformedDistribution(
            dist.Normal(0.0, 0.5), [dist.transforms.ExpTransform(), dist.transforms.AffineTransform(1.0, 2.0)]
        ), 1 + 2 * np.exp(0.125),
    ),
    "of an extreme": lambda: (dist.Gumbel(1.0, 2.0), 1 + 2 * np.euler_gamma),
    "counts of a Gamma rate": lambda: (dist.GammaPoisson(2.0, 3.0), 2 / 3),
    "independent": lambda: (dist.Normal(jnp.arange(3.0), 1.0).to_event(1), 3.0),
    "expanded": lambda: (dist.Exponential(2.0).expand([2]).to_event(1), 1.0),
    "a normal vector": lambda: (dist.MultivariateNormal(jnp.array([1.0, 2.0]), jnp.eye(2)), 3.0),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_a_distribution_made_of_others_is_that_law(name):
    law, mean = COMPOSED[name]()
    answer = qed.expect(jnp.sum, m.from_numpyro(law))
    assert answer.proved and answer.value == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    ("law", "means"),
    [
        (dist.TruncatedNormal(jnp.zeros(2), 1.0, low=jnp.array([0.0, 1.0]), high=2.0),
         [stats.truncnorm(low, 2.0).mean() for low in (0.0, 1.0)]),
        (dist.TruncatedNormal(jnp.zeros(2), 1.0, low=0.0), [math.sqrt(2 / math.pi)] * 2),
        (dist.TransformedDistribution(dist.Normal(jnp.zeros(2), 1.0),
                                      dist.transforms.AffineTransform(jnp.array([1.0, 2.0]), 2.0)), [1.0, 2.0]),
    ],
    ids=["between", "above", "transformed"],
)  # fmt: skip
def test_each_of_a_batch_that_is_made_of_others_is_that_law(law, means):
    factors = m.from_numpyro(law.to_event(1)).factors
    found = [qed.expect(lambda x: x, factor) for factor in factors]
    assert all(one.proved for one in found) and [one.value for one in found] == pytest.approx(means, abs=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.from_numpyro(dist.Normal(jnp.zeros(2), 1.0)),
        lambda: m.from_numpyro(dist.Kumaraswamy(2.0, 3.0)),
        lambda: m.from_numpyro(dist.GammaPoisson(2.0, 0.7)),
        lambda: m.from_numpyro(dist.VonMises(0.0, 1.0)),
        lambda: m.from_numpyro(stats.norm()),
        lambda: m.from_numpyro(dist.NegativeBinomialProbs(2.5, 1e-30)),
        lambda: m.pushforward(m.Dirac(0.1), jnp.exp),
        lambda: m.pushforward(N, 3.0),
        lambda: m.pushforward(3.0, jnp.exp),
        lambda: m.restrict(CENSORED, 0.0, 1.0),
        lambda: m.reweight(CENSORED, lambda x: -x),
        lambda: m.reweight(m.mixture([0.5, 0.5], [N, m.Dirac(0.0)]), lambda x: -x),
        lambda: m.reweight(N, 3.0),
        lambda: qed.kl(CENSORED, N),
    ],
)
def test_what_is_not_known_is_refused_with_a_code(make):
    with pytest.raises(QedError) as caught:
        make()
    assert caught.value.code == "QED007"
