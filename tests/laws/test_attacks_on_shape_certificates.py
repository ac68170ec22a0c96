"""Attempts to have a certificate of convexity verified that proves nothing: altered, moved, forged."""

import functools
import json
from dataclasses import fields, replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.calculus.shapes.rules import Rules
from qed.certificates.certificate import Certificate
from qed.certificates.convexity import Convexity, terms_of
from qed.certificates.convexity_rules import CONVEX, LOGARITHMIC
from qed.certificates.convexity_witness import ConvexityWitness
from qed.certificates.fingerprint import fingerprint
from qed.domains.curvature_proof import digest
from qed.errors import CertificateError
from qed.graph.trace import trace
from tests.calculus.corpus_shapes import over
from tests.conftest import LAW_SCALE

PLANE = over(-2.0, 2.0, 2)


def coupled(x, c):
    return jnp.array([[x[0], c], [c, x[1]]])


POSITIVE = over(0.5, 2.0, 2)
PROVED = {
    "form": (lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2, PLANE),
    "logsumexp": (lambda x: jnp.log(jnp.sum(jnp.exp(x))), PLANE),
    "composition": (lambda x: jnp.exp(x[0] ** 2) + jnp.abs(x[1]), PLANE),
    "norm": (lambda x: jnp.sqrt(x @ x), PLANE),
    "affine": (lambda x: x[0] - 2 * x[1], PLANE),
    "barrier": (lambda x: -jnp.sum(jnp.log(x)), POSITIVE),
    "mean": (lambda x: -jnp.sqrt(x[0] * x[1]), POSITIVE),
    "quotient": (lambda x: x[0] ** 2 / x[1], POSITIVE),
    "largest": (lambda x: jnp.sum(jnp.sort(x)[-1:]), PLANE),
    "log det": (lambda x: -jnp.linalg.slogdet(coupled(x, 0.25))[1], POSITIVE),
    "inverse": (lambda x: jnp.trace(jnp.linalg.inv(coupled(x, 0.25))), POSITIVE),
    "eigenvalues": (lambda x: jnp.sum(jnp.exp(jnp.linalg.eigvalsh(coupled(x, x[0])))), PLANE),
}
REFUTED = {
    "saddle": (lambda x: x[0] * x[1], PLANE),
    "concave": (lambda x: jnp.sum(jnp.sqrt(x)), POSITIVE),
    "bell": (lambda x: jnp.exp(-x @ x), PLANE),
}


@functools.cache
def certificate(name):
    if name in PROVED:
        return qed.convexity(*PROVED[name]).certificate
    return qed.convexity(*REFUTED[name]).recheck.__self__


def altered(value):
    """Values of the same kind, each of them another one."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value + 0.5, -value if value else 1.0, float("nan")]
    if isinstance(value, str):
        return [value + "x", ""]
    if isinstance(value, tuple) and value:
        inner = [(*value[:i], other, *value[i + 1 :]) for i in range(len(value)) for other in altered(value[i])]
        return [value[:-1], (*value, value[-1]), *inner]
    return []


@pytest.mark.parametrize("name", [*PROVED, *REFUTED])
def test_it_verifies_after_a_round_trip(name):
    fun, box = (PROVED | REFUTED)[name]
    read = Certificate.from_json(json.dumps(certificate(name).to_json()))
    assert read.verify(fun, box[0])
    assert read.to_json() == certificate(name).to_json()


@pytest.mark.parametrize("name", [*PROVED, *REFUTED])
def test_every_altered_field_breaks_the_seal(name):
    made = certificate(name)
    for field in fields(made):
        if field.name in ("subject", "seal"):
            continue
        for value in altered(getattr(made, field.name))[:20]:
            with pytest.raises(CertificateError):
                replace(made, **{field.name: value}).verify()


@pytest.mark.parametrize("name", PROVED)
def test_an_altered_proof_with_a_fresh_seal_proves_nothing_false(name):
    """Rows may be replaced by rows that are right; whatever is in them, the error says which row is wrong."""
    made = certificate(name)
    rows = made.rows or made.below
    for value in altered(rows)[:: max(1, round(7 / LAW_SCALE))]:
        forged = replace(made, rows=value).sealed()
        try:
            forged.verify()
        except CertificateError:
            continue
        assert (value[-1][0], value[-1][2]) == (rows[-1][0], rows[-1][2])
    for claim in {"convex", "concave", "affine", "strictly convex", ""} - {made.claim}:
        with pytest.raises(CertificateError):
            replace(made, claim=claim).sealed().verify()


@pytest.mark.parametrize("strong", [1.0001, 2.0, -1.0, float("inf"), float("nan")])
def test_a_constant_that_is_too_large_is_noticed(strong):
    made = certificate("form")
    assert 0.99 < made.strong <= 1.0
    with pytest.raises(CertificateError):
        replace(made, strong=strong).sealed().verify()


@pytest.mark.parametrize("name", ["mean", "quotient", "log det", "inverse"])
def test_a_larger_box_is_noticed(name):
    made = certificate(name)
    wide = tuple(tuple(x - 4 for x in leaf) for leaf in made.box_lower)
    with pytest.raises(CertificateError):
        replace(made, box_lower=wide).sealed().verify()


@pytest.mark.parametrize("name", REFUTED)
def test_a_witness_is_replayed(name):
    made = certificate(name)
    for field, value in (
        ("gap", made.gap * 1.01 + 1e-9),
        ("gap", 0.0),
        ("gap", -1.0),
        ("gap", float("nan")),
        ("concave", True),
        ("second", made.first),
        ("first", tuple(tuple(x + 10 for x in leaf) for leaf in made.first)),
        ("box_upper", made.box_lower),
    ):
        with pytest.raises(CertificateError):
            replace(made, **{field: value}).sealed().verify()


OTHERS = {
    "saddle": (lambda x: x[0] * x[1], PLANE),
    "minus": (lambda x: -jnp.exp(x[0] ** 2) - jnp.abs(x[1]), PLANE),
    "less": (lambda x: x[0] ** 2 + 2.0000002 * x[0] * x[1] + x[1] ** 2, PLANE),
    "product": (lambda x: x[0] * jnp.log(x[1]), POSITIVE),
    "root": (lambda x: jnp.sqrt(x[0] * x[1]), POSITIVE),
    "quotient": (lambda x: x[0] / x[1], POSITIVE),
    "smallest": (lambda x: jnp.sort(x)[0], PLANE),
    "sine": (lambda x: jnp.sin(x[0]) + x[1] ** 2, PLANE),
    "sum": (lambda x: jnp.log(jnp.exp(x[0]) + 1) - jnp.log(jnp.exp(x[1]) + 1), PLANE),
    "minimum": (lambda x: jnp.minimum(jnp.exp(x[0]), x[1]), PLANE),
    "clipped": (lambda x: jnp.clip(x[0], -1, 1) * 1.0, PLANE),
    "sign_at_the_edge": (lambda x: jnp.sign(x[0]), over(0.0, 2.0, 2)),
    "floor_at_the_edge": (lambda x: -jnp.floor(x[0]), over(0.0, 1.0, 2)),
    "chosen": (lambda x: jnp.where(x[0] > 0, -x[0], x[0] ** 2), PLANE),
    "one_point": (lambda x: jnp.where(x[0] == 0.5, 5.0, x[0] ** 2), PLANE),
}
"""Functions that are not convex; sign_at_the_edge and floor_at_the_edge are so by a jump at an end of the box."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [key for key in OTHERS if "edge" not in key])
def test_the_proof_of_one_function_is_none_of_another(name):
    fun, box = OTHERS[name]
    for each in PROVED:
        made = certificate(each)
        with pytest.raises(CertificateError):
            made.verify(fun, box[0])
        graph = trace(fun, box[0]).graph
        with pytest.raises(CertificateError):
            replace(made, function=fingerprint(graph)).sealed().verify(fun, box[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_no_rule_alone_proves_what_is_not_convex(name):
    """One row for each rule there is, with no premises, with honest ones, with itself, with what comes later."""
    fun, box = OTHERS[name]
    traced = trace(fun, box[0])
    lower, upper = [np.float64(box[0])], [np.float64(box[1])]
    algebra, form = terms_of(traced, lower, upper)
    memo: dict[int, str] = {}
    about = digest(form, memo)
    honest = [
        ("convex", "affine", digest(arg, memo), (), ()) for atom, _ in form.terms for arg in atom.args if arg.affine
    ]
    ranges = [algebra.range(arg) for atom, _ in form.terms for arg in atom.args[:1]]
    numbers = {(), *((*each, -9.0, 9.0, -9.0, 9.0) for each in ranges), (0.0,) * len(form.terms)}
    assert Rules(algebra).convex(form) is None
    for rule in {*CONVEX, *LOGARITHMIC, "trust me"}:
        for premises in ((), (0,), (0, 1), (len(honest),)):
            for owners in numbers:
                rows = (*honest, ("convex", rule, about, premises, owners))
                made = Convexity(
                    function=fingerprint(traced.graph),
                    x64=False,
                    box_lower=tuple(map(tuple, lower)),
                    box_upper=tuple(map(tuple, upper)),
                    claim="convex",
                    strong=0.0,
                    rows=rows,
                    below=(),
                ).sealed()
                with pytest.raises(CertificateError):
                    made.verify(fun, box[0])


def test_a_witness_of_one_function_is_none_of_another():
    made = certificate("saddle")
    assert isinstance(made, ConvexityWitness)
    for fun, box in (pair for pair in PROVED.values() if pair[1] is PLANE):
        forged = replace(made, function=fingerprint(trace(fun, box[0]).graph)).sealed()
        with pytest.raises(CertificateError):
            forged.verify(fun, box[0])
