"""Records that hold something else than numbers, texts and tuples where these belong are refused with a code."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.separable import Separable
from qed.domains.separated import Sum
from qed.errors import CertificateError, QedError

CENTRE = jnp.asarray(np.float32([1, 2]))
BOX = (np.full(2, -1, np.float32), np.full(2, 3, np.float32))
AT = jnp.ones(2)


def squares(x):
    return jnp.sum((x - CENTRE) ** 2)


ASKED = {
    "convexity": lambda: qed.convexity(squares, BOX),
    "enclosure": lambda: qed.enclose(squares, BOX),
    "lipschitz": lambda: qed.lipschitz(squares, BOX),
    "minimum": lambda: qed.minimize_globally(squares, BOX),
    "taylor": lambda: qed.taylor(squares, AT, order=1, direction=AT, radius=0.5),
    "digits": lambda: qed.precision(squares, AT),
}
JUNK = [None, "x", -1, {"a": 1}, float("nan"), True, [None], [["a"]], [[[1]]], [[]]]


def altered(record: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for field in record:
        for junk in JUNK:
            if field not in ("certificate", "seal", "function") and junk != record[field]:
                yield field, junk, {**record, field: junk}


@pytest.mark.parametrize("name", ASKED)
def test_junk_in_a_field_is_refused_with_a_code(name):
    certificate = ASKED[name]().certificate
    subject = certificate.subject
    record = certificate.to_json()
    believed = []
    for field, junk, changed in altered(record):
        read = Certificate.from_json(changed).sealed()
        try:
            read.verify(subject.fun, subject.at)
        except QedError:
            continue
        believed.append((field, junk))
    weaker = {("lower", -1), ("x64", True)}  # true as well: a smaller lower bound; float32 whatever is enabled
    assert set(believed) <= weaker, believed


@pytest.mark.parametrize("data", ["x", "3", "[]", "{}", '{"certificate": []}', "[" * 9999])
def test_text_that_is_no_certificate_is_refused_with_a_code(data):
    with pytest.raises(QedError) as told:
        Certificate.from_json(data)
    assert told.value.code == "QED007"


def test_a_part_that_is_no_certificate_is_named():
    part = Separable(
        function="", x64=False, measures=((),), pieces=((0, "1.0", "x"),), logarithm=False, lower=0, upper=1
    )
    with pytest.raises(CertificateError, match="pieces"):
        part._held(Sum(()), False)


def test_a_function_that_cannot_be_called_at_the_point_is_refused():
    certificate = ASKED["enclosure"]().certificate
    with pytest.raises(CertificateError, match="cannot be traced"):
        certificate.verify(squares, jnp.ones(3))


@pytest.mark.parametrize("wide", [True, False])
def test_it_is_verified_with_the_types_that_were_enabled_when_it_was_made(wide):
    ends = np.float64([-1, -1]), np.float64([3, 3])
    data = np.float64([1.1, 2.3])
    fun = lambda x: jnp.sum((x - data) ** 2)  # noqa: E731
    with jax.enable_x64(wide):
        answer = qed.convexity(fun, ends)
    with jax.enable_x64(not wide):
        assert answer.check()
        assert Certificate.from_json(answer.certificate.to_json()).verify(fun, ends[0])
        with pytest.raises(CertificateError, match="another function"):
            replace(answer.certificate, x64=not wide).sealed().verify()


@pytest.mark.parametrize("name", ["convexity", "enclosure", "lipschitz", "minimum", "taylor"])
def test_data_that_changed_since_is_noticed(name):
    data = np.float32([1, 2])
    fun = lambda x: jnp.sum((x - data) ** 2)  # noqa: E731
    asked = {
        "convexity": lambda: qed.convexity(fun, BOX),
        "enclosure": lambda: qed.enclose(fun, BOX),
        "lipschitz": lambda: qed.lipschitz(fun, BOX),
        "minimum": lambda: qed.minimize_globally(fun, BOX),
        "taylor": lambda: qed.taylor(fun, AT, order=1, direction=AT, radius=0.5),
    }
    answer = asked[name]()
    assert answer.proved and answer.check()
    data[0] = -5
    with pytest.raises(CertificateError):
        answer.check()


def test_the_certificate_of_another_answer_is_refused():
    one, other = (qed.kl(jnp.array(p), jnp.array([1.0, 0.0])) for p in ([0.5, 0.5], [0.2, 0.8]))
    assert one.proved and one.check() and other.check()
    for mixed in (replace(one, certificate=other.certificate), replace(other, certificate=one.certificate)):
        with pytest.raises(CertificateError, match="seal"):
            mixed.check()
    assert replace(one, headline="told otherwise").check()
