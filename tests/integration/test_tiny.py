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
