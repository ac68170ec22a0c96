"""Divergences of near densities without a closed form: right to a relative error at any distance, and never negative."""

import math
from dataclasses import replace

import pytest
from qed.measures import HalfCauchy, Logistic, StudentT, from_log_density

import qed
from qed.errors import CertificateError

C = 1 + 1e-8
CLOSE = 2.0**-40


def quartic(factor):
    return from_log_density(lambda x: -factor * x**4)


@pytest.mark.parametrize(
    ("p", "q", "truth"),
    [
        (HalfCauchy(1.0), HalfCauchy(C), math.log1p((C - 1) ** 2 / (4 * C))),
        (quartic(1.0), quartic(1 + 2.0**-20), (2.0**-41 - 2.0**-60 / 3) / 4),
        pytest.param(Logistic(0.0, 1.0), Logistic(2.0**-13, 1.0), 2.0**-26 / 6 - 2.0**-52 / 180, marks=pytest.mark.slow),
        pytest.param(StudentT(3.0), StudentT(3.0, 2.0**-26), 2.0**-52 / 3, marks=pytest.mark.slow),
        pytest.param(StudentT(3.0), StudentT(3.0, 0.0, 1 + 2.0**-26), 2.0**-53, marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_near_densities_are_told_apart(p, q, truth):
    answer = qed.kl(p, q)
    assert answer.proved and 0 < answer.lower <= truth * (1 + 1e-7) and truth * (1 - 1e-7) <= answer.upper
    assert answer.upper - answer.lower < 1e-4 * truth and answer.check()


def test_bounds_beside_the_truth_are_refused():
    certificate = qed.kl(quartic(1.0), quartic(1 + 2.0**-20)).certificate
    for by in (1 - 1e-4, 1 + 1e-4):
        false = replace(certificate, lower=certificate.lower * by, upper=certificate.upper * by).sealed()
        with pytest.raises(CertificateError):
            false.verify()
    with pytest.raises(CertificateError):
        replace(certificate, lower=0.0, upper=CLOSE**2).sealed().verify()
