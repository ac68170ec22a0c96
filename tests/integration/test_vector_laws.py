"""Multivariate normal and Dirichlet laws: closed forms against SciPy, near-equal laws, marginals, bad input."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import qed
from qed.certificates.certificate import Certificate
from qed.errors import CertificateError, QedError
from qed.integration import measures as m


def normal(seed, size):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + np.eye(size)
    return rng.normal(size=size), (matrix + matrix.T) / 2


@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_normal_laws_have_their_divergence(size):
    (a, s), (b, t) = normal(1, size), normal(2, size)
    truth = 0.5 * (
        np.trace(np.linalg.solve(t, s)) - size + (b - a) @ np.linalg.solve(t, b - a)
        + np.linalg.slogdet(t)[1] - np.linalg.slogdet(s)[1]
    )  # fmt: skip
    p, q = m.MultivariateNormal(a, s), m.MultivariateNormal(b, t)
    answer = qed.kl(p, q)
    assert answer.proved and answer.check() and answer.value == pytest.approx(truth, rel=1e-10)
    entropy = qed.entropy(p)
    assert entropy.value == pytest.approx(stats.multivariate_normal(a, s).entropy(), rel=1e-12)
    assert qed.cross_entropy(p, q).value == pytest.approx(entropy.value + truth, rel=1e-10)
    assert qed.kl(p, p).value == 0.0 and qed.kl(p, p).check()


def test_independent_coordinates_add_up():
    p = m.MultivariateNormal([0.0, 1.0], [[1.0, 0.0], [0.0, 4.0]])
    q = m.MultivariateNormal([0.5, 0.0], [[2.25, 0.0], [0.0, 1.0]])
    parts = qed.kl(m.Normal(), m.Normal(0.5, 1.5)).value + qed.kl(m.Normal(1.0, 2.0), m.Normal()).value
    assert qed.kl(p, q).value == pytest.approx(parts, rel=1e-14)


@pytest.mark.parametrize("h", [2.0**-10, 2.0**-27, 2.0**-40])
def test_near_equal_laws_keep_their_digits(h):
    p, q = (m.MultivariateNormal([x, 0.0], [[1.0, 0.5], [0.5, 1.0]]) for x in (0.0, h))
    assert qed.kl(p, q).value == pytest.approx(h * h / 1.5, rel=1e-14, abs=0)
    answer = qed.kl(m.Dirichlet([1.0, 2.0, 3.0]), m.Dirichlet([1.0 + h, 2.0, 3.0]))
    curvature = special.polygamma(1, 1.0) - special.polygamma(1, 6.0)
    assert answer.value == pytest.approx(curvature * h * h / 2, rel=4 * h + 1e-13, abs=0) and answer.lower >= 0


def test_dirichlet_laws_are_those_of_scipy_and_of_beta():
    a, b = np.array([2.0, 3.5, 0.75]), np.array([1.0, 2.0, 1.5])
    answer = qed.entropy(m.Dirichlet(a))
    assert answer.proved and answer.value == pytest.approx(stats.dirichlet(a).entropy(), rel=1e-12)
    truth = special.gammaln(a.sum()) - special.gammaln(a).sum() - special.gammaln(b.sum()) + special.gammaln(b).sum()
    truth += ((a - b) * (special.digamma(a) - special.digamma(a.sum()))).sum()
    assert qed.kl(m.Dirichlet(a), m.Dirichlet(b)).value == pytest.approx(truth, rel=1e-12)
    two = qed.kl(m.Dirichlet([2.0, 3.0]), m.Dirichlet([1.0, 4.0]))
    assert two.value == pytest.approx(qed.kl(m.Beta(2.0, 3.0), m.Beta(1.0, 4.0)).value, rel=1e-14)


def test_an_altered_certificate_is_refused():
    answer = qed.kl(m.Dirichlet([1.0, 2.0]), m.Dirichlet([2.0, 2.0]))
    certificate = answer.certificate
    for changed in (
        {"p": ((1.5, 2.0),)},
        {"q": ((2.0, 2.5),)},
        {"q": ((2.0, 2.0, 1.0),)},
        {"p": ((-1.0, 2.0),)},
        {"family": "MultivariateNormal"},
        {"ratio": False},
        {"lower": 1.01 * answer.value, "upper": 2.0},
        {"upper": 0.99 * answer.value},
    ):
        with pytest.raises(CertificateError):
            replace(certificate, **changed).sealed().verify()
    again = Certificate.from_json(certificate.to_json())
    assert again.verify(certificate.subject.fun, certificate.subject.at)


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.MultivariateNormal([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]),
        lambda: m.MultivariateNormal([0.0, 0.0], [[1.0, 0.5], [0.25, 1.0]]),
        lambda: m.MultivariateNormal([0.0], [[1.0, 0.0], [0.0, 1.0]]),
        lambda: m.MultivariateNormal([math.nan], [[1.0]]),
        lambda: m.MultivariateNormal([0.0], [[1j]]),
        lambda: m.MultivariateNormal([], []),
        lambda: m.MultivariateNormal("a", [[1.0]]),
        lambda: m.Dirichlet([1.0]),
        lambda: m.Dirichlet([1.0, 0.0]),
        lambda: m.Dirichlet([1.0, math.inf]),
        lambda: m.Dirichlet([[1.0, 2.0]]),
        lambda: m.Dirichlet(np.ones(65)),
        lambda: qed.kl(m.Dirichlet([1.0, 2.0]), m.Dirichlet([1.0, 2.0, 3.0])),
        lambda: qed.kl(m.Dirichlet([1.0, 2.0]), m.Normal()),
        lambda: qed.kl(m.Normal(), m.MultivariateNormal([0.0], [[1.0]])),
        lambda: qed.kl([0.5, 0.5], m.Dirichlet([1.0, 2.0])),
    ],
)
def test_what_is_no_law_of_vectors_is_refused_with_a_code(make):
    with pytest.raises(QedError) as caught:
        make()
    assert caught.value.code == "QED007"


@pytest.mark.parametrize(
    ("event", "law", "truth"),
    [
        (lambda x: (x[0] > 0) & (x[1] > 0), m.MultivariateNormal([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]), 1 / 3),
        (lambda p: p[0] > 0.5, m.Dirichlet([1.0, 1.0, 1.0]), 0.25),
    ],
)
def test_probabilities_are_those_of_the_map(event, law, truth):
    answer = qed.probability(event, law)
    assert answer.lower <= truth <= answer.upper
    assert answer.upper - answer.lower < 0.02
    assert not answer.proved or answer.check()


def test_a_nearly_singular_covariance_is_not_told_as_its_rounded_factor():
    near = 3.1 * (1 - 3e-14)
    answer = qed.expect(lambda v: (v[0] - v[1]) ** 2, m.MultivariateNormal([0.0, 0.0], [[3.1, near], [near, 3.1]]))
    assert answer.unknown and "nearly singular" in answer.missing[0].what


def test_what_rounding_alone_leaves_is_not_claimed():
    """The parts of a Dirichlet vector add up to 1: the difference is rounding, and no number of points shows it."""
    answer = qed.expect(lambda p: (p[0] + p[1] - 1) * 1e6, qed.measures.Dirichlet([1.0, 2.0]))
    assert answer.standing is qed.Standing.UNKNOWN or answer.lower <= 0 <= answer.upper


def test_the_evidence_under_a_prior_of_vectors():
    design, seen, prior = np.array([[1.0, 0.5], [-0.5, 1.0]]), np.array([1.0, 0.25]), np.array([[1.0, 0.5], [0.5, 2.0]])
    marginal = design @ prior @ design.T + np.eye(2)
    truth = -(seen @ np.linalg.solve(marginal, seen) + np.linalg.slogdet(marginal)[1]) / 2

    def log_likelihood(w):
        return -jnp.sum((jnp.asarray(seen, w.dtype) - jnp.asarray(design, w.dtype) @ w) ** 2) / 2

    answer = qed.normalizer(log_likelihood, m.MultivariateNormal([0.0, 0.0], prior))
    assert answer.measured and answer.lower <= truth <= answer.upper < answer.lower + 0.02
