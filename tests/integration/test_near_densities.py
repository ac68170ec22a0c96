"""Divergences of near densities without a closed form: right to a relative error at any distance, never negative."""

import math
from dataclasses import replace

import pytest

import qed
from qed.errors import CertificateError
from qed.integration.measures import HalfCauchy, Logistic, StudentT, from_log_density

C = 1 + 1e-8


@pytest.fixture(scope="module")
def quartics():
    """KL of exp(-x^4) and exp(-c x^4), c = 1 + 2^-20."""
    p, q = from_log_density(lambda x: -(x**4)), from_log_density(lambda x: -(1 + 2.0**-20) * x**4)
    return qed.kl(p, q, budget=200.0)


@pytest.mark.slow
def test_near_densities_of_the_user_are_told_apart(quartics):
    truth = (2.0**-41 - 2.0**-60 / 3) / 4
    assert quartics.proved and 0 < quartics.lower <= truth <= quartics.upper
    assert quartics.upper - quartics.lower < 1e-4 * truth


@pytest.mark.slow
@pytest.mark.parametrize(
    ("p", "q", "truth"),
    [
        (HalfCauchy(1.0), HalfCauchy(C), math.log1p((C - 1) ** 2 / (4 * C))),
        (Logistic(0.0, 1.0), Logistic(2.0**-13, 1.0), 2.0**-26 / 6 - 2.0**-52 / 180),
        (StudentT(3.0), StudentT(3.0, 0.0, 1 + 2.0**-26), 2.0**-53),
    ],
)
def test_near_members_are_told_apart(p, q, truth):
    answer = qed.kl(p, q, budget=200.0)
    assert answer.proved and 0 < answer.lower <= truth * (1 + 1e-7) and truth * (1 - 1e-7) <= answer.upper
    assert answer.upper - answer.lower < 1e-4 * truth and answer.check()


@pytest.mark.slow
def test_bounds_beside_the_truth_are_refused(quartics):
    certificate = quartics.certificate
    false = replace(certificate, lower=certificate.lower * 1.0001, upper=certificate.upper * 1.0001).sealed()
    with pytest.raises(CertificateError):
        false.verify()
