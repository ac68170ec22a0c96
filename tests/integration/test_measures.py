"""The algebra of measures: sums, multiples and restrictions are what they are by definition; laws of SciPy."""

import math
from dataclasses import replace
from fractions import Fraction

import jax
import jax.numpy as jnp
import pytest
from scipy import integrate, stats

import qed
from qed.errors import CertificateError, QedError
from qed.integration import measures as m

SPIKE = m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Uniform(0.0, 4.0)])
MADE = {
    "an atom beside a length": (jnp.sin, m.add([m.Lebesgue(0.0, 1.0), m.Dirac(2.0)]), 1 - math.cos(1) + math.sin(2)),
    "a multiple": (lambda x: x * x, m.scaled(3.0, m.Normal(1.0, 2.0)), 15.0),
    "nothing": (lambda x: x * x, m.scaled(0.0, m.Normal(1.0, 2.0)), 0.0),
    "nothing is left": (lambda x: x * x, m.restrict(SPIKE, 5.0, 6.0), 0.0),
    "a finite sum": (lambda x: x * x, m.Counting(1, 100), 338350.0),
    "a spike and a cut slab": (lambda x: x + 1, m.restrict(SPIKE, 0.0, 1.0), 0.25 + 0.75 * 0.25 * 1.5),
    "the spike alone": (lambda x: x + 1, m.restrict(SPIKE, 0.0, 0.0), 0.25),
    "a length cut": (jnp.exp, m.restrict(m.Lebesgue(), 0.0, 1.0), math.e - 1),
    "a law cut": (lambda x: x, m.restrict(m.Normal(1.0, 2.0), 0.0, 2.5), stats.norm(1, 2).expect(lb=0, ub=2.5)),
    "a tail": (jnp.ones_like, m.restrict(m.StudentT(3.0, 0.0, 1.0), 2.0), stats.t(3).sf(2)),
    "a slab cut": (
        jnp.exp,
        m.restrict(m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Exponential(4.0)]), 0.0, 1.0),
        0.25 + 1 - math.exp(-3),
    ),
    "a truncated law": (
        lambda x: x,
        m.reweight(m.restrict(m.Normal(), 0.5, 2.0), jnp.zeros_like),
        stats.truncnorm(0.5, 2).mean(),
    ),
    "two atoms at one place": (lambda x: x, m.add([m.Dirac(2.0), m.Dirac(2.0)]), 4.0),
    "hurdle": (lambda x: x, m.mixture([0.75, 0.25], [m.Dirac(0.0), m.Gamma(2.0, 0.5)]), 1.0),
}


@pytest.mark.parametrize("name", MADE)
def test_the_integral_is_proved_and_within_its_claim(name):
    fun, measure, truth = MADE[name]
    answer = qed.expect(fun, measure)
    assert answer.proved, answer.missing
    assert answer.check()
    slack = 1e-13 * abs(truth)
    assert answer.lower - slack <= truth <= answer.upper + slack
    assert answer.upper - answer.lower <= 1e-3 * max(1.0, abs(truth))


def test_the_pieces_of_a_restriction_add_up():
    whole = m.mixture([0.5, 0.25, 0.25], [m.Uniform(-1.0, 3.0), m.Uniform(1.0, 2.0), m.Dirac(5.0)])
    pieces = [m.restrict(whole, a, b) for a, b in ((-math.inf, 0.3), (0.3, 1.7), (1.7, math.inf))]
    again = m.add(pieces)
    mass = sum((w for _, w in again.atoms), Fraction(0)) + sum((p.weight for p in again.parts), Fraction(0))
    assert mass == 1


LAWS = {
    "norm": stats.norm(1.0, scale=2.0),
    "laplace": stats.laplace(loc=-1.0),
    "expon": stats.expon(scale=0.5),
    "gamma": stats.gamma(a=2.5, scale=4.0),
    "beta": stats.beta(2.0, b=3.0),
    "uniform": stats.uniform(1.0, 2.0),
    "binom": stats.binom(7, 0.25),
    "bernoulli": stats.bernoulli(p=0.125),
    "poisson": stats.poisson(2.5),
    "nbinom": stats.nbinom(2.5, 0.25),
    "geom": stats.geom(0.25),
    "moved": stats.gamma(2.0, loc=1.0, scale=3.0),
    "lognorm": stats.lognorm(0.5, scale=2.0),
    "truncnorm": stats.truncnorm(-1.0, 2.0, loc=0.5),
    "gumbel": stats.gumbel_r(1.0, 2.0),
    "table": stats.rv_discrete(values=([0, 3], [0.25, 0.75])),
    "moved table": stats.rv_discrete(values=([0, 3], [0.25, 0.75]))(loc=2),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_of_scipy_is_that_law(name):
    law = LAWS[name]
    answer = qed.expect(lambda x: jnp.cos(x), m.from_scipy(law))
    if hasattr(law, "xk") or hasattr(law.dist, "pmf"):
        truth = sum(law.pmf(k) * math.cos(k) for k in range(200))
    else:
        low, high = law.ppf(1e-13), law.isf(1e-13)
        truth = integrate.quad(lambda x: law.pdf(x) * math.cos(x), low, high, limit=400, points=[law.median()])[0]
    assert answer.value == pytest.approx(truth, abs=1e-7)
    if answer.proved:
        assert answer.lower - 1e-7 <= truth <= answer.upper + 1e-7


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.scaled(-1.0, m.Dirac(0.0)),
        lambda: m.scaled(math.nan, m.Dirac(0.0)),
        lambda: m.scaled(2.0, 3.0),
        lambda: m.add([]),
        lambda: m.add([m.Dirac(0.0), "Normal"]),
        lambda: m.restrict(m.from_log_density(lambda x: -x * x), 0.0, 1.0),
        lambda: m.restrict(m.Dirac(0.0), 1.0, 0.0),
        lambda: m.restrict(m.Dirac(0.0), math.nan, 0.0),
        lambda: m.Counting(3, 1),
        lambda: m.Counting(0, 2.5),
        lambda: m.Poisson(0.0),
        lambda: m.Geometric(0.0),
        lambda: m.NegativeBinomial(-1.0, 0.5),
        lambda: m.NegativeBinomial(2.0, 1.0),
        lambda: m.Binomial(2.0, 0.5),
        lambda: m.Binomial(10**7, 0.5),
        lambda: m.Counting(0.0, 3.0),
        lambda: qed.normalizer(lambda x: -x * x, m.scaled(2.0, m.Lebesgue())),
        lambda: qed.normalizer(lambda x: -x * x, m.add([m.Lebesgue(), m.Lebesgue()])),
        lambda: m.from_scipy(stats.zipf(2.0)),
        lambda: m.from_scipy(stats.norm),
        lambda: m.from_scipy(3.0),
        lambda: m.from_scipy(stats.uniform(0.1, 0.2)),
        lambda: m.from_scipy(stats.norm(0.0, [1.0, 2.0])),
    ],
)
def test_what_is_no_measure_is_refused_with_a_code(make):
    with pytest.raises(QedError) as caught:
        make()
    assert caught.value.code == "QED007"


def test_an_interval_is_two_numbers_a_pair_or_a_box():
    law = m.Uniform(0.0, 4.0)
    parts = [m.restrict(law, *ends).parts[0] for ends in ((1.0, 2.0), ((1.0, 2.0),), (qed.Box(1.0, 2.0),))]
    assert {(part.lower, part.upper, part.weight) for part in parts} == {(1.0, 2.0, parts[0].weight)}
    assert m.restrict(law, (1.0, None)).parts[0].upper == 4.0
    for none in (lambda x: x > 1, "left", (1.0, 2.0, 3.0)):
        with pytest.raises(qed.QedError, match="no end of an interval"):
            m.restrict(law, none)


def test_what_is_sure_is_told_by_its_bound():
    never, always = (
        qed.probability(lambda x: x == 0.0, m.Normal(0.0, 1.0)),
        qed.probability(lambda x: x > -1, m.Uniform(0, 1)),
    )
    assert never.value == 0 and never.headline == "The probability is at most 1e-09."
    impossible = qed.probability(lambda x: x > 2, m.Uniform(0.0, 1.0))
    assert impossible.proved and impossible.check() and impossible.lower == impossible.upper == 0
    assert always.value == 1 and always.lower == always.upper == 1 and always.headline == "The probability is 1."


def test_a_law_that_is_cut_is_no_probability_and_keeps_to_its_support():
    cut = m.restrict(m.Exponential(4.0), -1.0, 1.0)
    assert cut.parts[0].lower == 0.0 and not cut.probability
    with pytest.raises(QedError, match="no probability"):
        qed.kl(cut, m.Exponential(4.0))
    with pytest.raises(QedError, match="cut"):
        jax.grad(lambda c: qed.expect(lambda x: c * x, cut).value)(1.0)
    with pytest.raises(QedError, match="cut"):
        m.product(cut, m.Normal()).quantiles([[0.5, 0.5]])
    assert qed.expect(lambda x: x**3, m.restrict(m.StudentT(3.0, 0.0, 1.0), 1.0)).value == math.inf
    certificate = qed.expect(jnp.ones_like, cut).certificate
    (part,) = certificate.parts
    wider = (*part[:2], (-1.0, *part[2][1:]), *part[3:])
    with pytest.raises(CertificateError, match="support"):
        replace(certificate, parts=(wider,), lower=-math.inf, upper=math.inf).sealed().verify()


def test_the_ends_of_a_law_by_its_log_density_are_numbers():
    with pytest.raises(QedError, match="an end of from_log_density is no number"):
        m.from_log_density(lambda x: -x, m.Lebesgue(0.0, 1.0))
