"""Bounds of integrals in many dimensions hold the number that is meant, where a constant such as 0.1 is rounded."""

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.integration.many.constants import room
from qed.integration.many.subject import Question
from qed.integration.measures import Lebesgue, Normal, Uniform, power

UNIT = Uniform([0.0, 0.0], [1.0, 1.0])
LINE = [-np.inf, -np.inf], [np.inf, np.inf]
MEANT = {
    "separable": (lambda x: 0.7 * x[0] ** 2 - 0.2 * x[1] ** 2, power(Normal(), 2), 0.5),
    "terms that cancel": (lambda x: 0.7 * x[0] ** 2 - 0.6 * x[1] ** 2 - 0.1 * x[0] ** 2, power(Normal(), 2), 0.0),
    "a sum of normals": (lambda x: jnp.cos(0.3 * x[0] + 0.4 * x[1]), power(Normal(), 2), np.exp(-0.125)),
    "a box": (lambda x: 0.3 * jnp.exp(x[0] * x[1]), UNIT, 0.3 * 1.3179021514544038),
}


QUICK = {"a box"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MEANT]
)
def test_the_number_that_is_meant_lies_within_the_bounds(name):
    fun, measure, meant = MEANT[name]
    answer = qed.expect(fun, measure)
    assert answer.lower <= meant <= answer.upper
    assert answer.proved and answer.check()


def test_logarithms_too():
    answer = qed.normalizer(lambda z: -0.3 * z[0] ** 2 - 0.3 * z[1] ** 2 + 0.2 * z[0] * z[1], Lebesgue(*LINE))
    assert answer.proved and answer.check()
    assert answer.lower <= np.log(np.pi / np.sqrt(0.08)) <= answer.upper


def test_constants_that_are_held_exactly_cost_nothing():
    asked = [(lambda x: 0.75 * x[0], None), (lambda x: 0.1 * x[0], 1e-9), (lambda x: 0.1 * x[0], None)]
    questions = [Question.asked(fun, UNIT, (), tol=tol) for fun, tol in asked]  # the second asks for a width
    rooms = [room(one, one.subject.traced(), 1.0) for one in questions]
    assert rooms[:2] == [0.0, 0.0] and rooms[2] > 1e-8
