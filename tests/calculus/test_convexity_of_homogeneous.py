"""Perspectives, polynomials in two variables, sums of squares, and choices that a condition decides."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import CertificateError

PAIR = (np.array([-2.0, 0.25]), np.array([2.0, 4.0]))
PLANE = (np.full(2, -np.inf), np.full(2, np.inf))
SQUARE = (np.full(2, -2.0), np.full(2, 2.0))


def with_scale(x):
    r, s = x[0] - 1.0, x[1]
    return jnp.where(jnp.abs(r) <= 1.5 * s, r**2 / s, 3 * jnp.abs(r) - 2.25 * s)


def soft(x):
    return x[1] * jnp.log(1 + jnp.exp(x[0] / x[1]))


def quartic(x):
    return x[0] ** 4 + 6 * x[0] ** 2 * x[1] ** 2 + x[1] ** 4


CONVEX = {
    "Huber with its scale": (with_scale, PAIR),
    "softplus at a temperature": (soft, PAIR),
    "a shift beside the scale": (lambda x: x[1] * jnp.exp((x[0] + 3.0) / x[1]), PAIR),
    "a largest ratio": (lambda x: x[1] * jnp.maximum(x[0] / x[1], 0.5) ** 2, PAIR),
    "fourth powers": (quartic, PLANE),
    "singular fourth power": (lambda x: x[0] ** 4 - 4 * x[0] ** 3 * x[1] + 6 * (x[0] * x[1]) ** 2
                              - 4 * x[0] * x[1] ** 3 + x[1] ** 4, PLANE),
    "a double root of the second derivative": (
        lambda x: x[0] ** 4 - 4 * x[0] ** 3 + 6 * x[0] ** 2 + x[1] ** 4, PLANE),
    "an inflection at the end": (lambda x: x[0] ** 3 + x[0] ** 5 - x[0] ** 4 / 8 + x[1] ** 2, (np.zeros(2), None)),
    "root of a form": (lambda x: jnp.sqrt(x[0] ** 2 - x[0] * x[1] + x[1] ** 2), PLANE),
    "size under its own sign": (lambda x: jnp.sum(jnp.where(x < 0, jnp.abs(x), x)), PLANE),
    "a jump up at the end": (lambda x: jnp.where(x[0] <= 0, 5.0, x[0]) + x[1] ** 2, (np.zeros(2), np.ones(2))),
    "divergence from 0": (lambda x: jnp.sum(jax.scipy.special.kl_div(x, 0.25)), (np.zeros(2), np.ones(2))),
    "roots apart": (lambda x: (jnp.sqrt(x[0]) - jnp.sqrt(x[1])) ** 2, (np.full(2, 0.125), np.ones(2))),
    "largest of windows": (
        lambda x: jnp.sum(jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2,), (1,), "SAME")), PLANE),
}  # fmt: skip
NOT_CONVEX = {
    "scale of both signs": (lambda x: jnp.exp(x[0]) * 0 + x[0] ** 2 / x[1], (np.full(2, -2.0), np.full(2, 2.0))),
    "a wave at a scale": (lambda x: x[1] * jnp.sin(x[0] / x[1]), PAIR),
    "square of the scale": (lambda x: x[1] ** 2 * jnp.exp(x[0] / x[1]), PAIR),
    "a bend that does not scale": (
        lambda x: jnp.where(jnp.abs(x[0]) <= 1.5, x[0] ** 2 / x[1], 3 * jnp.abs(x[0]) - 2.25 * x[1]), PAIR),
    "a bend that jumps": (
        lambda x: jnp.where(jnp.abs(x[0]) <= 1.5 * x[1], x[0] ** 2 / x[1], 3 * jnp.abs(x[0]) - 2.0 * x[1]), PAIR),
    "fourth powers with a little too much": (lambda x: quartic(x) + 2.0**-6 * x[0] ** 2 * x[1] ** 2, SQUARE),
    "two near roots of the second derivative": (
        lambda x: x[0] ** 4 - 4 * x[0] ** 3 + (6 - 2.0**-8) * x[0] ** 2, SQUARE),
    "an inflection inside": (lambda x: x[0] ** 3 + x[0] ** 5, (np.full(2, -0.25), np.ones(2))),
    "a part of odd degree": (lambda x: x[0] ** 4 + x[1] ** 4 + x[0] ** 2 * x[1], SQUARE),
    "a jump down at the end": (lambda x: jnp.where(x[0] <= 0, -5.0, x[0]) + x[1] ** 2, (np.zeros(2), np.ones(2))),
    "size under the wrong sign": (lambda x: jnp.sum(jnp.where(x < 0, x, jnp.abs(x) / 2)), SQUARE),
    "a mean of magnitudes below 1": (lambda x: jnp.sqrt(jnp.abs(x[0]) + jnp.abs(x[1])), SQUARE),
    "a square of what changes sign": (lambda x: (jnp.abs(x[0]) - jnp.abs(x[1])) ** 2, SQUARE),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVEX)
def test_proved_and_verified(name):
    answer = qed.convexity(*CONVEX[name])
    assert answer.proved and answer.shape == "convex" and answer.check()


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_nothing_is_proved_of_its_neighbours(name):
    answer = qed.convexity(*NOT_CONVEX[name], budget=1.0)
    assert not answer.proved


def test_a_root_of_what_is_negative_somewhere_stays_open():
    assert qed.convexity(lambda x: jnp.sqrt(x[0] ** 2 + 2 * x[0] * x[1] + (1 - 2.0**-20) * x[1] ** 2), SQUARE).unknown


@pytest.mark.parametrize(("fun", "rule"), [(soft, "perspective"), (quartic, "binary forms")])
def test_another_row_or_number_is_noticed(fun, rule):
    certificate = qed.convexity(fun, PAIR).certificate
    (k,) = [k for k, row in enumerate(certificate.rows) if row[1] == rule]
    row = certificate.rows[k]
    numbers = [(*row[4], 0.0), row[4][:-1], tuple(n - 1 for n in row[4]), tuple(n + 1 for n in row[4])]
    for other in [(*row[:4], n) for n in numbers if n != row[4]] + [(row[0], "sum", *row[2:])]:
        rows = (*certificate.rows[:k], other, *certificate.rows[k + 1 :])
        with pytest.raises(CertificateError):
            replace(certificate, rows=rows).sealed().verify()
