"""Laws of integrals against measures: linear, monotone, of mass 1, the same under a change of variables, and Fubini's.

Every law is asked of answers that are proved, so that it speaks of their bounds: two enclosures of one number overlap.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qed
from qed.integration import measures as m

EXAMPLES = max(1, settings().max_examples // 25)
SMALL = st.integers(-8, 8).map(lambda k: k / 4)
SIZE = st.integers(1, 12).map(lambda k: k / 4)


@st.composite
def laws(draw):
    """A law, of atoms, on whole numbers or with a density, or a mixture of two kinds."""
    made = [
        m.Normal(draw(SMALL), draw(SIZE)),
        m.Poisson(draw(SIZE)),
        m.Geometric(draw(st.integers(1, 7)) / 8),
        m.Categorical([0.25, 0.5, 0.25]),
        m.Exponential(draw(SIZE)),
    ]
    one, two = draw(st.sampled_from(made)), draw(st.sampled_from(made))
    return draw(st.sampled_from([one, m.mixture([0.25, 0.75], [one, two])]))


FUNCTIONS = [
    lambda x, a: a * x,
    lambda x, a: jnp.exp(-((x - a) ** 2)),
    lambda x, a: jnp.tanh(x) + a,
    lambda x, a: jnp.where(x > a, 1.0, 0.25),
    lambda x, a: x * x - a,
]


def bounds(fun, law, *args):
    """The proved bounds of an expectation."""
    answer = qed.expect(fun, law, *args)
    assert answer.proved, (answer.missing, str(law))
    return answer.lower, answer.upper


def overlap(one, two):
    slack = 1e-15 * max(map(abs, (*one, *two)))
    return one[0] <= two[1] + slack and two[0] <= one[1] + slack


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(laws(), st.sampled_from(FUNCTIONS), st.sampled_from(FUNCTIONS), SMALL)
def test_an_integral_is_linear(law, f, g, a):
    a = np.float32(a)
    whole = bounds(lambda x: 2 * f(x, a) - g(x, a) + 1, law)
    (f_low, f_high), (g_low, g_high) = bounds(lambda x: f(x, a), law), bounds(lambda x: g(x, a), law)
    assert overlap(whole, (2 * f_low - g_high + 1 - 1e-12, 2 * f_high - g_low + 1 + 1e-12))


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(laws(), st.sampled_from(FUNCTIONS), SMALL)
def test_an_integral_is_monotone_and_a_law_has_mass_one(law, f, a):
    a = np.float32(a)
    less = bounds(lambda x: f(x, a), law)
    more = bounds(lambda x: f(x, a) + jnp.exp(-x * x), law)
    assert less[0] <= more[1]
    low, high = bounds(lambda x: 0 * x + 1, law)
    assert low <= 1 <= high and high - low < 1e-6


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(laws(), st.sampled_from(FUNCTIONS), SMALL)
def test_a_change_of_variables_changes_nothing(law, f, a):
    a = np.float32(a)
    moved = m.pushforward(law, lambda x: 2 * x - 1)
    assert overlap(bounds(lambda y: f(y, a), moved), bounds(lambda x: f(2 * x - 1, a), law))


@pytest.mark.slow
@settings(max_examples=EXAMPLES)
@given(laws(), SMALL)
def test_the_probabilities_of_an_event_and_its_complement_add_up(law, a):
    a = np.float32(a)
    yes, no = (qed.probability(event, law) for event in (lambda x: x > a, lambda x: x <= a))
    assert yes.proved and no.proved
    assert yes.lower + no.lower <= 1 + 1e-15 and yes.upper + no.upper >= 1 - 1e-15


@pytest.mark.slow
@settings(max_examples=max(1, EXAMPLES // 2))
@given(st.lists(SIZE, min_size=2, max_size=2), st.lists(SIZE, min_size=2, max_size=2))
def test_fubini_on_a_box(first, second):
    """An integral over a box is the product of the two over its sides."""
    (a, b), (c, d) = first, second
    box = m.product(m.Lebesgue(-a, b), m.Lebesgue(-c, d))
    answer = qed.expect(lambda x: jnp.exp(-x[0] * x[0]) * jnp.cos(x[1]), box)
    one = bounds(lambda x: jnp.exp(-x * x), m.Lebesgue(-a, b))
    two = bounds(jnp.cos, m.Lebesgue(-c, d))
    products = [x * y for x in one for y in two]
    assert answer.lower <= max(products) + 1e-14 and min(products) - 1e-14 <= answer.upper


@settings(max_examples=EXAMPLES)
@given(st.lists(st.integers(1, 16), min_size=2, max_size=5), st.lists(st.integers(1, 16), min_size=2, max_size=5))
def test_a_divergence_is_not_negative_and_zero_only_for_one_law(p, q):
    size = min(len(p), len(q))
    p, q = (np.array(one[:size]) / sum(one[:size]) for one in (p, q))
    answer = qed.kl(p, q)
    assert answer.proved and answer.lower >= 0 and (answer.value == 0) == bool(np.all(p == q))
    rates = (float(p[0]) + 1, float(q[0]) + 1)
    counts = qed.kl(m.Poisson(rates[0]), m.Poisson(rates[1]))
    truth = rates[0] * np.log(rates[0] / rates[1]) + rates[1] - rates[0]
    assert counts.proved and counts.lower >= 0 and counts.value == pytest.approx(truth, abs=1e-13)
