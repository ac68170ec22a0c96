"""The certificates of convexity hold for their function, and for nothing that differs from it."""

import contextlib
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.convexity import beside_choices
from qed.certificates.convexity_terms import terms_of
from qed.certificates.convexity_witness import ConvexityWitness
from qed.errors import CertificateError
from qed.graph.trace import trace

BOX = (np.full(2, -2.0), np.full(2, 2.0))


def soft(x):
    return jnp.log(jnp.exp(x[0]) + jnp.exp(2 * x[1])) + jnp.exp(x[0] ** 2) + jnp.abs(x[1])


def form(x):
    return x[0] ** 2 + x[0] * x[1] + x[1] ** 2


def flat(x):
    return 2 * x[0] - x[1]


PROOFS = {fun.__name__: fun for fun in (soft, form, flat)}


def proof(name):
    return qed.convexity(PROOFS[name], BOX).certificate


def witness():
    box = ([BOX[0]], [BOX[1]])
    points = ([np.array([1.0, -1.0])], [np.array([-1.0, 1.0])])
    return ConvexityWitness.about(lambda x: x[0] * x[1], jnp.zeros(2), (), box=box, points=points, gap=0.5)


CERTIFICATES = {**{name: (lambda name=name: proof(name)) for name in PROOFS}, "witness": witness}


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
        if value:
            yield value[:-1]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield value[1:] + value[:1] if value[1:] != value[:-1] else value + "x"
    elif isinstance(value, int):
        yield value + 1
    else:
        yield value - 0.75 if value > 0 else value + 0.75


def fields(certificate):
    return [name for name in vars(certificate) if name not in ("subject", "seal")]


@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_field_is_noticed_by_the_seal(name):
    certificate = CERTIFICATES[name]()
    for field in fields(certificate):
        for value in altered(getattr(certificate, field)):
            with pytest.raises(CertificateError, match="seal"):
                replace(certificate, **{field: value}).verify()


@pytest.mark.parametrize("name", PROOFS)
def test_rows_that_say_something_else_are_noticed_behind_the_seal(name):
    certificate = proof(name)
    for k, row in enumerate(certificate.rows):
        for j in range(4):
            for part in altered(row[j]):
                rows = list(certificate.rows)
                rows[k] = (*row[:j], part, *row[j + 1 :])
                with pytest.raises(CertificateError):
                    replace(certificate, rows=tuple(rows)).sealed().verify()
        for number in (np.inf, np.nan, -1e300):
            rows = list(certificate.rows)
            rows[k] = (*row[:4], (number,) * (len(row[4]) or 1))
            with contextlib.suppress(CertificateError):  # a rule that uses no numbers holds all the same
                replace(certificate, rows=tuple(rows)).sealed().verify()


@pytest.mark.parametrize("name", PROOFS)
def test_a_certificate_is_of_one_function(name):
    certificate = proof(name)
    for other, fun in PROOFS.items():
        if other != name:
            with pytest.raises(CertificateError, match="function"):
                certificate.verify(fun, certificate.subject.at)


@pytest.mark.parametrize("claim", ["concave", "affine", "round"])
def test_a_proof_of_one_shape_is_none_of_another(claim):
    certificate = proof("form")
    with pytest.raises(CertificateError):
        replace(certificate, claim=claim).sealed().verify()


def test_a_constant_that_is_too_large():
    certificate = proof("form")
    assert certificate.strong == pytest.approx(1.0)
    with pytest.raises(CertificateError):
        replace(certificate, strong=certificate.strong * 1.0001).sealed().verify()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first", ((1.0, 1.0),)),
        ("first", ((3.0, -1.0),)),
        ("second", ((-1.0, 0.1),)),
        ("gap", 1.5),
        ("gap", 0.0),
        ("concave", True),
    ],
)
def test_a_witness_that_shows_nothing(field, value):
    with pytest.raises(CertificateError):
        replace(witness(), **{field: value}).sealed().verify()


def test_second_derivatives_that_are_not_those_of_the_form_are_noticed(monkeypatch):
    def wavy(x):
        return jnp.sum(x * x) + jnp.sin(x[0] * x[1]) / 4

    certificate = qed.convexity(wavy, (-np.ones(2), np.ones(2))).certificate
    assert any(row[1] == "second derivatives" for row in certificate.rows) and certificate.verify()

    from qed.domains import curvature_jets

    right = curvature_jets.Jets.of

    def wrong(self, form):
        jet = right(self, form)
        if (0, 0) in jet.second:
            jet.second[0, 0] = self._add(jet.second[0, 0], self._number(3.0))
        return jet

    monkeypatch.setattr(curvature_jets.Jets, "of", wrong)
    with pytest.raises(CertificateError, match="second difference"):
        certificate.verify()


def _from_the_last_piece(x):
    return x - (1 - 2.0**-11)


JUMPS = {
    "exponentials": lambda d: (jnp.exp(4 * d - 0.5) + jnp.exp(2 * d - 0.5),
                               jnp.exp(3 * d + abs(d) - 1) + jnp.exp(3 * d - abs(d))),
    "squares": lambda d: ((4 * d - 0.5) ** 2 + (2 * d - 0.5) ** 2, (3 * d + abs(d) - 1) ** 2 + (3 * d - abs(d)) ** 2),
}  # fmt: skip


@pytest.mark.parametrize("name", JUMPS)
def test_two_values_in_no_order_are_one_pair_only_if_they_lie_about_one_middle(name):
    """f(w + k|d| + s) + f(w - k|d|) is no f(w + s/2 + k d) + f(w + s/2 - k d): these functions jump near 1."""

    def f(x):
        d = _from_the_last_piece(x)
        return jnp.where(x < 1 - 2.0**-10, *JUMPS[name](d))

    with jax.enable_x64(True):
        assert not qed.convexity(f, (0.0, 1.0)).proved
        assert qed.convexity(lambda x: jnp.exp(3 * x + abs(x)) + jnp.exp(3 * x - abs(x)), (-1.0, 1.0)).proved


def test_pieces_of_a_choice_are_compared_however_small():
    traced = trace(lambda x: jnp.where(x < 1 - 2.0**-10, x, 2 * x), jnp.float32(0.5))
    ends = [np.array(0.0)], [np.array(1.0)]
    algebra, _ = terms_of(traced, *ends)
    points = beside_choices(algebra, [np.array(0.25)], *ends)
    assert {bool(point[0] > 1 - 2.0**-10) for point in points} == {True, False}
