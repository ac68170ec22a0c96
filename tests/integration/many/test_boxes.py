"""Integrals over boxes: bounds that are proved hold, and a certificate of another claim does not verify."""

import math
from dataclasses import fields, replace

import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import logsumexp
from scipy import special

import qed
from qed import measures
from qed.certificates.box_integral import BoxIntegral, leaves
from qed.certificates.certificate import Certificate, Subject
from qed.errors import CertificateError

SQUARE = measures.Uniform([0.0, 0.0], [1.0, 1.0])
ERF = math.sqrt(math.pi / 25) * special.erf(2.5)
DILOG = special.spence(2.0) - special.spence(1 + math.e)
"""The integral of log(1 + e^y) over [0, 1]: -Li(-e) + Li(-1), and spence(z) = Li(1 - z)."""
SMOOTH = {
    "a product": (lambda x: x[0] * x[1] * x[2], measures.Lebesgue([0.0] * 3, [1.0, 2.0, 3.0]), 4.5, 1e-3),
    "a peak": (lambda x: jnp.exp(-25 * jnp.sum((x - 0.5) ** 2)), measures.Lebesgue([0.0] * 2, 1.0), ERF**2, 1e-4),
    "a corner": (lambda x: (1 + jnp.sum(x)) ** -4, measures.Uniform([0.0] * 3, [1.0] * 3), 1 / 24, 1e-3),
    "odd": (lambda x: jnp.sin(x[0] * x[1]), measures.Uniform([-1.0, 0.0], [1.0, 1.0]), 0.0, 1e-3),
    "a root at the corner": (lambda x: jnp.sqrt(x[0] + x[1]), SQUARE, 8 / 15 * (2**1.5 - 1), 1e-4),
    "a maximum": (lambda x: jnp.max(x), SQUARE, 2 / 3, 1e-4),
    "logsumexp": (lambda x: logsumexp(jnp.array([0.0, 1.0]) * x), measures.Uniform([0.0, 0.0], 1.0), DILOG, 1e-4),
}
EVENTS = {
    "a triangle": (lambda x: x[0] + x[1] > 1.5, SQUARE, 1 / 8, 1e-2),
    "a disc": (lambda x: jnp.sum(x * x) < 1, measures.Uniform([-1.0, -1.0], 1.0), math.pi / 4, 1e-2),
    "of both": (lambda x: (x[0] < 0.25) & ~(x[1] < 0.5), SQUARE, 1 / 8, 1e-2),
    "a ball": (lambda x: jnp.sum(x * x) <= 1, measures.Uniform([-1.0] * 3, 1.0), math.pi / 6, 0.1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_integral_lies_in_the_bounds_that_are_proved(name):
    fun, measure, true, near = SMOOTH[name]
    answer = qed.expect(fun, measure, tol=near / 2, budget=300.0)
    assert answer.proved
    assert answer.lower <= true <= answer.upper
    assert answer.upper - answer.lower <= near


@pytest.mark.parametrize("name", EVENTS)
def test_the_probability_lies_in_the_bounds_that_are_proved(name):
    event, measure, true, near = EVENTS[name]
    answer = qed.probability(event, measure, tol=near / 2, budget=300.0)
    assert answer.proved
    assert answer.check()
    assert answer.lower <= true <= answer.upper
    assert answer.upper - answer.lower <= near


@pytest.mark.parametrize("level", [-5000.0, 0.0, 40000.0])
def test_a_normalising_constant_is_proved_far_beyond_the_range_of_numbers(level):
    answer = qed.normalizer(
        lambda x: level - 50 * jnp.sum((x - 0.5) ** 2), measures.Lebesgue([-1.0, -1.0], 2.0), budget=300.0
    )
    true = level + 2 * math.log(math.sqrt(math.pi / 50) * special.erf(1.5 * math.sqrt(50)))
    assert answer.proved
    assert answer.lower <= true <= answer.upper <= answer.lower + 1e-3


def test_a_tolerance_is_met_and_a_budget_ends_the_search():
    loose = qed.expect(lambda x: jnp.exp(x[0] * x[1]), SQUARE, tol=0.01, budget=300.0)
    assert loose.proved
    assert 1e-6 < loose.upper - loose.lower <= 0.02
    short = qed.expect(lambda x: jnp.exp(-1e4 * jnp.sum((x - 0.3) ** 2)), measures.Uniform([0.0] * 3, 1.0), budget=0.01)
    assert short.lower <= (math.pi / 1e4) ** 1.5 <= short.upper


@pytest.fixture(scope="module")
def made():
    subject = Subject(lambda x: jnp.exp(x[0]) * x[1], np.zeros(2, np.float32))
    box = ([np.zeros(2)], [np.ones(2)])
    rest = {"weight": "1", "logarithm": False, "shift": 0.0, "lower": 0.84, "upper": 0.88}
    return BoxIntegral.on_box(subject, box, tree=(0, 1, -1, -3, -1), **rest)


def test_a_certificate_survives_json_and_no_change_of_a_field(made):
    assert made.verify()
    again = Certificate.from_json(made.to_json())
    assert again.verify(made.subject.fun, made.subject.at)
    changes = {
        "box_lower": ((0.0, -0.5),), "box_upper": ((1.0, 1.5),), "tree": (0, -1, -1, -1), "weight": "2",
        "logarithm": True, "shift": 1.0, "lower": 0.87, "upper": 0.85, "function": "another", "x64": not made.x64,
    }  # fmt: skip
    assert set(changes) == {f.name for f in fields(made)} - {"seal", "subject"}
    for name, value in changes.items():
        with pytest.raises(CertificateError):
            replace(made, **{name: value}).verify()
        if name != "x64":
            with pytest.raises(CertificateError):
                replace(made, **{name: value}).sealed().verify()


def test_a_certificate_of_one_function_fails_on_another(made):
    with pytest.raises(CertificateError, match="function"):
        made.verify(lambda x: jnp.exp(x[0]) * x[1] * x[1], made.subject.at)


@pytest.mark.parametrize("tree", [(0, -1), (0, -1, -1, -1), (2, -1, -1), (-5,), ()])
def test_what_is_no_tree_of_the_box_is_refused(tree):
    with pytest.raises(CertificateError, match="tree"):
        leaves(tree, np.zeros(2), np.ones(2))


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: jnp.sqrt(x[0] - x[1]),
        lambda x: jnp.log(x[0] - 2),
        lambda x: jnp.where(jnp.log(x[0] - 0.5) < 0, 1.0, 0.0),
    ],
)
def test_nothing_is_proved_of_what_is_not_bounded_or_not_defined(fun):
    assert not qed.expect(fun, SQUARE, budget=2.0).proved


@pytest.mark.parametrize("keywords", [{"tol": 0.0}, {"tol": np.nan}, {"budget": -1.0}, {"budget": np.inf}])
def test_what_is_no_tolerance_or_budget_is_refused(keywords):
    with pytest.raises(qed.QedError) as caught:
        qed.expect(lambda x: x[0], SQUARE, **keywords)
    assert caught.value.code == "QED007"
