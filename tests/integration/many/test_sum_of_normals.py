"""Functions of one linear form in normal coordinates: by the law of the form; of another form nothing is taken."""

import functools
import json
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.sum_of_normals import SumOfNormals
from qed.errors import CertificateError
from qed.integration import measures as m
from qed.integration.many.subject import Question
from qed.integration.many.sum_of_normals import by_normal_sum

TWO = m.product(m.Normal(), m.Normal(1.0, 2.0))
THREE = m.power(m.Normal(), 3)
WEIGHTS = jnp.array([1.0, 2.0, -1.0])
TRUE = {
    "an event": (lambda v: v[0] + v[1] > 1.5, TWO, stats.norm(1, 5**0.5).sf(1.5)),
    "two sides": (lambda v: 2 * v[0] - 3.0 < v[1] / 4, TWO, stats.norm(-3.25, 4.25**0.5).cdf(0)),
    "a third": (lambda v: jnp.mean(v) > 0.5, THREE, stats.norm.sf(0.5 * 3**0.5)),
    "an option": (lambda v: jnp.maximum(jnp.dot(WEIGHTS, v) - 0.5, 0.0), THREE,
                  6**0.5 * stats.norm.pdf(0.5 / 6**0.5) - 0.5 * stats.norm.sf(0.5 / 6**0.5)),
    "infinite": (lambda v: jnp.exp((v[0] + v[1]) ** 2 / 4), m.power(m.Normal(), 2), math.inf),
}  # fmt: skip


@functools.cache
def asked(name):
    fun, law, _ = TRUE[name]
    return (qed.probability if name in ("an event", "two sides", "a third") else qed.expect)(fun, law)


@pytest.mark.parametrize("name", TRUE)
def test_it_is_proved(name):
    answer, truth = asked(name), TRUE[name][2]
    assert answer.proved, answer.missing
    assert isinstance(answer.certificate, SumOfNormals)
    assert answer.check()
    if math.isinf(truth):
        assert answer.value == truth
    else:
        assert answer.lower - 1e-12 <= truth <= answer.upper + 1e-12
        assert answer.upper - answer.lower < 1e-6


@pytest.mark.parametrize(
    ("fun", "law"),
    [
        (lambda v: jnp.maximum(v[0] + v[1], v[0]), TWO),
        (lambda v: jnp.sin(v[0] + v[1]) * v[0], TWO),
        (lambda v: jnp.tanh(v[0] * v[1]), TWO),
        (lambda v: jnp.maximum(v[0] + v[1], 0.0), m.product(m.Normal(), m.Uniform(0.0, 1.0))),
        (lambda v: jnp.maximum(v[0] + v[1], 0.0), m.product(m.Normal(), m.scaled(2.0, m.Normal()))),
        (lambda v: jnp.maximum(v[0] + 0 * v[1], 0.0), TWO),
    ],
)
def test_another_form_is_not_taken_for_one(fun, law):
    assert by_normal_sum(Question.asked(fun, law, ())) is None


def test_the_certificate():
    certificate = asked("an option").certificate
    fun, at = TRUE["an option"][0], certificate.subject.at
    assert Certificate.from_json(json.loads(json.dumps(certificate.to_json()))).verify(fun, at)
    laws = ((0.0, 1.0), (0.0, 1.0), (0.0, 2.0))
    for change in (
        {"laws": laws}, {"laws": laws[:2]}, {"equation": 0}, {"equation": -1}, {"scale": 2.0}, {"scale": -1.0},
        {"upper": certificate.lower}, {"piece": asked("an event").certificate.piece}, {"piece": "{}"},
    ):  # fmt: skip
        with pytest.raises(CertificateError):
            replace(certificate, **change).sealed().verify()
    with pytest.raises(CertificateError):
        certificate.verify(lambda v: jnp.maximum(jnp.dot(WEIGHTS, v) - 0.25, 0.0), np.asarray(at))
