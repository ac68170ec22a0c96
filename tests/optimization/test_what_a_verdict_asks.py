"""A verdict asks a function no more often than its proof needs: traces, passes and certificates, counted."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.critical_point import CriticalPoint
from qed.domains.ball_boxes import BallBoxes
from qed.optimization import proving

T = np.linspace(0.2, 2.0, 12)
POWERS = T[:, None] ** np.arange(6)


def fit(x):
    """A sum of squares with curvatures from 1e-6 to 1e3."""
    return jnp.sum((POWERS @ x - np.sin(T)) ** 2)


def bowl(x):
    return jnp.exp(x[0] - 0.3) - x[0] + (x[1] - 0.5 * x[0]) ** 2


def far_from_convex(x):
    """Convex around its minimum, and not some lengths away."""
    return jnp.exp(-x[0] - x[1]) * (2 * x[0] ** 2 + 3 * x[1] ** 2)


def bent(x):
    return (1 - x[0]) ** 2 + 20 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize(("fun", "kind"), [(bowl, "convex optimum"), (bent, "critical point")])
def test_the_function_is_traced_twice_to_be_read_once_for_the_proof_and_once_to_verify_it(fun, kind):
    calls = []
    answer = qed.minimize(lambda x: calls.append(1) or fun(x), jnp.array([0.4, 0.2]))
    assert answer.proved and answer.certificate.kind == kind
    assert len(calls) <= 4
    assert answer.check() and len(calls) == 5  # a check is made of what the function is then


def test_of_a_convex_function_the_global_minimum_alone_is_proved(monkeypatch):
    asked, own = [], CriticalPoint.prove
    monkeypatch.setattr(CriticalPoint, "prove", lambda *given: asked.append(1) or own(*given))
    answer = qed.minimize(bowl, jnp.array([2.0, 1.0]))
    assert answer.proved and "global" in answer.headline and not asked
    assert qed.minimize(bent, jnp.array([0.5, 0.5])).proved and asked


def test_no_cuts_are_looked_for_where_f_bends_down(monkeypatch):
    asked = []
    monkeypatch.setattr(proving, "_deeply", lambda *_: asked.append(1))
    answer = qed.minimize(far_from_convex, jnp.array([0.5, 0.5]))
    assert answer.proved and answer.certificate.kind == "critical point" and not asked


def test_slopes_in_balls_are_enough_beside_second_derivatives_in_padded_intervals(monkeypatch):
    orders, own = [], BallBoxes.arrays
    monkeypatch.setattr(BallBoxes, "arrays", lambda *asked: orders.append(asked[-1]) or own(*asked))
    answer = qed.minimize(fit, jnp.zeros(6))
    assert answer.proved and answer.certificate.kind == "convex optimum"
    assert 2 not in orders


def test_a_bend_by_rounding_alone_is_none(monkeypatch):
    """Of log(exp(x)) the computed second derivative is noise; along chords f does not bend down."""
    case = []
    own = proving.convex
    monkeypatch.setattr(proving, "convex", lambda one: case.append(one) or own(one))
    qed.minimize(lambda x: jnp.log(jnp.exp(x[0])) + jnp.exp(-x[0]) + x[1] ** 2, jnp.array([0.5, 0.5]))
    assert case and not proving._chord(case[0], np.array([3.0, 0.2]), np.array([1.0, 0.0]))
    qed.minimize(far_from_convex, jnp.array([0.5, 0.5]))
    assert proving._chord(case[-1], np.array([1.0, 0.0]), np.array([1.0, 0.0]))
