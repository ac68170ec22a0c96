"""Sums over whole numbers: expectations, normalising constants and divergences with their tails, and infinite ones."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln
from scipy import special, stats

import qed
from qed.certificates.cells import walked
from qed.certificates.turns import Turns
from qed.domains.far import Far
from qed.domains.precision import precision
from qed.errors import CertificateError, QedError
from qed.graph.trace import trace
from qed.integration import measures as m
from qed.integration.transport import quantile

INFLATED = m.mixture([0.25, 0.75], [m.Dirac(0.0), m.Poisson(3.0)])
HURDLE = m.mixture([0.25, 0.5, 0.25], [m.Dirac(0.0), m.Poisson(3.0), m.Normal()])
K = np.arange(2000.0)


def factorial(k):
    return jnp.exp(gammaln(k + 1))


def total(law, f, upper):
    return math.fsum(law.pmf(k) * f(k) for k in range(upper + 1) if law.pmf(k) > 0)


FINITE = {
    "mean": (lambda k: k, m.Poisson(3.0), 3.0),
    "square": (lambda k: k * k, m.Poisson(3.0), 12.0),
    "generating function": (lambda k: jnp.exp(k), m.Poisson(3.0), math.exp(3 * (math.e - 1))),
    "inverse": (lambda k: 1 / (k + 1), m.Poisson(3.0), (1 - math.exp(-3)) / 3),
    "many": (lambda k: k, m.Poisson(1000.0), 1000.0),
    "a power of 2": (lambda k: 2.0 ** (0.25 * k), m.Geometric(0.5), 0.5 / (1 - 0.5 * 2**0.25)),
    "negative binomial": (lambda k: k, m.NegativeBinomial(0.25, 0.0625), 0.25 * 15),
    "binomial": (lambda k: k * k, m.Binomial(1000, 0.25), 250 * 0.75 + 250**2),
    "zero-inflated": (lambda k: k, INFLATED, 2.25),
    "hurdle": (lambda k: k > 2.5, HURDLE, 0.5 * stats.poisson(3).sf(2) + 0.25 * stats.norm.sf(2.5)),
    "without its zero": (lambda k: k, m.restrict(m.Poisson(3.0), 1), 3.0),
    "factorial, Poisson": (lambda k: factorial(k) * 0.25**k, m.Poisson(2.0), 2 * math.exp(-2)),
    "central binomials": (
        lambda k: jnp.exp(gammaln(2 * k + 1) - gammaln(k + 1)),
        m.Poisson(0.125),
        math.exp(-0.125) / math.sqrt(0.5),
    ),
    "one place": (lambda k: k + 1, m.restrict(m.Poisson(3.0), 2, 2.5), 3 * 4.5 * math.exp(-3)),
    "counted": (lambda k: 2.0**-k, m.Counting(), 2.0),
    "counted far": (lambda k: k, m.Counting(-5, 500), 500 * 501 / 2 - 15),
}


@pytest.mark.parametrize("name", FINITE)
def test_the_sum_is_proved_and_within_its_claim(name):
    fun, law, truth = FINITE[name]
    verb = qed.probability if name == "hurdle" else qed.expect
    answer = verb(fun, law)
    assert answer.proved, answer.missing
    slack = 1e-12 * abs(truth)
    assert answer.lower - slack <= truth <= answer.upper + slack
    assert answer.upper - answer.lower <= 1e-7 * abs(truth)


INFINITE = {
    "Gaussian growth": (lambda k: jnp.exp(k * k / 64), m.Poisson(3.0), math.inf),
    "a little more than exponential": (lambda k: jnp.exp(0.5 * k**1.5), m.Poisson(3.0), math.inf),
    "exponential": (lambda k: -(2.0**k) / (k + 1) ** 2, m.Geometric(0.25), -math.inf),
    "exponential, negative binomial": (lambda k: 2.0**k, m.NegativeBinomial(0.5, 0.25), math.inf),
    "factorial": (lambda k: -factorial(k) - 3, m.NegativeBinomial(3.0, 0.5), -math.inf),
    "factorial over a law's": (lambda k: factorial(k) / 3.0**k, m.Poisson(4.0), math.inf),
    "Catalan numbers": (
        lambda k: jnp.exp(gammaln(2 * k + 1) - gammaln(k + 2)) / factorial(k),
        m.Geometric(0.5),
        math.inf,
    ),
    "k^k": (lambda k: k**k, m.Poisson(1.0), math.inf),
    "harmonic": (lambda k: 1 / k, m.Counting(1), math.inf),
    "constant": (lambda k: 0 * k + 1, m.Counting(), math.inf),
}


@pytest.mark.parametrize("name", INFINITE)
def test_an_infinite_sum_is_proved(name):
    fun, law, truth = INFINITE[name]
    answer = qed.expect(fun, law)
    assert answer.proved and answer.value == truth and answer.check()


def test_what_is_tiny_has_its_digits():
    """P(X > 40) of a Poisson law, against the first terms of its tail; and what float64 cannot tell from 0."""
    answer = qed.probability(lambda k: k > 40, m.Poisson(3.0))
    logs = [k * math.log(3) - 3 - math.lgamma(k + 1) for k in range(41, 80)]
    truth = math.fsum(math.exp(one) for one in logs)
    assert answer.proved and answer.value == pytest.approx(truth, rel=1e-11) and answer.upper < 1.001 * truth
    none = qed.probability(lambda k: k > 300, m.Poisson(3.0))
    assert none.proved and none.lower <= 0 <= none.upper <= 1e-300


def test_a_function_that_is_undefined_at_a_place_is_not_known():
    answer = qed.expect(lambda k: 1 / k, m.Poisson(3.0))
    assert answer.unknown and "at 0" in answer.missing[0].what
    hidden = qed.expect(lambda k: jnp.where(k == 57, jnp.nan, k), m.Poisson(3.0))
    assert hidden.unknown


@pytest.mark.parametrize(
    ("fun", "law", "truth"),
    [
        (lambda k: 1.0 * (0.1 * k >= 0.3), m.Poisson(2.0), None),
        (lambda y: 1.0 * (y >= 0.3), m.pushforward(m.Poisson(2.0), lambda k: 0.1 * k), None),
        (lambda y: 1.0 * (y >= 0.3), m.pushforward(m.Dirac(3.0), lambda k: 0.1 * k), None),
        (lambda x: 1.0 * (x <= 2.3), m.from_scipy(stats.binom(5, 0.25, loc=0.3)), None),
        (lambda k: jnp.floor(0.1 * k), m.Poisson(3.0), None),
        (lambda x: 1.0 * (x <= 2.5), m.from_scipy(stats.binom(5, 0.25, loc=0.3)), stats.binom(5, 0.25).cdf(2)),
        (lambda k: 1.0 * (0.1 * k >= 0.35), m.Poisson(2.0), stats.poisson(2).sf(3)),
        (lambda k: jnp.where(0.1 * k >= 0.3, 0.1 * k - 0.3, 0), m.Poisson(3.0), 0.0672125418),
    ],
)
def test_where_a_comparison_hinges_on_a_rounded_constant_nothing_is_proved(fun, law, truth):
    answer = qed.expect(fun, law)
    if truth is None:
        assert answer.unknown and "hinges on how a constant" in answer.missing[0].what
    else:
        assert answer.proved and answer.lower <= truth <= answer.upper


CONSTANTS = {
    "Poisson": (lambda k: k * jnp.log(4.0) - gammaln(k + 1) - 5000, m.Counting(), 4.0 - 5000),
    "huge": (lambda k: 40000 - k, m.Counting(), 40000 - math.log1p(-math.exp(-1))),
    "zeta": (lambda k: -4 * jnp.log(k), m.Counting(1), math.log(math.pi**4 / 90)),
    "finite": (lambda k: -k * jnp.log(2.0), m.Counting(0, 9), math.log(2 - 2**-9)),
    "wobbling": (lambda k: -k + jnp.sin(k), m.Counting(), math.log(np.exp(-K[:60] + np.sin(K[:60])).sum())),
    "Conway, Maxwell": (
        lambda k: k - 1.5 * gammaln(k + 1),
        m.Counting(),
        math.log(sum(math.exp(k - 1.5 * math.lgamma(k + 1)) for k in range(60))),
    ),
    "harmonic": (lambda k: -jnp.log(k), m.Counting(1), math.inf),
    "flat": (lambda k: 0 * k, m.Counting(), math.inf),
    "factorial": (lambda k: gammaln(k + 1) - k, m.Counting(), math.inf),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_normalising_constants_of_sums(name):
    log_density, base, truth = CONSTANTS[name]
    answer = qed.normalizer(log_density, base)
    assert answer.proved, answer.missing
    if math.isinf(truth):
        assert answer.value == truth and answer.check()
    else:
        assert answer.lower - 1e-6 <= truth <= answer.upper + 1e-6 and answer.upper - answer.lower < 1e-8
        assert abs(answer.value - truth) < 2e-7 * max(1.0, abs(truth))  # log 4 is float32's in the function


PAIRS = {
    "Poisson": (m.Poisson(3.0), m.Poisson(4.0), 3 * math.log(0.75) + 1),
    "geometric": (m.Geometric(0.25), m.Geometric(0.5), math.log(0.5) + 3 * math.log(1.5)),
    "binomial": (
        m.Binomial(2000, 0.25),
        m.Binomial(2000, 0.5),
        2000 * (0.25 * math.log(0.5) + 0.75 * math.log(1.5)),
    ),
    "near": (m.Poisson(4.0), m.Poisson(4.0 + 2.0**-30), 2.0**-63 * (1 - 2.0**-30 / 6)),
    "same": (INFLATED, INFLATED, 0.0),
    "beside a density": (
        m.mixture([0.5, 0.5], [m.Poisson(3.0), m.Normal()]),
        m.mixture([0.25, 0.75], [m.Poisson(4.0), m.Normal()]),
        0.5 * (math.log(2) + 3 * math.log(0.75) + 1) + 0.5 * math.log(2 / 3),
    ),
    "inflated": (
        INFLATED,
        m.Poisson(3.0),
        (0.25 + 0.75 * math.exp(-3)) * math.log(0.25 * math.exp(3) + 0.75) + 0.75 * (1 - math.exp(-3)) * math.log(0.75),
    ),
    "a longer support": (m.Poisson(3.0), m.Binomial(500, 0.25), math.inf),
    "an atom between": (m.mixture([0.5, 0.5], [m.Dirac(0.5), m.Poisson(3.0)]), m.Poisson(3.0), math.inf),
    "a density": (m.Poisson(3.0), m.Normal(), math.inf),
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_of_laws_on_whole_numbers(name):
    p, q, truth = PAIRS[name]
    answer = qed.kl(p, q)
    assert answer.proved and answer.check()
    if math.isinf(truth):
        assert answer.value == truth and qed.cross_entropy(p, q).value == truth
        return
    assert answer.value == pytest.approx(truth, rel=2e-13, abs=0) and answer.lower >= 0
    assert qed.cross_entropy(p, q).value == pytest.approx(qed.entropy(p).value + truth, rel=1e-13)


@pytest.mark.parametrize(
    ("law", "other"),
    [
        (m.Poisson(2.5), stats.poisson(2.5)),
        (m.NegativeBinomial(2.5, 0.25), stats.nbinom(2.5, 0.25)),
        (m.Binomial(1000, 0.25), stats.binom(1000, 0.25)),
        (m.Geometric(0.25), stats.geom(0.25, loc=-1)),
    ],
    ids=["poisson", "negative binomial", "binomial", "geometric"],
)
def test_entropies_and_quantiles_are_those_of_scipy(law, other):
    assert qed.entropy(law).value == pytest.approx(-total(other, other.logpmf, 500), rel=1e-9)
    u = (np.arange(512) + 0.3) / 512
    assert np.array_equal(quantile(law, u), other.ppf(u))


def test_an_altered_certificate_of_a_sum_is_refused():
    certificate = qed.expect(lambda k: k, m.Poisson(3.0)).certificate
    one = certificate.sums[0]
    for changed in (
        ("Geometric", *one[1:]),
        ("Normal", *one[1:]),
        (one[0], (3.5,), *one[2:]),
        (one[0], (-3.0,), *one[2:]),
        (*one[:2], 1.0, *one[3:]),
        (*one[:3], 50.0, *one[4:]),
        (*one[:4], "1/2", True),
        (*one[:2], 0.5, *one[3:]),
    ):
        with pytest.raises(CertificateError):
            replace(certificate, sums=(changed,)).sealed().verify()
    certificate = qed.normalizer(lambda k: -k, m.Counting()).certificate
    for field, value in (("first", 1.0), ("last", 9.0), ("lower", 0.46), ("upper", 0.45), ("first", -math.inf)):
        with pytest.raises(CertificateError):
            replace(certificate, **{field: value}).sealed().verify()
    certificate = qed.kl(m.Poisson(3.0), m.Geometric(0.5)).certificate
    for field in ("p_sums", "q_sums"):
        ((name, parameters, *rest),) = getattr(certificate, field)
        for changed in ((name, (0.125,), *rest), ("", parameters, *rest), (name, parameters, 1.0, *rest[1:])):
            with pytest.raises(CertificateError):
                replace(certificate, **{field: (changed,)}).sealed().verify()


@pytest.mark.parametrize(
    ("code", "ask"),
    [
        ("QED601", lambda: qed.kl(m.restrict(m.Poisson(3.0), 1), m.Poisson(3.0))),
        ("QED601", lambda: qed.entropy(m.Counting())),
        ("QED007", lambda: qed.normalizer(lambda k: -k, m.Poisson(3.0))),
        ("QED007", lambda: qed.normalizer(lambda k: -k, m.scaled(2.0, m.Counting()))),
        ("QED007", lambda: quantile(m.Counting(), 0.5)),
    ],
)
def test_what_has_no_answer_is_refused(code, ask):
    with pytest.raises(QedError) as caught:
        ask()
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("fun", "law", "infinite"),
    [
        (lambda k: 2.0**k, qed.measures.Geometric(0.5), True),
        (lambda k: 2.0**k / (k + 1), qed.measures.Geometric(0.5), True),
        (lambda k: 2.0**k / (k + 1) ** 2, qed.measures.Geometric(0.5), False),
        (lambda k: 2.0**k - 4.0**k, qed.measures.Geometric(0.5), False),
        (lambda k: jnp.minimum(2.0**k, 1e6), qed.measures.Geometric(0.5), False),
        (lambda k: 1 + 2 * jnp.exp2(2 * k), qed.measures.Geometric(0.75), True),
        (lambda k: jnp.maximum(2.0**k, 3.0) * k, qed.measures.NegativeBinomial(1.0, 0.5), True),
        (lambda k: 2.0**k, qed.measures.NegativeBinomial(0.5, 0.5), False),
    ],
)
def test_the_edge_of_convergence_is_told_by_exact_bases(fun, law, infinite):
    answer = qed.expect(fun, law)
    assert (answer.proved and answer.value == math.inf and answer.check()) if infinite else answer.value != math.inf


@pytest.mark.parametrize(
    ("f", "truth"),
    [
        (lambda k: (-0.5) ** k, 2 / 3),
        (lambda k: (1 + k) * (-0.5) ** k, 4 / 9),
        (lambda k: (-0.5) ** (k + 1), -1 / 3),
        (lambda k: (-0.5) ** (k / 2), None),
    ],
    ids=["geometric", "moment", "moved", "no real number"],
)
def test_powers_of_negative_numbers(f, truth):
    answer = qed.expect(f, m.Counting(0, math.inf))
    assert answer.proved == (truth is not None)
    assert truth is None or (answer.value == pytest.approx(truth, abs=1e-12) and answer.check())


def test_a_probability_is_told_between_0_and_1():
    point, line = (qed.probability(event, m.Normal()) for event in (lambda x: x == 0, lambda x: x > -20))
    assert point.proved and point.lower == point.value == 0.0 and line.upper == line.value == 1.0
    assert point.check() and line.check()


def test_a_sum_that_takes_longer_than_its_budget_is_unknown_and_raises_nothing():
    answer = qed.expect(lambda k: jnp.where(k % 2 == 0, 0.1, -0.3) * k, m.Counting(0), budget=1e-3)
    assert answer.standing == "UNKNOWN" and "in time" in answer.missing[0].what


BY_TURNS = {
    "signs": (lambda k: jnp.where(k % 2 == 0, 1.0, -1.0) / k**2, m.Counting(1), -(math.pi**2) / 12),
    "thirds": (lambda k: jnp.where(k % 3 == 1, 1 / k**2, 0.0), m.Counting(1), special.polygamma(1, 1 / 3) / 9),
    "moved": (lambda k: jnp.where((k + 1) % 4 == 2, k**-3, 0.0), m.Counting(1), special.zeta(3, 0.25) / 64),
    "a power": (
        lambda k: (-1.0) ** (3 * k + 1) / (k * k + 1), m.Counting(0), -(1 + math.pi / math.sinh(math.pi)) / 2
    ),
    "slow": (lambda k: (-1.0) ** k * k**-1.125, m.Counting(1), -(1 - 2**-0.125) * special.zeta(1.125)),
    "a law": (lambda k: (-1.0) ** k, m.reweight(m.Counting(1), lambda k: -3 * jnp.log(k)), -0.75),
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "a power")) for n in BY_TURNS])
def test_sums_that_go_by_turns_have_their_digits(name):
    f, law, truth = BY_TURNS[name]
    answer = qed.expect(f, law)
    assert answer.proved and answer.check()
    assert answer.lower - 1e-14 <= truth <= answer.upper + 1e-14 and answer.upper - answer.lower < 1e-11


def test_a_remainder_that_is_no_number_in_a_class_is_not_taken_for_one():
    domain = Far(24.0, instead=Turns(2, 24))
    for f in (lambda k: jnp.fmod(-k, 2.0), lambda k: k % 3, lambda k: (k / 2) % 2, lambda k: (-2.0) ** k):
        with precision(128, 25), pytest.raises(CertificateError):
            walked(trace(f, np.float32(1.0)), domain, domain.argument(), 0, "f")
