"""Expectations far below float64's unit: their own digits are proved, and a false claim about them is refused."""

import math
from dataclasses import replace

import jax.numpy as jnp
import pytest

import qed
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.integration import measures as m

N = m.Normal()


def upper_tail(x):
    """P(X > x) of the standard normal law, in balls."""
    with precision(128) as flint:
        return float((flint.arb(x) / flint.arb(2).sqrt()).erfc() / 2)


TINY = {
    "six and a half": (lambda x: x > 6.5, N, upper_tail(6.5)),
    "thirty": (lambda x: x > 30.0, N, upper_tail(30.0)),
    "exponential": (lambda x: x > 80.0, m.Exponential(1.0), math.exp(-80.0)),
    "mixture": (lambda x: x > 20.0, m.mixture([0.5, 0.5], [N, m.Normal(1.0)]), (upper_tail(20) + upper_tail(19)) / 2),
    "own density": (lambda x: x < -12.0, m.from_log_density(lambda x: -x * x / 2), upper_tail(12.0)),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "thirty")) for n in TINY])
def test_a_tiny_probability_has_its_digits(name):
    event, law, truth = TINY[name]
    answer = qed.probability(event, law)
    assert answer.proved
    assert answer.lower * (1 - 1e-14) <= truth <= answer.upper * (1 + 1e-14) and answer.upper < 1.00001 * answer.lower


@pytest.mark.slow
def test_what_changes_its_sign_or_is_empty_is_left_around_zero():
    for answer in (qed.expect(lambda x: x**3, N), qed.probability(lambda x: x != x, N)):
        assert answer.proved and answer.lower <= 0 <= answer.upper


@pytest.mark.slow
def test_a_false_claim_about_a_tiny_number_is_refused():
    certificate = qed.expect(lambda x: -jnp.where(x > 10.0, x, 0.0), N).certificate
    truth = -math.exp(-50.0) / math.sqrt(2 * math.pi)
    assert certificate.lower <= truth <= certificate.upper < 0.999 * certificate.lower + 1e-30
    part = certificate.parts[0]
    for changed in (
        {"lower": 1.01 * truth, "upper": 1.009 * truth},
        {"parts": ((part[0], (0.0, 1.001), *part[2:]),)},
        {"parts": ((*part[:3], "2", True),)},
        {"parts": ((*part[:2], (-40.0, 0.0, 40.0), *part[3:]),)},
    ):
        with pytest.raises(CertificateError):
            replace(certificate, **changed).sealed().verify()


SURE = {
    "square": (lambda x: x * x >= 0, N),
    "support": (lambda x: x > 0, m.Exponential(2.0)),
    "pole": (lambda x: x > 0, m.Gamma(0.5, 2.0)),
    "both ends": (lambda x: (x > 0) & (x < 1), m.Beta(2.0, 3.0)),
    "mixture": (lambda x: x > -1, m.mixture([0.3, 0.7], [m.Dirac(0.0), m.Exponential(1.0)])),
    "own density": (lambda x: x * x >= 0, m.from_log_density(lambda x: -(x**4))),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "support")) for n in SURE])
def test_a_sure_event_has_the_probability_1(name):
    event, law = SURE[name]
    sure = qed.probability(event, law)
    assert sure.proved and sure.lower == sure.upper == 1.0 and sure.check()


@pytest.mark.slow
def test_what_is_nearly_sure_is_not_called_sure():
    answer = qed.probability(lambda x: jnp.abs(x - 0.625) > 2.0**-20, m.Uniform(0.0, 1.0))
    assert answer.proved and answer.lower < 1 - 2.0**-19 < answer.upper
    for level in (1.0, 0.75):
        with pytest.raises(CertificateError):
            replace(answer.certificate, lower=level, upper=level).sealed().verify()


def test_the_mean_of_a_number_is_that_number():
    answer = qed.expect(lambda x: 0 * x + 2.5, N)
    assert answer.proved and answer.lower == answer.upper == 2.5
    with pytest.raises(CertificateError):
        replace(answer.certificate, lower=2.25, upper=2.25).sealed().verify()


@pytest.mark.slow
def test_a_mean_that_is_huge_has_its_digits():
    answer = qed.expect(lambda x: jnp.exp(28 * x), N)
    assert answer.proved and answer.lower <= math.exp(392.0) <= answer.upper < 1.00001 * answer.lower
