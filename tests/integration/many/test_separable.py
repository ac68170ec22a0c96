"""Integrals that fall apart into integrals on the line: proved in any dimension, where the form is the function."""

import json
import math
from dataclasses import fields, replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed import measures as m
from qed.certificates.certificate import Certificate
from qed.certificates.separable import Separable
from qed.domains.separated import separated
from qed.errors import CertificateError
from qed.graph.trace import trace

W = jnp.array([0.25, 0.5, 0.75])
FORMS = {
    "a square of a sum": lambda x: jnp.sum(x) ** 2,
    "a gaussian": lambda x: jnp.exp(-4 * jnp.sum((x - W) ** 2)),
    "a product peak": lambda x: jnp.prod(1 / (0.25 + (x - W) ** 2)),
    "an oscillation": lambda x: jnp.cos(1.0 + x @ W),
    "a jump": lambda x: jnp.where((x[0] > 0.25) | ~(x[1] > 0.5), 0.0, jnp.exp(x @ W)),
    "a corner": lambda x: jnp.exp(-3 * jnp.sum(jnp.abs(x - W))),
    "a quotient": lambda x: x[0] ** 3 * jnp.tanh(x[1]) / (1 + x[2] ** 2),
    "a root of a product": lambda x: jnp.sqrt(x[0] * x[1] / 4),
    "a logarithm of a product": lambda x: jnp.log(x[0] * x[1] * 2) - x[2] / 3,
    "all of them": lambda x: jnp.where(jnp.all(x < W), 1.0, x[0]),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_has_the_values_of_the_function(name):
    fun = FORMS[name]
    form = separated(trace(fun, jnp.full(3, 0.4)))
    assert not isinstance(form, str)
    for x in jnp.asarray(np.random.default_rng(0).random((6, 3)), jnp.float32):
        found = sum(float(c) * math.prod(float(one(x[i])) for i, one in factors) for c, factors in form.terms)
        assert found == pytest.approx(float(fun(x)), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("fun", [lambda x: 1 / (1 + jnp.sum(x)), lambda x: jnp.max(x), lambda x: jnp.sqrt(jnp.sum(x))])
def test_what_is_no_short_sum_of_products_is_told_so(fun):
    assert isinstance(separated(trace(fun, jnp.full(3, 0.4))), str)


PROVED = {
    "ten dimensions": (FORMS["a square of a sum"], m.power(m.Normal(), 10), 10.0),
    "atoms and sums": (
        lambda x: x[0] * x[1] + x[2] ** 3,
        m.product(m.Gamma(2.0), m.Poisson(3.0), m.Bernoulli(0.25)),
        6.25,
    ),
    "masses": (lambda x: x[0] + 0 * x[1], m.Lebesgue([0.0, 0.0], [1.0, 3.0]), 1.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVED)
def test_an_integral_of_this_form_is_proved_in_any_dimension(name):
    fun, measure, true = PROVED[name]
    answer = qed.expect(fun, measure, budget=600.0)
    assert answer.proved
    assert answer.lower <= true <= answer.upper <= answer.lower + 1e-6
    assert isinstance(answer.certificate, Separable)
    assert answer.check()


def test_a_normalising_constant_of_many_coordinates_is_proved():
    answer = qed.normalizer(
        lambda x: -5000.0 - jnp.sum(x * x) / 2, m.Lebesgue([-np.inf] * 12, [np.inf] * 12), budget=600.0
    )
    assert answer.proved
    assert answer.lower <= -5000 + 6 * math.log(2 * math.pi) <= answer.upper <= answer.lower + 1e-6


SIDE = m.Uniform([-1.0, -1.0], [1.0, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "fun",
    [lambda x: jnp.sqrt(x[0] * x[1]), lambda x: jnp.log(x[0] * x[1]), lambda x: x[1] + 0 * jnp.log(x[0]),
     lambda x: jnp.log(x[0]) * x[1] - x[1] * jnp.log(x[0])],
)  # fmt: skip
def test_nothing_is_proved_where_the_function_is_undefined(fun):
    assert not qed.expect(fun, SIDE, budget=1.0).proved


@pytest.mark.parametrize(("fun", "law"), [(jnp.sum, m.power(m.Cauchy(), 2)), (lambda x: x[0] / x[1], SIDE)])
def test_no_number_is_proved_where_there_is_none(fun, law):
    answer = qed.expect(lambda x: fun(x), law, budget=1.0)
    assert not answer.proved or np.isnan(answer.value)


def test_a_certificate_survives_json_and_no_change_of_a_field():
    made = qed.expect(lambda x: x[0] * jnp.exp(x[1]), m.product(m.Uniform(), m.Normal()), budget=600.0).certificate
    assert Certificate.from_json(json.dumps(made.to_json())).verify(made.subject.fun, made.subject.at)
    other = list(made.measures)
    other[1] = other[0]
    less = dict(json.loads(made.pieces[0][2]), upper=0.1)
    changes = {
        "measures": tuple(other), "pieces": ((*made.pieces[0][:2], json.dumps(less)), *made.pieces[1:]),
        "logarithm": True, "lower": made.upper, "upper": made.lower, "function": "another", "x64": not made.x64,
    }  # fmt: skip
    assert set(changes) == {f.name for f in fields(made)} - {"seal", "subject"}
    for name, value in changes.items():
        changed = replace(made, **{name: value})
        with pytest.raises(CertificateError):
            changed.verify()
        if name != "x64":
            with pytest.raises((CertificateError, qed.QedError)):
                changed.sealed().verify()
    with pytest.raises(CertificateError):
        made.verify(lambda x: x[0] * jnp.exp(x[0]), made.subject.at)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "convolve"])
def test_an_operation_along_an_axis_is_no_form_and_no_error(name):
    fun = {"cumsum": jnp.cumsum, "cumprod": jnp.cumprod, "convolve": lambda x: jnp.convolve(x, W)}[name]
    assert isinstance(separated(trace(lambda x: fun(x)[-1] * x[0], jnp.full(3, 0.4))), str)


def test_a_density_on_a_line_and_whole_numbers_has_an_answer():
    answer = qed.normalizer(lambda x: -(x[0] ** 2) - x[1], m.product(m.Lebesgue(), m.Counting(0, 5)), budget=0.5)
    truth = math.log(math.sqrt(math.pi) * sum(math.exp(-k) for k in range(6)))
    assert answer.unknown or answer.lower <= truth <= answer.upper
