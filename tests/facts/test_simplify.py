"""Simplified formulas have the same value wherever the original has one; and they are shorter."""

from __future__ import annotations

from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.facts import BALLS, NUMPY
from qed.facts.expression import Call, Constant, Symbol, choice, operation, parse
from qed.facts.plain import decimal, plain
from qed.facts.simplify import factors_of, product_of, simplify, size, sum_of, terms_of

LEAVES = st.one_of(
    st.fractions(min_value=-4, max_value=4, max_denominator=4).map(Constant),
    st.sampled_from([Symbol("x"), Symbol("y"), Symbol("z'")]),
)
FUNCTIONS = ["exp", "log", "sin", "tanh", "sqrt", "rsqrt", "square", "reciprocal", "neg", "logistic", "log1p", "expm1"]


def powers(inner):
    whole = st.integers(-3, 4).map(lambda n: (("y", Fraction(n)),))
    broken = st.sampled_from([Fraction(1, 3), Fraction(-1, 2), Fraction(5, 2), Fraction(3, 2)])
    return st.one_of(
        st.builds(lambda u, p: Call("integer_pow", (u,), p), inner, whole),
        st.builds(lambda u, c: Call("power", (u,), (("exponent", c),)), inner, broken),
        st.builds(lambda u, v: Call("pow", (u, v)), inner, inner),
    )


FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(operation, st.sampled_from("++--**//"), inner, inner),
        st.builds(lambda name, u: Call(name, (u,)), st.sampled_from(FUNCTIONS), inner),
        powers(inner),
        st.builds(choice, st.sampled_from(["<", ">="]), inner, inner, inner, inner),
    ),
    max_leaves=9,
)
POINTS = ({"x": 0.75, "y": -1.5, "z'": 2.25}, {"x": 3.0, "y": 0.625, "z'": -0.875}, {"x": 0.125, "y": 1.75, "z'": 0.5})


def in_balls(formula, point):
    with flint.ctx.workprec(300):
        balls = {name: flint.arb(value) for name, value in point.items()}
        try:
            return flint.arb(0) + formula.evaluate(arithmetic=BALLS, **balls)
        except (ZeroDivisionError, OverflowError):
            return flint.arb("nan")


@given(FORMULAS)
def test_a_simplified_formula_has_the_same_value_in_balls(formula):
    short = simplify(formula)
    for point in POINTS:
        before = in_balls(formula, point)
        if before.is_finite() and before.rad() < 1e-40 * (1 + abs(before)):
            after = in_balls(short, point)
            assert after.is_finite(), (str(formula), str(short), point)
            with flint.ctx.workprec(300):
                off = abs(before - after)
            assert off.upper() <= 1e-40 * float((1 + abs(before)).upper()), (str(formula), str(short), point)


@given(FORMULAS)
def test_simplifying_twice_changes_no_value_and_numpy_agrees(formula):
    short = simplify(formula)
    again = simplify(short)
    for point in POINTS[:1]:
        with np.errstate(all="ignore"):
            values = {name: np.float64(value) for name, value in point.items()}
            first, second = (float(f.evaluate(arithmetic=NUMPY, **values)) for f in (short, again))
        if np.isfinite(first) and abs(first) < 1e8:
            np.testing.assert_allclose(second, first, rtol=1e-6, atol=1e-6)


@given(FORMULAS)
def test_terms_and_factors_are_the_formula(formula):
    short = simplify(formula)
    for again in (sum_of(terms_of(short)), product_of(*factors_of(short))):
        for point in POINTS[:2]:
            before, after = in_balls(short, point), in_balls(again, point)
            if before.is_finite() and before.rad() < 1e-40 * (1 + abs(before)):
                with flint.ctx.workprec(300):
                    assert abs(before - after).upper() <= 1e-40 * float((1 + abs(before)).upper())


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("2*x*exp(-x) - x*x*exp(-x)", "x*(2 - x)*exp(-x)"),
        ("1 - exp(-x)/(1 + exp(-x))", "1/(1 + exp(-x))"),
        ("x*pow(x, x - 1) + log(x)*pow(x, x)", "(1 + log(x))*pow(x, x)"),
        ("(1 - tanh(x))*(1 + tanh(x))", "1 - integer_pow(tanh(x), y=2)"),
        ("1/(2*sqrt(1 + x*x))*(2*x)", "x/sqrt(1 + integer_pow(x, y=2))"),
        ("log(exp(x))", "x"),
        ("(x*x)*(1/x)", "x"),
        ("2*(x + 1) - 2", "2*x"),
        ("x/7 - y/7", "(x - y)/7"),
        ("x + x + x", "3*x"),
        ("x - x", "0"),
        ("sqrt(4)", "2"),
        ("x/0", "x/0"),
    ],
)
def test_shorter_forms(text, shorter):
    found = simplify(parse(text))
    assert str(found) == shorter
    assert size(found) <= size(parse(text))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2*x*exp(-x)", "2 x exp(-x)"),
        ("integer_pow(x + 1, y=3)/(1 + x)", "(x + 1)^3/(1 + x)"),
        ("-x/(2*y)", "-x/(2 y)"),
        ("abs(x - 3/2)", "|x - 1.5|"),
        ("x*(1/3)", "x (1/3)"),
        ("1/integer_pow(x, y=2)", "1/x^2"),
        ("pow(x, y - 1)", "x^(y - 1)"),
        ("integer_pow(-x, y=2)", "(-x)^2"),
        ("integer_pow(sin(x), y=2)", "sin(x)^2"),
        ("x - (y - 1)", "x - (y - 1)"),
        ("logistic(x)*(1 - logistic(x))", "sigmoid(x) (1 - sigmoid(x))"),
        ("rsqrt(x)*2", "(1/sqrt(x)) · 2"),
        ("1 if x > 0 else -1", "(1 if x > 0 else -1)"),
    ],
)
def test_plain_text(text, written):
    assert plain(parse(text)) == written


def test_decimals():
    assert [decimal(Fraction(n)) for n in ("1/3", "3/2", "1/7", "5/64", "-2")] == [
        "1/3",
        "1.5",
        "1/7",
        "0.078125",
        "-2",
    ]
    assert decimal(Fraction(np.float32(0.1).item()), 7) == "0.1"
