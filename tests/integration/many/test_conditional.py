"""Coordinates that are normal given the others: normalising constants with a proof, and none where there is none."""

import json
import math
from dataclasses import fields, replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed import measures as m
from qed.certificates.certificate import Certificate, Subject
from qed.certificates.conditional import Conditional, left_of
from qed.certificates.expectation import LogMass
from qed.certificates.separable import joint
from qed.errors import CertificateError


def space(dimension):
    return m.Lebesgue([-math.inf] * dimension, [math.inf] * dimension)


QUADRATIC = jnp.array([[(2.0 if i == j else 0.0) + 0.5 ** abs(i - j) for j in range(6)] for i in range(6)])
ROWS, SEEN = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 4.0]]), jnp.array([0.5, 1.0, 2.0, 4.5])
HALF = m.Lebesgue([0.0, -math.inf], [math.inf, math.inf])
PROVED = {
    "a quadratic form": (
        lambda x: -x @ QUADRATIC @ x / 2,
        space(6),
        3 * math.log(2 * math.pi) - np.linalg.slogdet(np.asarray(QUADRATIC, float))[1] / 2,
    ),
    "a ridge that is bent": (
        lambda x: -((x[0] - 1) ** 2) - 100 * (x[1] - x[0] ** 2) ** 2, space(2), math.log(math.pi / 10),
    ),
    "a funnel": (
        lambda x: -(x[0] ** 2) / 18 - jnp.sum(x[1:] ** 2) * jnp.exp(-x[0]) / 2 - 1.5 * x[0],
        space(4),
        math.log(3) + 2 * math.log(2 * math.pi),
    ),
    "a rate on a half line": (lambda x: -x[0] * x[1] ** 2 - x[0], HALF, math.log(math.pi)),
    "the evidence of a regression": (
        lambda w: -jnp.sum((SEEN - ROWS @ w) ** 2) / 2, m.power(m.Normal(0.0, 2.0), 2), -3.503684786794224383,
    ),
    "a rate that oscillates": (
        lambda x: -(2 + jnp.sin(x[0])) * x[1] ** 2 - x[0] ** 2 + x[1] * x[0], space(2), 0.92986313184132742,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROVED)
def test_a_normalising_constant_is_proved(name):
    fun, base, truth = PROVED[name]
    answer = qed.normalizer(fun, base, budget=600.0)
    assert answer.proved
    assert isinstance(answer.certificate, Conditional)
    assert answer.lower - 1e-12 <= truth <= answer.upper + 1e-12 and answer.upper - answer.lower < 1e-6


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: -x[0] * x[1] ** 2 - x[0] ** 2,  # the rate is negative on one half
        lambda x: -((x[0] + x[1]) ** 2),  # of rank 1
        lambda x: 3 * x[0] * x[1] - x[0] ** 2 - x[1] ** 2,  # indefinite
        lambda x: -(x[0] ** 2) * x[1] ** 2 - x[0] ** 2,  # the rate is 0 at 0, and 1/|x| has no integral
    ],
)
def test_no_number_is_proved_where_the_mass_is_infinite(fun):
    answer = qed.normalizer(fun, space(2), budget=20.0)
    assert answer.value is None or answer.value == math.inf


def test_nothing_is_proved_where_the_function_is_undefined():
    assert not qed.normalizer(
        lambda x: -(x[1] ** 2) - x[0] ** 2 + 0 * jnp.log(x[0]) * x[1], space(2), budget=2.0
    ).proved


def test_a_certificate_survives_json_and_no_change_of_a_field():
    made = qed.normalizer(PROVED["a rate that oscillates"][0], space(2), budget=600.0).certificate
    assert Certificate.from_json(json.dumps(made.to_json())).verify(made.subject.fun, made.subject.at)
    ((i, text),) = made.pieces
    less = dict(json.loads(text), upper=0.0, lower=-1.0)
    line, normal = made.laws[0], ("Normal", (0.0, 1.0), -math.inf, math.inf)
    changes = {
        "laws": ((normal, line), (line, normal), (line, ("", (), 0.0, math.inf)), (line,)),
        "pieces": ((), ((i, json.dumps(less)),), ((1, text),), ((i, text), (i, text))),
        "lower": (made.upper,), "upper": (made.lower, math.inf), "function": ("another",), "x64": (not made.x64,),
        "exponential": (True,),
    }  # fmt: skip
    assert set(changes) == {f.name for f in fields(made)} - {"seal", "subject"}
    for name, values in changes.items():
        for value in values:
            changed = replace(made, **{name: value})
            with pytest.raises(CertificateError):
                changed.verify()
            if name != "x64":
                with pytest.raises((CertificateError, qed.QedError)):
                    changed.sealed().verify()
    one = left_of(made.subject.traced(), made.laws).parts[i]
    rounded = Subject(joint(one, True), jnp.float32(0.5), x64=False)  # a piece whose numbers are those of float32
    piece = LogMass.made(
        rounded, **{name: getattr(Certificate.from_json(text), name) for name in ("cuts", "lower", "upper")}
    )
    with pytest.raises(CertificateError, match="pieces"):
        replace(made, pieces=((i, json.dumps(piece.to_json())),)).sealed().verify()
    with pytest.raises(CertificateError):
        made.verify(lambda x: -(3 + jnp.sin(x[0])) * x[1] ** 2 - x[0] ** 2 + x[1] * x[0], made.subject.at)


PAIR, CHAIN = m.power(m.Normal(), 2), np.eye(3) - 0.2 * (np.eye(3, k=1) + np.eye(3, k=-1))
MEANS = {
    "a product": (lambda x: jnp.exp(x[0] * x[1] / 2), PAIR, 1 / math.sqrt(0.75)),
    "a chain": (
        lambda x: jnp.exp((x[0] * x[1] + x[1] * x[2]) / 5), m.power(m.Normal(), 3), 1 / math.sqrt(np.linalg.det(CHAIN))
    ),
    "another law": (lambda x: jnp.exp(x[0] * x[1]), m.product(m.Normal(0.0, 0.5), m.Bernoulli(0.5)), None),
    "too large a product": (lambda x: jnp.exp(x[0] * x[1]), PAIR, math.inf),
    "of the whole plane": (lambda x: jnp.exp(x[0] * x[1] - x[0] ** 2 - x[1] ** 2), space(2), math.pi / math.sqrt(0.75)),
}  # fmt: skip


@pytest.mark.parametrize("name", MEANS)
def test_the_mean_of_an_exponential_is_proved(name):
    fun, law, truth = MEANS[name]
    answer = qed.expect(fun, law)
    if truth is None:  # atoms are no law on the line
        assert not isinstance(answer.certificate, Conditional)
        return
    assert answer.proved and isinstance(answer.certificate, Conditional) and answer.check()
    assert answer.lower == truth or answer.lower * (1 - 1e-14) <= truth <= answer.upper * (1 + 1e-14)
    changes = [{"exponential": False}, {"lower": 1.0, "upper": 1.01}, {"lower": -math.inf}]
    for change in changes + [{"lower": math.inf, "upper": math.inf}] * (truth < math.inf):
        with pytest.raises(CertificateError):
            replace(answer.certificate, **change).sealed().verify()
