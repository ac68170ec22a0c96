"""The certificate of a number of digits holds for these numbers, and for none that differ."""

import json
from dataclasses import replace

import jax.numpy as jnp
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.digits import Digits
from qed.certificates.fingerprint import fingerprint
from qed.errors import CertificateError
from qed.graph.trace import trace


def of_a_number():
    """exp(1) to float32, right to a quarter of a bit."""
    value = [("float32", 2.7182817459106445, (0.2, 0.7))]
    return Digits.about(jnp.exp, jnp.float32(1.0), (), value=value, gradient=[])


def of_both():
    fun = lambda x: jnp.sum(x * x) / 3  # noqa: E731
    value, gradient = [("float32", 3.3333334, (0.2, 0.5))], [("float32", [0.6666667, 2.0], (0.2, 0.6))]
    return Digits.about(fun, jnp.float32([1.0, 3.0]), (), value=value, gradient=gradient)


def of_a_gradient():
    fun = lambda w: jnp.sin(w["a"]) + jnp.sum(w["b"] ** 2)  # noqa: E731
    gradient = [("float32", 0.5, (22.9, 23.1)), ("float32", [2.0, 4.5], (20.9, 21.1))]
    at = {"a": jnp.float32(0.0), "b": jnp.float32([1.0, 2.0])}
    return Digits.about(fun, at, (), value=[], gradient=gradient)


CERTIFICATES = {"of_a_number": of_a_number, "of_both": of_both, "of_a_gradient": of_a_gradient}
FIELDS = "point dtypes results lower upper gradient_dtypes gradient gradient_lower gradient_upper".split()


@pytest.mark.parametrize("name", CERTIFICATES)
def test_it_verifies_and_survives_json(name):
    certificate = CERTIFICATES[name]()
    assert certificate.verify()
    again = Certificate.from_json(json.dumps(certificate.to_json()))
    assert again.verify(certificate.subject.fun, certificate.subject.at)


def altered(value):
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            for other in altered(part):
                yield (*value[:i], other, *value[i + 1 :])
        yield value[:-1] if value else ("float32",)
    elif isinstance(value, str):
        yield {"float32": "float64"}.get(value, value[1:] + value[:1])
    else:
        yield value * 1.5 + 0.125


@pytest.mark.parametrize("field", ["function", "seal", *FIELDS])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_field_is_noticed(name, field):
    certificate = CERTIFICATES[name]()
    for value in altered(getattr(certificate, field)):
        with pytest.raises(CertificateError):
            replace(certificate, **{field: value}).verify()


@pytest.mark.parametrize("field", ["function", *FIELDS])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_false_claim_with_a_fresh_seal_is_not_believed(name, field):
    certificate = CERTIFICATES[name]()
    value = getattr(certificate, field)
    if ("lower" in field or "upper" in field) and value:  # a wider bound is true as well: the bits must leave it
        cases = [tuple(24.5 if "lower" in field else 0.1 for _ in value)]
    else:
        cases = list(altered(value))
    for case in cases:
        with pytest.raises(CertificateError):
            replace(certificate, **{field: case}).sealed().verify()


def test_nothing_is_claimed_by_an_empty_record():
    certificate = replace(of_a_number(), dtypes=(), results=(), lower=(), upper=()).sealed()
    with pytest.raises(CertificateError, match="nothing is claimed"):
        certificate.verify()


def test_another_function_is_noticed():
    other = lambda x: jnp.exp(x) * 1.0001  # noqa: E731
    certificate = of_a_number()
    with pytest.raises(CertificateError, match="function"):
        certificate.verify(other, jnp.float32(1.0))
    forged = replace(certificate, function=fingerprint(trace(other, jnp.float32(1.0)).graph)).sealed()
    with pytest.raises(CertificateError):
        forged.verify(other, jnp.float32(1.0))


def test_a_kink_has_no_digits():
    at = jnp.float32(0.0)
    certificate = Digits.about(jnp.abs, at, (), value=[], gradient=[("float32", 1.0, (0.0, 24.0))])
    with pytest.raises(CertificateError):
        certificate.verify()
