"""The certificate of a range holds for the range, and for nothing that differs from it."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.enclosure import Enclosure, Enclosures, leaves
from qed.certificates.fingerprint import fingerprint
from qed.errors import CertificateError
from qed.graph.trace import trace


def cubic():
    """x (x - 1) on [0, 1], in four pieces."""
    tree, bounds = (0, 0, -1, -1, 0, -1, -1), (-0.375, 0.0)
    box = ([np.array(0.0)], [np.array(1.0)])
    return Enclosure.about(lambda x: x * (x - 1), jnp.float32(0), (), box=box, tree=tree, bounds=bounds)


def of_a_vector():
    fun = lambda x: jnp.sum(jnp.exp(x)) + x[0] * x[1]  # noqa: E731
    box = ([np.array([0.0, -1.0])], [np.array([1.0, 0.0])])
    high = float(np.nextafter(np.exp(1.0) + 1, 9))
    low = float(np.nextafter(1 + np.exp(-1.0) - 1, -9))
    return Enclosure.about(fun, jnp.zeros(2), (), box=box, tree=(-1,), bounds=(low, high))


def pressed():
    """x^2 + x y on [1, 2]^2: least at the lower ends, greatest at the upper ones."""
    fun = lambda x: x[0] * x[0] + x[0] * x[1]  # noqa: E731
    box = ([np.ones(2)], [2 * np.ones(2)])
    tree, above = (-2, -4, -1), (-3, -5, -1)
    return Enclosure.about(fun, jnp.zeros(2), (), box=box, tree=tree, above=above, bounds=(2.0, 8.0))


CERTIFICATES = {"cubic": cubic, "of_a_vector": of_a_vector, "pressed": pressed}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_it_verifies_and_survives_json(name):
    certificate = CERTIFICATES[name]()
    assert certificate.verify()
    again = Certificate.from_json(json.dumps(certificate.to_json()))
    subject = certificate.subject
    assert subject is not None
    assert again.verify(subject.fun, subject.at)


def altered(value):
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            for other in altered(part):
                yield (*value[:i], other, *value[i + 1 :])
        yield value[:-1]
    elif isinstance(value, str):
        yield value[1:] + value[:1]
    elif isinstance(value, int):
        yield value + 1
    else:
        yield value * 1.5 + 0.125


@pytest.mark.parametrize("field", ["function", "seal", "box_lower", "box_upper", "tree", "above", "lower", "upper"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_field_is_noticed(name, field):
    certificate = CERTIFICATES[name]()
    for value in altered(getattr(certificate, field)):
        with pytest.raises(CertificateError):
            replace(certificate, **{field: value}).verify()


FALSE = {
    "box_lower": ((-0.125,),),
    "box_upper": ((1.001,),),
    "tree": (0, -1, 0, -1),
    "lower": -0.2499,
    "upper": -1e-9,
    "function": "0" * 64,
}


@pytest.mark.parametrize("field", FALSE)
def test_a_false_claim_with_a_fresh_seal_is_not_believed(field):
    with pytest.raises(CertificateError):
        replace(cubic(), **{field: FALSE[field]}).sealed().verify()


@pytest.mark.parametrize("tree", [(), (0,), (0, -1), (-1, -1), (1, -1, -1), (-2,), (0, 0, -1, -1)])
def test_a_tree_that_does_not_cover_the_box(tree):
    with pytest.raises(CertificateError):
        replace(cubic(), tree=tree).sealed().verify()


PRESSED = {
    "tree": [(-3, -4, -1), (-2, -5, -1), (-2, -4), (-2, -6, -1), (-4, -4, -2), (-2,)],
    "above": [(-2, -5, -1), (-3, -4, -1), (-1, -1), (-3, -3, -5)],
    "lower": [2.001, 2.5],
    "upper": [7.999],
    "box_lower": [((-2.0, 1.0),), ((1.0, -4.0),), ((-np.inf, 1.0),)],
}


@pytest.mark.parametrize("field", PRESSED)
def test_a_face_that_is_not_the_least_is_not_believed(field):
    for value in PRESSED[field]:
        with pytest.raises(CertificateError):
            replace(pressed(), **{field: value}).sealed().verify()


def test_the_certificate_of_an_array_holds_for_each_component():
    fun = lambda x: jnp.stack([x * x, jnp.abs(x)])  # noqa: E731
    box = ([np.array(-1.0)], [np.array(2.0)])
    at = jnp.float32(0)
    parts = [
        Enclosure.about(lambda x, k=k: fun(x)[k], at, (), box=box, tree=(-1,), bounds=bounds)
        for k, bounds in enumerate([(0.0, 4.0), (0.0, 2.0)])
    ]
    certificate = Enclosures.of(parts, (fun, at, ()), box)
    assert certificate.verify()
    assert Certificate.from_json(json.dumps(certificate.to_json())).verify(fun, at)
    first, second = certificate.parts
    swapped = (second, first)
    for wrong in (swapped, (first,), (first, second, second), (first, (*second[:3], 1.5)), (first, second[:3]), (1, 2)):
        with pytest.raises(CertificateError):
            replace(certificate, parts=wrong).sealed().verify()


def test_another_function_is_noticed():
    other = lambda x: x * (x - 1) + 0.01  # noqa: E731
    certificate = cubic()
    with pytest.raises(CertificateError, match="function"):
        certificate.verify(other, jnp.float32(0))
    forged = replace(certificate, function=fingerprint(trace(other, jnp.float32(0)).graph)).sealed()
    with pytest.raises(CertificateError):
        forged.verify(other, jnp.float32(0))


@pytest.mark.parametrize("fun", [jnp.log, lambda x: 1 / (x - 0.5), lambda x: jnp.where(x > 0.25, x, jnp.nan)])
def test_an_undefined_function_is_noticed(fun):
    wide = Enclosure.about(
        fun, jnp.float32(0), (), box=([np.array(0.0)], [np.array(1.0)]), tree=(-1,), bounds=(-np.inf, np.inf)
    )
    with pytest.raises(CertificateError):
        wide.verify()


def test_leaves_cover_the_box():
    found = leaves((0, 1, -1, -1, 0, -1, -1), np.zeros(2), np.ones(2))
    assert sum(np.prod(b - a) for _, a, b in found) == 1.0
