"""The certificate of a constant of a sum of functions of affine functions: every alteration of it is noticed."""

import json
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qed.certificates.certificate import Certificate
from qed.certificates.fingerprint import fingerprint
from qed.certificates.ridges import Ridges
from qed.errors import CertificateError
from qed.graph.trace import trace

EVERYWHERE: Any = ([np.full(2, -np.inf)], [np.full(2, np.inf)])


def logistic(w):
    return jax.nn.softplus(w[0] - 2 * w[1]) + 3 * w[0]


def waves(w):
    return jnp.tanh(w[0] + w[1]) + w[0] * w[1]


def certificate(fun=logistic, order=1, bound=1.2501, ranges=((0.0, 0.25),), box=EVERYWHERE):
    return Ridges.about(fun, jnp.zeros(2), (), box=box, order=order, bound=bound, ranges=ranges)


HOLD = {
    "logistic": certificate(),
    "slope": certificate(order=0, bound=4.4722, ranges=((0.0, 1.0),)),
    "waves": certificate(waves, bound=2.5601, ranges=((-0.78, 0.78),)),
}


@pytest.mark.parametrize("name", HOLD)
def test_it_holds_and_survives_json(name):
    found = HOLD[name]
    assert found.verify()
    again = Certificate.from_json(json.dumps(found.to_json()))
    assert again.verify(waves if name == "waves" else logistic, jnp.zeros(2))


FALSE = {
    "bound": [1.2499, 0.0, -1.0, np.inf, np.nan],
    "order": [0, 2],
    "ranges": [((0.0, 0.249),), ((0.001, 0.25),), (), ((0.0, 0.25), (0.0, 0.25)), ((0.25, 0.0),)],
    "box_lower": [((-np.inf,),), ((np.nan, 0.0),), ((np.inf, np.inf),)],
    "function": ["0" * 64],
}


@pytest.mark.parametrize("field", FALSE)
def test_what_is_false_is_not_believed_with_a_fresh_seal(field):
    for value in FALSE[field]:
        with pytest.raises(CertificateError):
            replace(certificate(), **{field: value}).sealed().verify()


@pytest.mark.parametrize("field", ["bound", "order", "ranges", "box_upper", "function", "seal"])
def test_every_altered_field_is_noticed(field):
    values = {"bound": 1.3, "order": 0, "ranges": ((0.0, 0.3),), "box_upper": ((1.0, 1.0),)}
    with pytest.raises(CertificateError):
        replace(certificate(), **{field: values.get(field, "0")}).verify()


def test_a_derivative_beyond_its_range_is_noticed():
    for pair in ((-0.76, 0.78), (-0.78, 0.76)):
        with pytest.raises(CertificateError, match="ranges"):
            certificate(waves, bound=3.0, ranges=(pair,)).verify()


@pytest.mark.parametrize(
    ("fun", "order"),
    [
        (lambda w: jnp.abs(w[0] - w[1]), 1),
        (lambda w: jnp.where(w[0] > 0, w[0] ** 2 + w[0], 0.0), 1),
        (lambda w: jnp.where(w[0] > 0, 1.0, 0.0), 0),
        (lambda w: jnp.where(w[0] > 0, 1.0, 0.0), 1),
        (lambda w: jnp.floor(w[0]), 0),
        (lambda w: jnp.maximum(w[0], 0.0) + w[1], 1),
        (lambda w: jax.lax.stop_gradient(jnp.abs(w[0])) + w[1], 1),
    ],
)
def test_corners_and_jumps_have_no_constant(fun, order):
    for pair in ((0.0, 0.0), (-1e9, 1e9)):
        with pytest.raises(CertificateError):
            certificate(fun, order=order, bound=1e6, ranges=(pair,)).verify()


def test_another_function_is_noticed():
    other = lambda w: jax.nn.softplus(3 * w[0] - 2 * w[1])  # noqa: E731
    with pytest.raises(CertificateError, match="function"):
        certificate().verify(other, jnp.zeros(2))
    forged = replace(certificate(), function=fingerprint(trace(other, jnp.zeros(2)).graph)).sealed()
    with pytest.raises(CertificateError):
        forged.verify(other, jnp.zeros(2))
