"""qed.normalizer: constants far outside float64, improper densities, and what is refused."""

import math
from dataclasses import replace

import jax.numpy as jnp
import pytest

import qed
from qed.errors import CertificateError, QedError
from qed.integration import measures as m

GAUSS = 0.5 * math.log(2 * math.pi)


@pytest.mark.parametrize(
    ("log_density", "base", "truth"),
    [
        (lambda x: -x * x / 2 - 5000.0, None, GAUSS - 5000),
        (lambda x: -x * x / 2 + 40000.0, None, GAUSS + 40000),
        (lambda x: -2.0 * x, qed.measures.Lebesgue(0.0, math.inf), -math.log(2)),
        (lambda x: 0 * x, qed.measures.Lebesgue(1.0, 4.0), math.log(3)),
        (lambda x: (1 - 2.0**-10) * x - x, qed.measures.Lebesgue(0.0, math.inf), 10 * math.log(2)),
        (lambda x: jnp.where(x > 0, -x, -jnp.inf), None, 0.0),
        (lambda x: -((x - 2.0**20) ** 2) / 2, None, GAUSS),
        (lambda x: jnp.logaddexp(-((x - 50) ** 2) / 2, -((x + 50) ** 2) / 2), None, GAUSS + math.log(2)),
        pytest.param(
            lambda x: -0.5 * jnp.log(x) - 0.5 * jnp.log1p(-x),
            qed.measures.Lebesgue(0.0, 1.0),
            math.log(math.pi),
            marks=pytest.mark.slow,
        ),
        pytest.param(lambda x: -jnp.log1p(x * x), None, math.log(math.pi), marks=pytest.mark.slow),
    ],
)
def test_proved(log_density, base, truth):
    answer = qed.normalizer(log_density, base)
    assert answer.proved and answer.lower <= truth <= answer.upper
    assert answer.upper - answer.lower < 1e-2


@pytest.mark.parametrize("log_density", [lambda x: 0 * x, lambda x: -0.5 * jnp.log1p(x * x), lambda x: x])
def test_improper(log_density):
    answer = qed.normalizer(log_density)
    assert answer.proved and answer.value == math.inf and answer.check()


def test_false_claims_are_refused():
    certificate = qed.normalizer(lambda x: -x * x / 2).certificate
    for changed in ({"lower": 0.0, "upper": 0.5}, {"lower": math.inf, "upper": math.inf}, {"cuts": (-1.0, 1.0)}):
        with pytest.raises(CertificateError):
            replace(certificate, **changed).sealed().verify()
    other = replace(certificate.subject, fun=lambda x: (2 * jnp.ones_like(x), -x * x / 2))
    with pytest.raises(CertificateError):
        type(certificate).made(other, cuts=certificate.cuts, lower=1.6, upper=1.7).verify()


@pytest.mark.slow
def test_mass_that_the_rules_miss_is_found_by_balls_or_seen_afterwards():
    needle = qed.normalizer(
        lambda x: jnp.where(jnp.abs(x - 0.125) < 2.0**-20, 20.0, -x), qed.measures.Lebesgue(0.0, 1.0)
    )
    assert needle.proved and abs(needle.lower - math.log(1 - math.exp(-1) + 2.0**-19 * math.exp(20))) < 1e-5
    assert qed.normalizer(lambda x: jnp.where(x > 1e7, jnp.nan, -x * x / 2)).unknown


def test_a_law_with_a_name_is_a_prior_and_the_constant_the_evidence():
    data = jnp.array([1.0, 2.0, 0.5])
    found = qed.normalizer(lambda z: -jnp.sum((data - z) ** 2) / 2 - 3 * GAUSS, qed.measures.Normal(0.0, 2.0))
    assert found.proved and abs(found.lower - -4.779674893729401) < 1e-5 and found.check()
    with pytest.raises(CertificateError):
        replace(found.certificate, parameters=(0.0, 3.0)).sealed().verify()
    with pytest.raises(CertificateError):
        replace(found.certificate, family="Exponential", parameters=(1.0,)).sealed().verify()


@pytest.mark.parametrize("base", [qed.measures.scaled(2.0, qed.measures.Normal()), qed.measures.Dirac(0.0), 3.0])
def test_a_base_is_an_interval_or_a_law(base):
    with pytest.raises(QedError):
        qed.normalizer(lambda x: -x * x, base)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_what_is_filled_in_is_no_entry_of_an_array(fill):
    def flat(t):
        return -jnp.stack([t * t, jnp.abs(t)]).at[jnp.array([5])].get(mode="fill", fill_value=fill)[0]

    assert qed.normalizer(flat).unknown  # its mass is infinite


@pytest.mark.slow
@pytest.mark.parametrize(
    ("u", "base"),
    [
        (lambda x: jnp.full_like(x, -jnp.inf), m.Normal()),
        (lambda x: jnp.where(x > 2.0, 0.0, -jnp.inf), m.Lebesgue(0.0, 1.0)),
    ],
    ids=["nowhere", "beyond the end"],
)
def test_no_mass_has_the_logarithm_of_zero(u, base):
    answer = qed.normalizer(u, base)
    assert answer.proved and answer.value == -math.inf and answer.check()
    assert "no mass" in answer.claim and "improper" not in answer.claim


def test_a_density_that_is_nan_inside_is_named():
    answer = qed.normalizer(lambda x: jnp.log(x), m.Lebesgue(-1.0, 1.0))
    assert answer.standing == "UNKNOWN" and "the log-density is NaN at -0." in answer.missing[0].what
    assert "jnp.where" in answer.missing[0].settle


@pytest.mark.parametrize("above", [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_an_interval_leaves_of_a_law_is_a_base(above):
    low, high = (2.0, math.inf) if above else (0.0, 2.0)
    answer = qed.normalizer(lambda x: x / 2, qed.measures.restrict(qed.measures.Exponential(1.0), low, high))
    meant = math.log(2 * math.exp(-1) if above else 2 - 2 * math.exp(-1))
    assert answer.proved and answer.lower <= meant <= answer.upper and answer.check()
    assert answer.certificate.cuts[0] == low and answer.certificate.family == "Exponential"
    beyond = replace(answer.certificate, cuts=(-1.0, *answer.certificate.cuts[1:])).sealed()
    with pytest.raises(CertificateError):
        beyond.verify()
