"""Formulas read once into steps give what the walk over the tree gives, in each arithmetic."""

import numpy as np
import pytest

from qed.domains.precision import precision
from qed.facts import BALLS, JAX, NUMPY
from qed.facts.expression import parse
from qed.facts.stepwise import stepwise

FORMULAS = (
    "x", "3", "pi", "-x", "1/3", "x*x - x*x", "-(x*y)", "tanh(x) - x/(1 + exp(-x))*tanh(x)", "integer_pow(x, y=3)*pi",
    "1 - y*y if x < 1/3 else log1p(x) - y", "9007199254740993*x - 1/10",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_the_steps_give_what_the_tree_gives(text):
    node = parse(text)
    for arithmetic in (NUMPY, JAX):
        made = stepwise(node, arithmetic, ("x", "y"))
        for x, y in ((0.25, -2.0), (0.75, 0.5)):
            assert float(made(x, y)) == float(node.evaluate(arithmetic=arithmetic, x=x, y=y))


@pytest.mark.parametrize("text", FORMULAS)
def test_balls_are_those_of_the_precision_in_force(text):
    node = parse(text)
    made = stepwise(node, BALLS, ("x", "y"))
    for bits in (53, 200):
        with precision(bits) as flint:
            x, y = flint.arb(2) / 7, flint.arb(-1, 0.125)
            found, truth = made(x, y), node.evaluate(arithmetic=BALLS, x=x, y=y)
            assert found.mid() == truth.mid() and found.rad() == truth.rad()


def test_equal_parts_are_computed_once():
    calls = []

    class Counting:
        def call(self, name, *operands, **parameters):
            calls.append(name)
            return np.exp(*operands)

    stepwise(parse("exp(x)*exp(x) + exp(-x)/exp(x)"), Counting(), ("x",))(1.0)
    assert calls == ["exp", "exp"]


def test_another_number_of_arguments_is_an_error():
    with pytest.raises(ValueError, match="argument"):
        stepwise(parse("x + y"), NUMPY, ("x", "y"))(1.0)
