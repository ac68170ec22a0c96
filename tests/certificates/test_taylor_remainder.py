"""The certificate of a Taylor model holds for the model, and for nothing that differs from it."""

import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.fingerprint import fingerprint
from qed.certificates.taylor_remainder import TaylorRemainder
from qed.errors import CertificateError, QedError
from qed.graph.trace import trace


def around(value):
    return (math.nextafter(value, -math.inf), math.nextafter(value, math.inf))


def model(fun, at, direction, radius, numbers, remainder):
    return TaylorRemainder.about(
        fun,
        at,
        (),
        direction=direction,
        radius=radius,
        polynomial=numbers,
        coefficients=tuple(map(around, numbers)),
        remainder=remainder,
    )


def exponential():
    return model(jnp.exp, jnp.float32(0.0), 1.0, 0.5, (1.0, 1.0, 0.5), (-1 / 48, math.exp(0.5) / 48))


def of_a_vector():
    """f = sin(x0) x1 along d = (1, 2) from (0, 1): t + 2 t^2 - t^3/6 ..."""
    fun = lambda x: jnp.sin(x[0]) * x[1]  # noqa: E731
    bound = 0.25**3 * 0.5
    return model(fun, jnp.array([0.0, 1.0]), np.array([1.0, 2.0]), 0.25, (0.0, 1.0, 2.0), (-bound, bound))


CERTIFICATES = {"exponential": exponential, "of_a_vector": of_a_vector}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_it_verifies(name):
    assert CERTIFICATES[name]().verify()


@pytest.mark.parametrize("name", CERTIFICATES)
def test_it_survives_json(name):
    certificate = CERTIFICATES[name]()
    again = Certificate.from_json(json.dumps(certificate.to_json()))
    assert again.to_json() == certificate.to_json()
    subject = certificate.subject
    assert again.verify(subject.fun, subject.at, *subject.args)
    with pytest.raises(CertificateError, match="no function"):
        again.verify()


def altered(value):
    """Values near a field's value."""
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
        yield -value if value else 1e-3


FIELDS = ("function", "seal", "point", "direction", "radius", "order", "polynomial", "coefficients", "lower", "upper")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_field_is_noticed(name, field):
    certificate = CERTIFICATES[name]()
    for value in altered(getattr(certificate, field)):
        with pytest.raises(CertificateError):
            replace(certificate, **{field: value}).verify()


FALSE = {
    "point": ((0.25,),),
    "direction": ((-2.0,),),
    "radius": 0.51,
    "order": 3,
    "polynomial": (1.0, 1.0, 0.5001),
    "coefficients": ((1.0, 1.0), (1.0, 1.0), (0.500001, 0.50001)),
    "lower": -0.8 / 48,
    "upper": math.exp(0.5) / 48 * 0.99,
    "function": "0" * 64,
}


@pytest.mark.parametrize("field", FALSE)
def test_a_false_claim_with_a_fresh_seal_is_not_believed(field):
    forged = replace(exponential(), **{field: FALSE[field]}).sealed()
    with pytest.raises(CertificateError):
        forged.verify()


@pytest.mark.parametrize(
    "other", [jnp.expm1, jnp.sin, lambda x: jnp.exp(x) + 1e-3, lambda x: jnp.exp(jnp.float32(1.0001) * x)]
)
def test_another_function_is_noticed(other):
    certificate = exponential()
    with pytest.raises(CertificateError, match="function"):
        certificate.verify(other, jnp.float32(0.0))
    forged = replace(certificate, function=fingerprint(trace(other, jnp.float32(0.0)).graph)).sealed()
    with pytest.raises(CertificateError):
        forged.verify(other, jnp.float32(0.0))


KINKED = {
    "abs": lambda x: jnp.abs(x - 0.3),
    "relu": lambda x: jax.nn.relu(x - 0.25),
    "where": lambda x: jnp.where(x > 0.25, x, 2 * x - 0.25),
    "cond": lambda x: jax.lax.cond(x > 0.25, lambda t: t, lambda t: 2 * t - 0.25, x),
    "sqrt": lambda x: jnp.sqrt(x + 0.25),
    "far_kink": lambda x: jnp.maximum(x, -0.4999),
}


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_on_the_segment_is_noticed(name):
    fun = KINKED[name]
    value, slope = (float(g) for g in jax.value_and_grad(fun)(jnp.float32(0.0)))
    wide = TaylorRemainder.about(
        fun,
        jnp.float32(0.0),
        (),
        direction=1.0,
        radius=0.5,
        polynomial=(value, slope),
        coefficients=((value - 1, value + 1), (slope - 1, slope + 1)),
        remainder=(-9.0, 9.0),
    )
    with pytest.raises(CertificateError):
        wide.verify()


def test_stop_gradient_and_custom_rules_change_no_value():
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (square(primals[0]), 0.0 * tangents[0]))
    fun = lambda x: square(x) + jax.lax.stop_gradient(x)  # noqa: E731
    assert model(fun, jnp.float32(1.0), 1.0, 1.0, (2.0, 3.0), (0.0, 1.0)).verify()
    with pytest.raises(CertificateError):
        model(fun, jnp.float32(1.0), 1.0, 1.0, (2.0, 0.0), (-9.0, 9.0)).verify()


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_radius_must_be_one(radius):
    with pytest.raises(CertificateError):
        replace(exponential(), radius=radius).sealed().verify()


def test_what_is_no_certificate():
    for data in ({}, {"certificate": "taylor remainder"}, {"certificate": "nothing"}):
        with pytest.raises(QedError) as found:
            Certificate.from_json(data)
        assert found.value.code == "QED007"


def test_points_and_functions_must_fit():
    certificate = exponential()
    with pytest.raises(CertificateError):
        certificate.verify(jnp.exp, jnp.float32(0.5))
    with pytest.raises(CertificateError):
        certificate.verify(jnp.exp, jnp.zeros(2))
