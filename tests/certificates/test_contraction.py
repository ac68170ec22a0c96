"""The factor of a step on strongly convex functions: proved in exact arithmetic, tight, and of no other function."""

from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.contraction import Contraction, gradient_form, nesterov_form
from qed.certificates.performance import is_nonnegative
from qed.errors import CertificateError
from qed.optimization.contraction import contraction, share_of

EVERYWHERE = (np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32))


def fun(w):
    return jnp.sum(jnp.sqrt(1 + w**2)) + 0.5 * jnp.sum(w**2)


SHAPE, CONSTANT = qed.convexity(fun, EVERYWHERE), qed.lipschitz(fun, EVERYWHERE, order=1)
PROVED = {method: contraction(SHAPE, CONSTANT, method) for method in ("gradient", "nesterov")}


@pytest.mark.parametrize("method", ["gradient", "nesterov"])
def test_it_verifies_and_a_smaller_factor_does_not(method):
    made = PROVED[method].certificate
    assert PROVED[method].check() and Certificate.from_json(made.to_json()).verify(fun, jnp.zeros(2))
    share = Fraction(*made.share) * Fraction(10001, 10000)
    with pytest.raises(CertificateError):
        Contraction.of(SHAPE.certificate, CONSTANT.certificate, method, share).verify()


@pytest.mark.parametrize("m", [Fraction(1), Fraction(1, 7), Fraction(1, 10**6)])
def test_the_forms_are_nonnegative_for_every_condition_and_no_larger_share(m):
    high = Fraction(1)
    for share in (share_of("gradient", m, high), share_of("gradient", m, high) / 2):
        assert is_nonnegative(gradient_form(m, high, share))
    if m < high:
        assert not is_nonnegative(gradient_form(m, high, share_of("gradient", m, high) * Fraction(10001, 10000)))
    assert is_nonnegative(nesterov_form(high, share_of("nesterov", m, high)))


@pytest.mark.parametrize(
    "fields",
    [{"share": (1, 1)}, {"share": (0, 1)}, {"share": (-1, 3)}, {"share": (1, 0)}, {"method": "heavy ball"},
     {"convexity": "{}"}, {"smoothness": PROVED["gradient"].certificate.convexity}, {"function": "0" * 64},
     {"convexity": PROVED["gradient"].certificate.convexity.replace('"strong": 1.0', '"strong": 1.5')}],
    ids=lambda fields: next(iter(fields)),
)  # fmt: skip
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(fields):
    changed = replace(PROVED["gradient"].certificate, **fields)
    for one in (changed, changed.sealed()):
        with pytest.raises(CertificateError):
            one.verify()


def test_without_strong_convexity_and_within_bounds_nothing_is_said():
    flat = lambda w: jnp.sum(jnp.sqrt(1 + w**2))  # noqa: E731
    assert contraction(qed.convexity(flat, EVERYWHERE), qed.lipschitz(flat, EVERYWHERE, order=1), "gradient") is None
    box = (-jnp.ones(2), jnp.ones(2))
    assert contraction(qed.convexity(fun, box), qed.lipschitz(fun, box, order=1), "nesterov") is None


@pytest.mark.parametrize("method", ["gradient", "nesterov"])
def test_runs_keep_to_it_and_the_worst_function_meets_it(method):
    answer = qed.rate(fun, jnp.array([3.0, -1.0]), method=method, steps=20, region=EVERYWHERE)
    (always,) = [part for part in answer.answers if isinstance(part.certificate, Contraction)]
    assert always.proved and always.check()
    (seen,) = [reason for reason in answer.reasons if reason.rule == "a run beside the proved factor"]
    assert 0 < seen.observed <= seen.predicted
    if method == "gradient":  # f = m x^2 / 2 shrinks by just that factor
        m, high = 1.0, CONSTANT.certificate.bound
        assert always.value == pytest.approx(1 - 2 * m / (high + m), rel=1e-6)
