"""The worst case of gradient descent: proved in exact arithmetic, tight, and of no function that is not convex."""

from dataclasses import replace
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.certificate import Certificate
from qed.certificates.performance import PerformanceBound
from qed.errors import CertificateError
from qed.optimization.worst_case import multipliers, worst_case

EVERYWHERE = (np.full(2, -np.inf, np.float32), np.full(2, np.inf, np.float32))


def fun(w):
    return jnp.sum(jnp.sqrt(1 + w**2))


def slow(w):
    return jnp.sum(jnp.array([1.0, 0.05]) * jnp.sqrt(1 + w**2))


def parts(of=fun, box=EVERYWHERE):
    return qed.convexity(of, box), qed.lipschitz(of, box, order=1)


SHAPE, CONSTANT = parts()


def bound(steps=4):
    return PerformanceBound.of(SHAPE.certificate, CONSTANT.certificate, steps, *multipliers(steps))


@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_it_verifies_and_a_smaller_factor_does_not(steps):
    assert bound(steps).verify() and Certificate.from_json(bound(steps).to_json()).verify(fun, jnp.zeros(2))
    found, factor = multipliers(steps)
    smaller = PerformanceBound.of(SHAPE.certificate, CONSTANT.certificate, steps, found, factor * Fraction(9999, 10000))
    with pytest.raises(CertificateError):
        smaller.verify()


@pytest.mark.parametrize(
    "fields",
    [
        {"function": "0" * 64}, {"steps": 5}, {"steps": 0}, {"steps": 10**6}, {"factor": (1, 19)}, {"factor": (1, 0)},
        {"factor": (1, -18)}, {"multipliers": ()}, {"multipliers": bound().multipliers[1:]},
        {"multipliers": (*bound().multipliers, (0, 1, 1, 10**9))}, {"multipliers": ((0, 1, -1, 2),)},
        {"multipliers": ((0, 9, 1, 2),)}, {"convexity": "{}"}, {"smoothness": bound().convexity},
        {"convexity": bound().smoothness}, {"smoothness": bound().smoothness.replace('"order": 1', '"order": 0')},
    ],
    ids=lambda fields: next(iter(fields)),
)  # fmt: skip
def test_a_false_claim_is_not_believed_with_or_without_a_fresh_seal(fields):
    changed = replace(bound(), **fields)
    for one in (changed, changed.sealed()):
        with pytest.raises(CertificateError):
            one.verify()


def test_a_smaller_constant_and_a_concave_function_are_not_believed():
    smooth = CONSTANT.certificate
    lower = replace(smooth, bound=0.9 * smooth.bound).sealed()
    with pytest.raises(CertificateError):
        PerformanceBound.of(SHAPE.certificate, lower, 4, *multipliers(4)).verify()
    shape, constant = parts(lambda w: -fun(w))
    assert worst_case(shape, constant, 4) is None
    with pytest.raises(CertificateError, match="concave"):
        PerformanceBound.of(shape.answers[0].certificate, constant.certificate, 4, *multipliers(4)).verify()


def test_within_bounds_nothing_is_said():
    inside = parts(box=(-jnp.ones(2), jnp.ones(2)))
    assert inside[0].proved and inside[1].proved
    assert worst_case(*inside, 4) is None


def test_a_certificate_of_one_function_fails_on_another():
    with pytest.raises(CertificateError):
        Certificate.from_json(bound().to_json()).verify(lambda w: 2 * fun(w), jnp.zeros(2))


def test_runs_keep_to_it_and_the_worst_function_meets_it():
    answer = qed.rate(slow, jnp.array([3.0, -1.0]), steps=10, region=EVERYWHERE)
    (worst,) = [part for part in answer.answers if isinstance(part.certificate, PerformanceBound)]
    assert worst.proved and worst.check()
    (seen,) = [reason for reason in answer.reasons if reason.rule == "a run beside its worst case"]
    assert 0 < seen.observed <= seen.predicted
    # a bowl with straight walls (Huber's), at which N steps end exactly at L R^2 / (4 N + 2)
    n, start = 5, 1.0
    knee = start / (2 * n + 1)
    x = start
    for _ in range(n):
        x -= min(max(x, -knee), knee)
    height = x * x / 2 if abs(x) <= knee else knee * abs(x) - knee**2 / 2
    assert height == pytest.approx(float(multipliers(n)[1]), rel=1e-12)
