"""Integrals over the plane and the space that diverge along curves, and near relatives that do not."""

import json
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate, Subject
from qed.certificates.sections import Sections
from qed.errors import CertificateError
from qed.integration import measures as m
from qed.integration.many.sections import by_sections
from qed.integration.many.subject import Question

SQUARE = m.Uniform([0.0, 0.0], [1.0, 1.0])
CENTRED = m.Lebesgue([-1.0, -1.0], [1.0, 1.0])
CUBE = m.Lebesgue([-1.0] * 3, [1.0] * 3)
PLANE = m.Lebesgue([-math.inf] * 2, [math.inf] * 2)
NORMALS = m.product(m.Normal(), m.Normal(1.0, 2.0))
INFINITE = {
    "a diagonal": (lambda v: 1 / jnp.abs(v[0] - v[1]), SQUARE),
    "a diagonal under normals": (lambda v: jnp.abs(v[0] - v[1]) ** -1.0, NORMALS),
    "an antidiagonal": (lambda v: jnp.abs(v[0] + v[1]) ** -1.5, CENTRED),
    "a circle": (lambda v: 1 / jnp.abs(jnp.sum(v**2) - 0.5), CENTRED),
    "a hyperbola": (lambda v: (1 - v[0] * v[1]) ** -2, m.Lebesgue([0.0, 0.0], [2.0, 2.0])),
    "a corner": (lambda v: (1 - v[0] * v[1]) ** -2, SQUARE),
    "a point": (lambda v: 1 / (v[0] ** 2 + v[1] ** 2), CENTRED),
    "another point": (lambda v: 1 / ((v[0] - 0.5) ** 2 + (v[1] - 0.25) ** 2), SQUARE),
    "a point of space": (lambda v: jnp.sum(v**2) ** -1.5, CUBE),
    "a point where a factor is 0": (lambda v: jnp.abs(v[0]) ** 3 / jnp.sum(v**2) ** 2.5, CENTRED),
    "a parabola's focus": (lambda v: (v[0] ** 2 + jnp.abs(v[1])) ** -1.5, CENTRED),
}
IMPROPER = {
    "a flat direction": (lambda v: -((v[0] - v[1]) ** 2), PLANE),
    "a slow decay": (lambda v: -jnp.log(1 + v[0] ** 2 + v[1] ** 2), PLANE),
    "a narrowing tube": (lambda v: -((v[0] * v[1]) ** 2), PLANE),
    "a diagonal": (lambda v: -2 * jnp.log(jnp.abs(v[0] - v[1])), SQUARE),
}
FINITE = {
    "a diagonal": (lambda v: jnp.abs(v[0] - v[1]) ** -0.99, SQUARE, False),
    "a point": (lambda v: (v[0] ** 2 + v[1] ** 2) ** -0.99, CENTRED, False),
    "a point of space": (lambda v: jnp.sum(v**2) ** -1.49, CUBE, False),
    "a corner": (lambda v: (1 - v[0] * v[1]) ** -1.9, SQUARE, False),
    "almost a pole": (lambda v: 1 / (jnp.abs(v[0] - v[1]) + 1e-9), SQUARE, False),
    "a logarithm": (lambda v: jnp.log(jnp.abs(v[0] - v[1])), SQUARE, False),
    "a parabola's focus": (lambda v: (v[0] ** 2 + jnp.abs(v[1])) ** -1.45, CENTRED, False),
    "a decay": (lambda v: -1.01 * jnp.log(1 + v[0] ** 2 + v[1] ** 2), PLANE, True),
    "a hardly flat direction": (lambda v: -((v[0] - v[1]) ** 2) - 1e-6 * v[0] ** 2, PLANE, True),
}


def found(fun, measure, logarithm=False):
    return by_sections(Question.asked(fun, measure, (), budget=60.0, logarithm=logarithm))


@pytest.mark.parametrize("name", INFINITE)
def test_it_is_infinite(name):
    fun, measure = INFINITE[name]
    answer = found(fun, measure)
    assert answer.proved
    assert answer.value == math.inf
    assert answer.check()
    data = json.loads(json.dumps(answer.certificate.to_json()))
    assert Certificate.from_json(data).verify(fun, answer.certificate.subject.at)


@pytest.mark.parametrize("name", IMPROPER)
def test_it_is_improper(name):
    answer = found(*IMPROPER[name], logarithm=True)
    assert answer.proved
    assert answer.value == math.inf
    assert answer.check()


@pytest.mark.parametrize("name", FINITE)
def test_nothing_is_proved_of_what_is_finite(name):
    assert found(*FINITE[name]) == ""


def test_both_signs_beside_a_diagonal_leave_it_undefined():
    answer = found(lambda v: 1 / (v[0] - v[1]), SQUARE)
    assert answer.proved
    assert math.isnan(answer.value)
    assert answer.check()


def test_a_part_of_the_other_sign_that_may_be_infinite_is_no_answer():
    assert "positive part" in found(lambda v: 1 / jnp.abs(v[0] - v[1]) - (v[0] + v[1]) ** -1.5, SQUARE)


LENGTH = (("", (), 0.0, 1.0), ("", (), 0.0, 1.0))
BOX = ((0.484375, 0.515625), (0.499755859375, 0.500244140625))
CORNER = (0, False, 1, 1024.0, (0.0, 0.0), (1.0, 0.0), ((0.0, 0.0), (0.5, 0.5625)))


def made(fun, **content):
    given = {"factors": LENGTH, "sections": (), "logarithm": False, "value": np.inf} | content
    return Sections.made(Subject(fun, jnp.asarray([0.5, 0.25])), **given)


def difference(fun):
    """The place of a subtraction in a program."""
    names = [one.primitive for one in Subject(fun, jnp.asarray([0.5, 0.25])).traced().graph.equations]
    return names.index("sub")


def pole(v):
    return 1 / jnp.abs(v[0] - v[1])


def test_the_certificate_of_a_crossing():
    crossing = (difference(pole), 0, 1, 1024.0, BOX)
    assert made(pole, crossings=(crossing,)).verify()
    for place, value in ((0, crossing[0] - 1), (0, -1), (0, 99), (1, 2), (2, 2), (3, 8.0), (3, np.inf)):
        changed = (*crossing[:place], value, *crossing[place + 1 :])
        with pytest.raises(CertificateError):
            made(pole, crossings=(changed,)).verify()
    for box in ((BOX[0], (0.25, 0.26)), ((-0.5, 0.5), BOX[1]), (BOX[0], (0.5, 0.5))):
        with pytest.raises(CertificateError):
            made(pole, crossings=((*crossing[:4], box),)).verify()


@pytest.mark.parametrize(
    "fun",
    [
        lambda v: 1 / ((v[0] - v[1]) ** 2 + 1e-12),
        lambda v: jnp.abs(v[0] - v[1]) ** -0.875,
        lambda v: jnp.where(v[0] > v[1], 1.0, 1 / jnp.abs(v[0] - v[1])),
        lambda v: (v[0] - v[1]) / jnp.abs(v[0] - v[1]) ** 2 - 1 / (v[0] - v[1]),
        lambda v: 1 / jnp.abs((v[0] - v[1]) ** 3 + (v[0] - v[1]) ** 0.5) ** 0.5,
    ],
)
def test_crossings_of_what_does_not_diverge_are_refused(fun):
    with pytest.raises(CertificateError):
        made(fun, crossings=((difference(fun), 0, 1, 1024.0, BOX),)).verify()


def test_a_value_that_turns_is_no_variable():
    def fun(v):
        return jnp.abs((v[0] - 0.5) ** 2 - 2.0**-30) ** -1.0  # both roots lie in the box

    with pytest.raises(CertificateError):
        made(fun, crossings=((difference(fun), 0, 1, 1024.0, BOX),)).verify()


def test_the_certificate_of_a_ray():
    def fun(v):
        return 1 / (v[0] ** 2 + v[1] ** 2)

    assert made(fun, rays=(CORNER,)).verify()
    for place, value in ((0, 2), (0, 1), (1, True), (2, 0), (2, 2), (3, 4.0), (4, (0.5, 0.0)), (4, (-0.5, 0.0)),
                         (5, (-1.0, 0.0)), (5, (0.0, 0.0)), (6, ((0.0, 0.0), (0.5, 0.5))),
                         (6, ((0.0, 0.0), (-0.5, 0.5)))):  # fmt: skip
        changed = (*CORNER[:place], value, *CORNER[place + 1 :])
        with pytest.raises(CertificateError):
            made(fun, rays=(changed,)).verify()
    with pytest.raises(CertificateError):
        made(lambda v: (v[0] ** 2 + v[1] ** 2) ** -0.96875, rays=(CORNER,)).verify()
    with pytest.raises(CertificateError):
        replace(made(fun, rays=(CORNER,)), value=-np.inf).sealed().verify()


def test_a_light_law_makes_a_ray_converge():
    ray = (0, True, 0, 1024.0, (0.0, 0.0), (1.0, 1.0), ((0.0, 0.0), (0.0, 0.0625)))
    line, gauss = ("", (), -np.inf, np.inf), ("Normal", (0.0, 1.0), -np.inf, np.inf)
    flat = {"logarithm": True, "rays": (ray,)}
    assert made(lambda v: -((v[0] - v[1]) ** 2), factors=(line, line), **flat).verify()
    with pytest.raises(CertificateError):
        made(lambda v: -((v[0] - v[1]) ** 2), factors=(line, gauss), **flat).verify()
    with pytest.raises(CertificateError):
        made(lambda v: -((v[0] + v[1]) ** 2), factors=(line, line), **flat).verify()
