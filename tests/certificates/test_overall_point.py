"""Certificates of global minima with flat directions hold for what they say, and for nothing that differs from it."""

import json
from dataclasses import replace

import jax.numpy as jnp
import pytest

from qed.calculus.points.case import Case
from qed.calculus.points.overall import shape
from qed.certificates.certificate import Certificate
from qed.certificates.flat_direction import FlatDirection
from qed.certificates.overall_point import OverallPoint
from qed.errors import CertificateError
from qed.graph.function import read

AT = jnp.zeros(2)


def bowl(x):
    return (x[0] + x[1]) ** 2


def ridge(x):
    return -((x[0] + x[1]) ** 2)


def saddle(x):
    return (x[0] + x[1]) ** 2 - (x[0] + x[1]) ** 4


def parts(fun):
    return FlatDirection.about(fun, AT, (), direction=[1.0, -1.0]), shape(Case(fun, AT, (), read(fun, AT)))


@pytest.mark.parametrize("fun", [bowl, ridge])
def test_it_holds_and_is_read_back_from_its_text(fun):
    certificate = OverallPoint.of(*parts(fun))
    assert certificate.sign == (1 if fun is bowl else -1)
    assert certificate.verify() and Certificate.from_json(json.dumps(certificate.to_json())).verify(fun, AT)


def test_a_function_of_no_shape_has_no_proof():
    assert shape(Case(saddle, AT, (), read(saddle, AT))) is None


def forged(name):
    """A certificate of the bowl that says something else, sealed again."""
    certificate = OverallPoint.of(*parts(bowl))
    flat, convex = (json.loads(text) for text in (certificate.flat, certificate.shape))
    if name == "sign":
        return replace(certificate, sign=-1).sealed()
    if name == "point":
        return replace(certificate, point=(1.0, -1.0)).sealed()
    if name == "a box only":
        inner = Certificate.from_json(convex)
        inner = replace(inner, box_lower=((-1.0, -1.0),)).sealed()
        return replace(certificate, shape=json.dumps(inner.to_json())).sealed()
    if name == "rows of another function":
        return replace(certificate, shape=json.dumps(parts(ridge)[1].to_json())).sealed()
    if name == "concave":
        inner = replace(Certificate.from_json(convex), claim="concave").sealed()
        return replace(certificate, shape=json.dumps(inner.to_json()), sign=-1).sealed()
    if name == "no seal inside":
        return replace(certificate, flat=json.dumps({**flat, "direction": [1.0, 1.0]})).sealed()
    assert name == "no text"
    return replace(certificate, flat="{}").sealed()


@pytest.mark.parametrize(
    "name", ["sign", "point", "a box only", "rows of another function", "concave", "no seal inside", "no text"]
)
def test_what_differs_does_not_hold(name):
    with pytest.raises(CertificateError):
        forged(name).verify(bowl, AT)


def test_it_does_not_hold_for_another_function():
    with pytest.raises(CertificateError):
        OverallPoint.of(*parts(bowl)).verify(saddle, AT)
