"""qed.kl, qed.cross_entropy and qed.entropy of products: the sum over the factors."""

import math
from dataclasses import replace

import jax.numpy as jnp
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.errors import CertificateError, QedError
from qed.integration import measures as m

P = m.product(m.Normal(), m.Exponential(1.0), m.Bernoulli(0.5), m.Normal())
Q = m.product(m.Normal(1.0, 1.0), m.Exponential(2.0), m.Bernoulli(0.25), m.Normal(1.0, 1.0))
KL = 2 * 0.5 + (1 - math.log(2)) + 0.5 * math.log(4 / 3)
ENTROPY = math.log(2 * math.pi * math.e) + 1 + math.log(2)


@pytest.mark.parametrize(
    ("found", "truth"),
    [
        (lambda: qed.kl(P, Q), KL),
        (lambda: qed.entropy(P), ENTROPY),
        (lambda: qed.cross_entropy(P, Q), KL + ENTROPY),
        (lambda: qed.kl(P, P), 0.0),
        (lambda: qed.kl(m.product(m.Normal()), m.Normal(1.0, 1.0)), 0.5),
    ],
    ids=["kl", "entropy", "cross-entropy", "equal", "one factor"],
)
def test_the_terms_of_the_factors_add_up(found, truth):
    answer = found()
    assert answer.proved and answer.lower <= answer.value <= answer.upper and answer.check()
    assert answer.value == pytest.approx(truth, abs=1e-12) and answer.upper - answer.lower <= 1e-12


def test_one_infinite_factor_is_enough_and_is_named():
    wide, narrow = (m.product(m.Normal(), m.Uniform(0.0, end)) for end in (2.0, 1.0))
    answer = qed.kl(wide, narrow)
    assert answer.value == math.inf and answer.proved and answer.check()
    assert "coordinate 1: p has a density on (1, 2)" in answer.headline
    assert [finding.code for finding in answer.findings] == ["QED605"]
    assert qed.kl(narrow, wide).value == pytest.approx(math.log(2))


def test_images_are_factors_too():
    p, q = (m.product(m.pushforward(m.Normal(mean, 1.0), jnp.tanh), m.Normal()) for mean in (0.0, 1.0))
    assert qed.kl(p, q).value == pytest.approx(0.5) and qed.kl(p, q).check()


def test_a_factor_without_an_answer_is_named():
    answer = qed.kl(m.product(m.Normal(), m.Normal()), m.product(m.Normal(), m.StudentT(3.0)), budget=1e-9)
    assert answer.standing == "UNKNOWN" and answer.missing[0].what.startswith("coordinate 1: ")


@pytest.mark.parametrize("q", [m.Normal(), m.product(m.Normal()), [0.5, 0.5]], ids=["law", "product", "vector"])
def test_other_dimensions_are_refused(q):
    with pytest.raises(QedError, match="p has the dimension 4, q the dimension 1"):
        qed.kl(P, q)


def test_a_certificate_is_of_its_pieces_only():
    held = qed.kl(P, Q).certificate
    assert Certificate.from_json(held.to_json()).verify(held.subject.fun, held.subject.at)
    for wrong in (
        {"pieces": held.pieces[1:]},
        {"pieces": ((3, *held.pieces[0][1:]), *held.pieces[1:])},
        {"pieces": ((0, *held.pieces[0][1:]), *held.pieces[1:])},
        {"ratio": False},
        {"upper": held.lower},
    ):
        with pytest.raises(CertificateError):
            replace(held, **wrong).sealed().verify()


def test_an_infinite_factor_says_nothing_beside_one_that_is_no_law():
    improper = m.from_log_density(lambda x: 0.0 * x)
    for p, q in (((m.Cauchy(), improper), (m.Normal(),) * 2), ((m.Cauchy(), m.Normal()), (m.Normal(), improper))):
        answer = qed.kl(m.product(*p), m.product(*q), budget=6.0)
        assert answer.unknown and "coordinate 1" in str(answer.missing)
