"""Formulas: parsing, evaluation in several arithmetics, printing, folding of constants."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.facts import BALLS, JAX, NUMPY, Expression
from qed.facts.expression import ONE, ZERO, Call, Constant, Symbol, choice, operation, parse

LEAVES = st.one_of(
    st.fractions(min_value=-9, max_value=9, max_denominator=9).map(Constant),
    st.sampled_from([Symbol("x"), Symbol("y")]),
)
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(operation, st.sampled_from("+-*/"), inner, inner),
        st.builds(lambda u: Call("exp", (u,)), inner),
        st.builds(lambda u: -u, inner),
        st.builds(choice, st.sampled_from(["<", "==", ">="]), inner, inner, inner, inner),
    ),
    max_leaves=8,
)


def value(formula: Expression, x: float, y: float) -> float:
    with np.errstate(all="ignore"):
        return float(formula.evaluate(x=np.float64(x), y=np.float64(y), arithmetic=NUMPY))


@given(FORMULAS)
def test_what_is_printed_is_read_back_as_the_same_function(formula):
    again = parse(str(formula))
    assert str(parse(str(again))) == str(again)
    for x, y in ((0.75, -1.5), (-2.0, 3.0)):
        np.testing.assert_allclose(value(again, x, y), value(formula, x, y), rtol=1e-9)


@given(FORMULAS)
def test_balls_contain_what_numpy_computes(formula):
    with flint.ctx.workprec(200):
        ball = flint.arb(0) + formula.evaluate(x=flint.arb(0.75), y=flint.arb(-1.5), arithmetic=BALLS)
    number = value(formula, 0.75, -1.5)
    if ball.is_finite() and np.isfinite(number):
        scale = 1 + abs(float(ball.mid()))
        assert abs(float(ball.mid()) - number) < 1e-6 * scale or "if" in str(formula) or "exp" in str(formula)


@pytest.mark.parametrize(
    "text", ["x**2", "x if y else z", "lambda x: x", "x.y", "f(x=y)", "'x'", "x +", "1 < x < 2 and y", "[x]", "True"]
)
def test_outside_the_grammar(text):
    with pytest.raises(ValueError, match="not a formula"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x + 0", "x"),
        ("0*x", "0"),
        ("1*x/1", "x"),
        ("-(-x)", "x"),
        ("x - (-y)", "x + y"),
        ("(-x)*(-y)", "x*y"),
        ("-x/y", "-x/y"),
        ("x - (y - 1)", "x - (y - 1)"),
        ("x/(y*x)", "x/(y*x)"),
        ("x + x", "2*x"),
        ("1/3 + 1/6", "1/2"),
        ("0.1", "1/10"),
        ("integer_pow(x, y=3)", "integer_pow(x, y=3)"),
        ("2/0", "2/0"),
    ],
)
def test_printing(text, printed):
    assert str(parse(text)) == printed


def test_decimals_are_exact():
    digits = "1.461632144968362341262659542325721328468"
    formula = parse(digits)
    assert isinstance(formula, Constant) and formula.value == Fraction(digits)
    assert str(formula) == digits and str(parse(f"-{digits}")) == f"-{digits}"


def test_constants_reach_an_arithmetic_as_exact_floats():
    seen = []

    class Spy:
        def constant(self, value):
            seen.append(value)
            return Fraction(value)

        def call(self, name, *operands, **parameters):
            return (name, operands, parameters)

        def select(self, comparison, left, right, then, otherwise):
            return then

    assert parse("1/3").evaluate(arithmetic=Spy()) == Fraction(1, 3)
    assert parse("100000000000000000000001").evaluate(arithmetic=Spy()) == 100000000000000000000001
    assert all(isinstance(number, float) for number in seen)
    assert parse("f(2, m=1/3)").evaluate(arithmetic=Spy()) == ("f", (2,), {"m": Fraction(1, 3)})


def test_float32_stays_float32():
    import jax.numpy as jnp

    x = jnp.linspace(0.25, 0.75, 3, dtype=jnp.float32)
    for text in ("1/3*x + pi", "2/sqrt(pi)*exp(-x*x)", "1 if x >= 1/2 else -1", "x*log(2)"):
        assert jnp.asarray(parse(text).evaluate(x=x, arithmetic=JAX)).dtype in (jnp.float32, jnp.int32)


def test_a_call_is_evaluated_once():
    calls = []

    class Counting(type(NUMPY)):
        def call(self, name, *operands, **parameters):
            calls.append(name)
            return super().call(name, *operands, **parameters)

    formula = parse("exp(x)*exp(x) + 1/exp(x)")
    assert formula.evaluate(x=0.0, arithmetic=Counting("numpy")) == 2.0
    assert calls == ["exp"]


def test_undecided_choices_are_enclosed():
    formula = parse("1 if x >= 0 else -1")
    undecided = formula.evaluate(x=flint.arb(0, 1), arithmetic=BALLS)
    assert undecided.contains(1) and undecided.contains(-1)
    assert formula.evaluate(x=flint.arb(2, 1), arithmetic=BALLS) == 1


def test_unknown_symbols_and_functions():
    with pytest.raises(KeyError, match="y"):
        parse("x + y").evaluate(x=1.0, arithmetic=NUMPY)
    with pytest.raises(KeyError, match="no_such"):
        parse("no_such(x)").evaluate(x=1.0, arithmetic=NUMPY)


def test_neutral_elements():
    assert parse("x") * 1 == parse("x") and parse("x") + 0 == parse("x") and ZERO != ONE
    assert choice("<", Symbol("x"), ZERO, ONE, ONE) == ONE
