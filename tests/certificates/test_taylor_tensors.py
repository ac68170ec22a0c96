"""The certificate of a Taylor model in several variables holds for the model, and for nothing that differs from it."""

import json
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.fingerprint import fingerprint
from qed.certificates.taylor_tensors import TaylorTensors, axes, orthants
from qed.errors import CertificateError
from qed.graph.trace import trace

R = 0.25


def product():
    """f = x y about (1, 2): 2 + 2 h + k, and h k is left."""
    fun = lambda x: x[0] * x[1]  # noqa: E731
    return TaylorTensors.about(
        fun, jnp.array([1.0, 2.0]), (), radius=R, polynomial=((2.0,), (2.0, 1.0)), remainder=(-R * R, R * R)
    )


def wave():
    """f = sin(x) y about (0, 1): h + h k, and -sin(s h) h^2 (1 + s k) / 2 + cos(s h) h^2 k / 2 ... is left."""
    fun = lambda p: jnp.sin(p["a"]) * p["b"]  # noqa: E731
    polynomial = ((0.0,), (1.0, 0.0), (0.0, 0.5, 0.5, 0.0))
    bound = R**3 * (1 + R)
    return TaylorTensors.about(
        fun, {"a": jnp.float32(0.0), "b": jnp.float32(1.0)}, (), radius=R, polynomial=polynomial,
        remainder=(-bound, bound),
    )  # fmt: skip


CERTIFICATES = {"product": product, "wave": wave}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_it_verifies_and_survives_json(name):
    certificate = CERTIFICATES[name]()
    assert certificate.verify()
    again = Certificate.from_json(json.dumps(certificate.to_json()))
    assert again.to_json() == certificate.to_json()
    subject = certificate.subject
    assert again.verify(subject.fun, subject.at, *subject.args)


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


@pytest.mark.parametrize("field", ["function", "seal", "point", "radius", "order", "polynomial", "lower", "upper"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_field_is_noticed(name, field):
    certificate = CERTIFICATES[name]()
    for value in altered(getattr(certificate, field)):
        with pytest.raises(CertificateError):
            replace(certificate, **{field: value}).verify()


FALSE = {
    "point": ((1.0, 2.25),),
    "radius": 0.26,
    "order": 2,
    "polynomial": ((2.0,), (2.001, 1.0)),
    "lower": -R * R * 0.99,
    "upper": R * R * 0.99,
    "function": "0" * 64,
}


@pytest.mark.parametrize("field", FALSE)
def test_a_false_claim_with_a_fresh_seal_is_not_believed(field):
    forged = replace(product(), **{field: FALSE[field]}).sealed()
    with pytest.raises(CertificateError):
        forged.verify()


def test_another_function_is_noticed():
    other = lambda x: x[0] * x[1] * 1.125  # noqa: E731
    at = jnp.array([1.0, 2.0])
    with pytest.raises(CertificateError, match="function"):
        product().verify(other, at)
    forged = replace(product(), function=fingerprint(trace(other, at).graph)).sealed()
    with pytest.raises(CertificateError):
        forged.verify(other, at)


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.abs(x[0] - 1.1) + x[1],
        lambda x: jnp.maximum(x[0], x[1] - 0.9),
        lambda x: jax.nn.relu(x[0] + x[1] - 3.3),
        lambda x: jnp.sqrt(x[0] + x[1] - 2.6),
        lambda x: jax.lax.cond(x[0] > 1.2, lambda: x[1], lambda: x[0]),
    ],
)
def test_a_kink_in_the_cube_is_noticed(fun):
    at = jnp.array([1.0, 2.0])
    value, slope = jax.value_and_grad(fun)(at)
    wide = TaylorTensors.about(fun, at, (), radius=R, polynomial=((value,), slope), remainder=(-9.0, 9.0))
    with pytest.raises(CertificateError):
        wide.verify()


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_radius_must_be_one(radius):
    with pytest.raises(CertificateError):
        replace(product(), radius=radius).sealed().verify()


def test_the_orthants_cover_the_cube():
    for size in (1, 3, 4, 5):
        pieces = list(orthants(size))
        assert sum(math.prod(high - low for low, high in piece) for piece in pieces) == 2**size
    assert len(axes(3, 3)) == 3 + 6 + 10
