"""The rules of differentiation come back as such: their names, their laws, their results."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.calculus.derivations import ball_slope, derived, formula, last_step, programs

TEXTBOOK = [
    (lambda x: 5.0, "constant", "0"),
    (lambda x: x**5, "power", "5 x^4"),
    (lambda x: x**-2, "power", "-2/x^3"),
    (lambda x: x**2.5, "power", "5 x^1.5/2"),
    (lambda x: 3 * x, "constant multiple", "3"),
    (lambda x: x + jnp.sin(x), "sum", "1 + cos(x)"),
    (lambda x: x - jnp.sin(x), "difference", "1 - cos(x)"),
    (lambda x: x * jnp.sin(x), "product", "sin(x) + x cos(x)"),
    (lambda x: jnp.sin(x) / x, "quotient", "(x cos(x) - sin(x))/x^2"),
    (lambda x: 1 / x, "reciprocal", "-1/x^2"),
    (jnp.reciprocal, "power", "-1/x^2"),
    (jnp.exp, "exponential", "exp(x)"),
    (jnp.log, "logarithm", "1/x"),
    (jnp.sin, "sine", "cos(x)"),
    (jnp.cos, "cosine", "-sin(x)"),
    (jnp.tanh, "hyperbolic tangent", "1 - tanh(x)^2"),
    (jnp.sqrt, "square root", "1/(2 sqrt(x))"),
    (jax.nn.sigmoid, "sigmoid", "(1 - sigmoid(x)) sigmoid(x)"),
    (lambda x: jnp.exp(-(x**2)), "exponential, chain", "-2 x exp(-x^2)"),
    (lambda x: jnp.log(1 + x**2), "logarithm, chain", "2 x/(1 + x^2)"),
    (lambda x: (2 * x + 1) ** 3, "power, chain", "6 (2 x + 1)^2"),
    (lambda x: jnp.sin(x) ** 2, "power, chain", "2 sin(x) cos(x)"),
    (lambda x: jnp.sqrt(1 + x**2), "square root, chain", "x/sqrt(1 + x^2)"),
    (lambda x: x**x, "power with a variable exponent", "(log(x) + 1) x^x"),
    (lambda x: 2.0**x, "exponential of base c", "log(2) · 2^x"),
    (lambda x: x * x, "product", "2 x"),
    (jnp.square, "power", "2 x"),
    (lambda x: jnp.log(jnp.exp(x)), "logarithm, chain", "1"),
    (lambda x: x, "identity", "1"),
    (jnp.abs, "modulus", "1"),
    (lambda x: jnp.maximum(x, 0.0), "maximum", "1"),
    (lambda x: jnp.minimum(x, 0.0), "minimum", "0"),
    (lambda x: jnp.clip(x, 0.0, 9.0), "minimum", "1"),
    (lambda x: jnp.where(x > 1, x**2, x), "piece", "2 x"),
]


@pytest.mark.parametrize(("fun", "rule", "result"), TEXTBOOK, ids=[f"{rule}: {r}" for _, rule, r in TEXTBOOK])
def test_a_rule_of_the_textbook(fun, rule, result):
    found = derived(fun, 1.75)
    assert found.steps[-1].rule.name == rule
    assert formula(fun, 1.75) == result
    assert found.value == pytest.approx(float(jax.grad(fun)(1.75)), rel=2e-6)


def test_the_general_forms():
    def general(fun):
        return last_step(fun, 1.75).general

    assert general(lambda x: jnp.sin(x) * jnp.exp(x)) == "(sin(x))' exp(x) + sin(x) (exp(x))'"
    assert general(lambda x: jnp.sin(x) / jnp.exp(x)) == "((sin(x))' exp(x) - sin(x) (exp(x))')/exp(x)^2"
    assert general(lambda x: jnp.sin(x) + jnp.exp(x)) == "(sin(x))' + (exp(x))'"
    assert general(lambda x: 3.0 + jnp.exp(x)) == "0 + (exp(x))'"
    assert general(lambda x: jnp.tanh(jnp.sin(x))) == "(1 - tanh(sin(x))^2) (sin(x))'"
    assert general(lambda x: jnp.sin(x) ** 5) == "5 sin(x)^4 (sin(x))'"


def test_the_laws_are_those_of_the_textbook():
    laws = {step.rule.name: step.rule.text for fun, _, _ in TEXTBOOK for step in derived(fun, 1.75).steps}
    assert laws["product"] == "(u v)' = u' v + u v'"
    assert laws["quotient"] == "(u/v)' = (u' v - u v')/v^2"
    assert laws["power"] == "(x^n)' = n x^(n-1)"
    assert laws["exponential"] == "(exp(x))' = exp(x)"
    assert laws["logarithm"] == "(log(x))' = 1/x"
    assert laws["logarithm, chain"] == "(log(u))' = u'/u"
    assert laws["exponential, chain"] == "(exp(u))' = exp(u) u'"


def test_names_of_the_source_are_kept():
    def loss(x):
        z = 3 * x - 1
        p = jax.nn.sigmoid(z)
        return -jnp.log(p)

    steps = derived(loss, 0.5).steps
    assert [step.left for step in steps] == ["(3 x)'", "z'", "p'", "(log(p))'", "f'"]
    assert steps[2].text == "p' = p (1 - p) z' = 3 p (1 - p) = 0.705011"
    assert steps[1].span.line == loss.__code__.co_firstlineno + 1


def test_calls_loops_branches_and_rules_are_followed():
    @jax.jit
    def inner(u):
        return jnp.sin(u) * u

    def looped(x):
        return jax.lax.scan(lambda c, _: (c * x, None), x, None, length=3)[0]

    def branch(x):
        return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)

    @jax.custom_jvp
    def cubed(u):
        return u**3

    cubed.defjvps(lambda t, ans, u: 3 * u**2 * t)
    assert formula(lambda x: inner(x) + 1, 0.5) == "x cos(x) + sin(x)"
    assert formula(looped, 2.0) == "4 x^3"
    assert formula(branch, 0.5) == "cos(x)" and formula(branch, -0.5) == "-sin(x)"
    assert derived(branch, 0.5).conditions == ("x > 0",)
    assert formula(cubed, 0.5) == "3 u^2"
    assert derived(cubed, 0.5).notes == ("cubed has a derivative rule of its own; here its body is derived",)
    assert formula(jax.checkpoint(jnp.sin), 0.5) == "cos(x)"


def test_arrays_become_numbers():
    def quadratic(x, matrix):
        return x @ matrix @ x

    matrix = jnp.array([[1.0, 2.0], [5.0, 3.0]])
    assert formula(quadratic, jnp.array([0.5, -1.0]), matrix).count("matrix[") == 3
    assert derived(quadratic, jnp.array([0.5, -1.0]), matrix).value == pytest.approx(-6.0)
    assert formula(lambda x: jnp.sum(x[::-1] ** 2 * jnp.array([1.0, 3.0])), jnp.array([0.5, 2.0])) == "6 x[0]"
    assert formula(lambda x: jnp.prod(x), jnp.array([0.5, 2.0, 3.0])) == "x[2] x[1]"
    assert formula(lambda x: jnp.max(x), jnp.array([0.5, 2.0, 3.0])) == "0"


def test_stop_gradient_is_declared_constant():
    found = derived(lambda x: jax.lax.stop_gradient(x) * x, 3.0)
    assert found.value == 3.0
    assert found.notes[0].startswith("stop_gradient")


@given(programs(), st.floats(-2, 2))
def test_random_programs_equal_jax_grad(fun, x):
    with jax.enable_x64(True):
        found = derived(fun, float(x))
        expected = float(jax.grad(fun)(float(x)))
    assert found.value == pytest.approx(expected, rel=1e-10, abs=1e-10 * found.scale)
    assert len(found.steps) == 0 or found.steps[-1].slope == found.value


@given(programs(), st.floats(-2, 2))
def test_the_formula_is_the_derivative(fun, x):
    """The simplified formula has the value of the derivation, also at other points of its piece."""
    with jax.enable_x64(True):
        found = derived(fun, float(x))
        if found.complete:
            assert found() == pytest.approx(found.value, rel=1e-9, abs=1e-9 * found.scale)
            if not found.conditions:
                other = float(jax.grad(fun)(0.625))
                assert found(x=0.625) == pytest.approx(other, rel=1e-8, abs=1e-8 * max(found.scale, 1))


@pytest.mark.slow
@given(programs(4), st.floats(-2, 2).map(lambda x: round(x, 3) + 2.0**-12))
def test_random_programs_equal_differences_in_balls(fun, x):
    with jax.enable_x64(True):
        found = derived(fun, float(x))
        slope, radius = ball_slope(fun, float(x))
    assume(slope is not None)
    assert slope is not None and radius < 1e-12 * max(abs(slope), 1)
    assert found.value == pytest.approx(slope, rel=1e-10, abs=1e-10 * found.scale)


@pytest.mark.parametrize("x", [-1.25, 0.375, 1.5])
def test_a_few_programs_equal_differences_in_balls(x):
    with jax.enable_x64(True):
        for fun in (
            lambda x: jnp.exp(jnp.sin(x)) / (1 + x**2),
            lambda x: jnp.tanh(x * jnp.log1p(x**2)),
            lambda x: (1 + x**2) ** 1.5 - jax.nn.sigmoid(3 * x),
        ):
            slope, radius = ball_slope(fun, x)
            assert radius < 1e-20
            np.testing.assert_allclose(derived(fun, x).value, slope, rtol=1e-12)
