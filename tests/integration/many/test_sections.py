"""Integrals over products that are infinite or undefined, and functions beside the edge of what sections prove."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate, Subject
from qed.certificates.sections import Sections
from qed.errors import CertificateError
from qed.integration import measures as m

N, CAUCHY, UNIT = m.Normal(), m.Cauchy(), m.Uniform(0.0, 1.0)
PLANE = m.product(N, N)


@pytest.mark.parametrize(
    ("fun", "law", "truth"),
    [
        (lambda x: x[0] / x[1], PLANE, math.nan),
        (lambda x: x[0] * x[1], m.product(CAUCHY, N), math.nan),
        (lambda x: x[0] * jnp.exp(-x[1]), m.product(m.Pareto(1.0, 1.0), m.Exponential(1.0)), math.inf),
        (lambda x: x[1] ** 2 * jnp.exp(x[0] ** 2 / 2), PLANE, math.inf),
    ],
    ids=["ratio", "product", "Pareto", "weights"],
)
def test_an_expectation(fun, law, truth):
    answer = qed.expect(fun, law)
    assert answer.proved, answer.missing
    assert math.isnan(answer.value) if math.isnan(truth) else answer.value == truth
    assert answer.check()
    assert Certificate.from_json(answer.certificate.to_json()).verify(fun, answer.certificate.subject.at)


def test_an_improper_posterior():
    answer = qed.normalizer(
        lambda z: -jnp.log(z[1]) - z[0] ** 2 / (2 + 2 * z[1] ** 2), m.product(m.Lebesgue(), m.Lebesgue(0.0, math.inf))
    )
    assert answer.proved
    assert answer.value == math.inf


def test_what_has_one_infinite_part_and_perhaps_another_is_not_measured():
    answer = qed.expect(lambda x: jnp.maximum(x[0], x[1]), m.product(CAUCHY, N))
    assert answer.unknown
    assert "positive part is infinite" in answer.missing[0].what
    assert answer.value is None


FACTORS = (("Cauchy", (0.0, 1.0), -np.inf, np.inf), ("Uniform", (0.0, 1.0), 0.0, 1.0))
BOXES = ((0.0, 1.0), (0.5, 0.5625))
RIGHT = (0, np.inf, 1, 64.0, BOXES)


def made(fun, **content):
    given = {"factors": FACTORS, "sections": (RIGHT,), "logarithm": False, "value": np.inf} | content
    return Sections.made(Subject(fun, jnp.asarray([0.5, 0.5])), **given)


def test_the_certificate():
    assert made(lambda x: x[0] ** 2 + x[1]).verify()
    assert made(lambda x: x[0] * x[1], sections=(RIGHT, (0, np.inf, -1, 64.0, BOXES)), value=np.nan).verify()


@pytest.mark.parametrize(
    ("fun", "content"),
    [
        (lambda x: x[0] * x[1], {}),  # the negative part is infinite, too
        (lambda x: x[0] * (x[1] - 0.53), {"value": np.nan}),  # of both signs within the interval
        (lambda x: jnp.abs(x[0]) ** 0.999 * x[1], {}),
        (lambda x: x[0] ** 2 * jnp.where(x[1] > 2.0, 1.0, 0.0), {}),
        (lambda x: x[0] ** 2, {"value": -np.inf}),
        (lambda x: x[0] ** 2, {"value": 7.0}),
        (lambda x: x[0] ** 2, {"sections": ()}),
        (lambda x: x[0] ** 2, {"sections": ((0, np.inf, 1, 64.0, ((0.0, 1.0), (0.5, 0.5))),)}),
        (lambda x: x[0] ** 2, {"sections": ((0, np.inf, 1, 64.0, ((0.0, 1.0), (0.5, 1.5))),)}),
        (lambda x: x[0] ** 2, {"sections": ((2, np.inf, 1, 64.0, BOXES),)}),
        (lambda x: 1 / x[1] ** 2, {"sections": ((1, 0.0, -1, 64.0, BOXES),)}),  # outside the support
        (lambda x: x[1] ** 2, {"sections": ((1, np.inf, 1, 64.0, BOXES),)}),
        (lambda x: x[0] ** 2, {"factors": ((*FACTORS[0][:2], 0.0, np.inf), FACTORS[1])}),
        (lambda x: -1.0 + 0 * x[0], {"factors": (("", (), -np.inf, np.inf), FACTORS[1])}),
    ],
)
def test_what_it_refuses(fun, content):
    with pytest.raises(CertificateError):
        made(fun, **content).verify()


def test_another_function_and_changed_fields_are_refused():
    certificate = made(lambda x: x[0] ** 2 + x[1])
    with pytest.raises(CertificateError):
        certificate.verify(lambda x: x[0] ** 2 - x[1], jnp.asarray([0.5, 0.5]))
    with pytest.raises(CertificateError):
        replace(certificate, value=-np.inf).verify()
