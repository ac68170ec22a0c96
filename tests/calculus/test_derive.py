"""`qed.derive`: standing, numbers beside it, corners, and what it cannot do."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.report.text import text
from tests.calculus.derivations import derived


def test_a_derivation_is_measured_beside_jax_grad_the_limit_and_the_tangent():
    answer = qed.derive(lambda x: x**2 * jnp.exp(-x), 1.5)
    assert answer.measured and answer.check()
    assert answer.value.value == pytest.approx(0.5 * 1.5 * np.exp(-1.5), rel=1e-12)
    assert str(answer.formula) == "x*(2 - x)*exp(-x)"
    limit, tangent = answer.limit, answer.tangent
    assert 1e-3 < limit.step < 3e-2 and 1e-3 <= limit.best.step <= 1e-1
    assert limit.observed < 4 * limit.predicted
    assert [round(np.log10(row.step)) for row in limit.rows] == [0, -1, -2, -3, -4, -5, -6]
    assert abs(tangent.observed - tangent.predicted) <= tangent.within
    assert tangent.text == "y = 0.502043 + 0.167348 (x - 1.5)"


def test_what_is_printed_can_be_read():
    answer = qed.derive(lambda x: x**2 * jnp.exp(-x), 1.5)
    shown = text(answer, width=80)
    assert max(map(len, shown.splitlines())) <= 80
    for line in (
        "power: (x^n)' = n x^(n-1)",
        "(x^2)' = 2 x = 3",
        "(exp(-x))' = exp(-x) (-x)' = -exp(-x) = -0.22313",
        "f' = (x^2)' exp(-x) + x^2 (exp(-x))'",
        "f'(x) = x (2 - x) exp(-x) = 0.167348",
    ):
        assert line in shown
    assert answer.text.splitlines()[0] == "the prime ' is the derivative in x"
    assert r"\left(e^{-x}\right)' &= e^{-x} \left(-x\right)' && \text{exponential, chain} \\" in answer.tex
    assert answer.tex.startswith("\\begin{align*}") and answer.tex.endswith("\\end{align*}")
    assert json.loads(json.dumps(answer.to_json()))["standing"] == "MEASURED"


def test_each_leaf_has_its_own_derivation():
    def loss(w, x, y):
        return (w["slope"] * x + w["offset"] - y) ** 2

    answer = qed.derive(loss, {"slope": 0.5, "offset": 2.0}, jnp.float32(3.0), jnp.float32(1.0))
    assert answer.measured
    assert sorted(answer.formula) == ["offset", "slope"]
    assert answer.value.value == {"offset": pytest.approx(5.0), "slope": pytest.approx(15.0)}
    assert "offset and the data are held constant" in answer.text
    assert answer.ascent.holds and answer.ascent.norm == pytest.approx(np.sqrt(250))


def test_slopes_in_all_directions():
    answer = qed.derive(lambda x: jnp.sum(jnp.sin(x) * x[0]), jnp.array([0.3, -1.0, 2.0]), seed=3)
    found = answer.ascent
    assert (found.seed, len(found.slopes), found.method) == (3, 100, "forward")
    np.testing.assert_allclose(found.slopes, found.norm * found.cosines, atol=1e-5)
    assert found.steepest <= found.norm and found.along == pytest.approx(found.norm, rel=1e-6)


CORNERS = [
    (lambda x: jnp.abs(x - 1.5) + x, 1.5, 2.0, 0.0),
    (lambda x: jax.nn.relu(x), 0.0, 1.0, 0.0),
    (lambda x: jnp.maximum(x, 2 * x), 0.0, 2.0, 1.0),
    (lambda x: jnp.minimum(x, 2 * x), 0.0, 1.0, 2.0),
    (lambda x: jnp.where(x > 1.0, x**2, x), 1.0, 2.0, 1.0),
    (lambda x: jnp.where(x >= 1.0, x**2, x), 1.0, 2.0, 1.0),
    (lambda x: jnp.where(x < 1.0, x, x**2), 1.0, 2.0, 1.0),
    (lambda x: jnp.clip(x, 0.0, 2.0), 2.0, 0.0, 1.0),
    (lambda x: jnp.exp(-jnp.abs(x)), 0.0, -1.0, 1.0),
    (lambda x: jnp.abs(-3 * x), 0.0, 3.0, -3.0),
    (lambda x: jnp.max(jnp.stack([x, -x, 3 * x])), 0.0, 3.0, -1.0),
]


@pytest.mark.parametrize(("fun", "x", "right", "left"), CORNERS)
def test_there_is_no_derivative_at_a_corner(fun, x, right, left):
    answer = qed.derive(fun, x)
    assert answer.refuted and answer.check()
    (sides,) = answer.sided.values()
    assert (sides.right.value, sides.left.value) == (right, left)
    assert [finding.code for finding in answer.findings] == ["QED104"]
    assert np.isnan(answer.value.value)


JOINED = [
    (lambda x: x * jnp.abs(x), 0.0, 0.0),
    (jax.nn.softplus, 0.0, 0.5),
    (lambda x: jnp.where(x > 0, x**2, -(x**2)), 0.0, 0.0),
    (lambda x: jnp.where(x > 1, x**2, 2 * x - 1), 1.0, 2.0),
    (lambda x: jnp.abs(x) ** 3, 0.0, 0.0),
    (lambda x: jnp.maximum(x, 0.0) - jnp.maximum(-x, 0.0), 0.0, 1.0),
]


@pytest.mark.parametrize(("fun", "x", "slope"), JOINED)
def test_pieces_that_join_smoothly_have_a_derivative(fun, x, slope):
    answer = qed.derive(fun, x)
    assert answer.value.value == pytest.approx(slope)
    assert answer.measured or "jax.grad" in answer.missing[0].what


def test_where_the_function_is_not_defined_there_is_no_derivative():
    for fun, x in ((jnp.log, -1.0), (lambda x: x**0.5, -2.0), (lambda x: jnp.exp(1000 * x), 1.0)):
        answer = qed.derive(fun, x)
        assert answer.unknown and "has no derivative" in answer.missing[0].what
    end = qed.derive(lambda x: x**1.5, 0.0)
    assert end.unknown and "end of its domain" in end.missing[0].what
    assert qed.derive(lambda x: jax.scipy.special.gammainc(x, 2.0), 1.0).missing[0].primitive == "igamma"


def test_odd_programs():
    def newton(x):
        return jax.lax.while_loop(lambda c: jnp.abs(c * c - x) > 1e-4, lambda c: 0.5 * (c + x / c), x)

    root = qed.derive(newton, 2.0)
    assert root.measured and root.observed_by == "jax.jacfwd"
    assert root.value.value == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert qed.derive(lambda x: x % 3.0, 4.5).value.value == 1.0
    assert qed.derive(lambda self: self**2, 0.5).value.value == 1.0
    assert qed.derive(lambda pi: jnp.sin(pi) * jnp.pi, 0.5).measured
    spelled = qed.derive(jnp.sinc, 0.0).missing[0].what  # a condition, or a polynomial, as the installed JAX has it
    assert "single point" in spelled or "polynomial" in spelled
    assert str(qed.derive(lambda x: jax.grad(lambda y: y**3)(x), 0.5).formula) == "6*x"


def test_undecided_is_unknown():
    jump = qed.derive(lambda x: jnp.where(x > 1.0, x + 1, x), 1.0)
    assert jump.unknown and "jumps from 1 to 2" in jump.missing[0].what
    assert qed.derive(jnp.cbrt, 0.0).unknown
    assert qed.derive(jnp.floor, 2.0).unknown
    assert qed.derive(jnp.sqrt, 0.0).unknown
    branch = qed.derive(lambda x: jax.lax.cond(x > 1.0, lambda: x * x, lambda: x), 1.0)
    assert branch.unknown and "branch" in branch.missing[0].what
    rounded_tie = qed.derive(lambda x: jnp.maximum(3.0 * x, 0.3), jnp.float32(0.1))
    assert not rounded_tie.refuted


def test_a_missing_rule_is_named_with_its_line():
    def outside(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((), "float32"), x)

    answer = qed.derive(outside, 0.5)
    assert answer.unknown and answer.missing[0].primitive == "pure_callback"
    assert answer.missing[0].span.line == outside.__code__.co_firstlineno + 1
    answer = qed.derive(lambda x: outside(jnp.sum(x)), jnp.ones(9))
    assert answer.unknown and answer.missing[0].primitive == "pure_callback"


def test_bad_input_has_a_code():
    def code(fun, x):
        with pytest.raises(qed.QedError) as error:
            qed.derive(fun, x)
        return error.value.code

    assert code(jnp.sin, 1) == "QED003"
    assert code(jnp.sin, 1j) == "QED003"
    assert code(jnp.sin, jnp.ones(3)) == "QED002"
    assert code(jnp.sin, float("nan")) == "QED006"
    assert code(lambda x: jnp.sum(x), jnp.ones(0)) == "QED004"
    assert code(lambda x: None, 1.0) == "QED002"


def test_a_rule_that_is_not_the_derivative_of_its_body_is_not_measured():
    @jax.custom_jvp
    def squared(u):
        return u**2

    squared.defjvps(lambda t, ans, u: 3 * u * t)
    answer = qed.derive(lambda x: squared(x) + x, 2.0)
    assert answer.unknown and "differ by 2" in answer.missing[0].what
    assert answer.value.value == 5.0 and answer.observed == 7.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_other_number_formats(dtype):
    answer = qed.derive(lambda x: x**2 * jnp.exp(-x), jnp.asarray(1.5, dtype))
    assert answer.measured and answer.arithmetic == dtype
    assert answer.value.value == pytest.approx(0.1673476)


def test_long_derivations_are_counted():
    def long(x):
        for _ in range(60):
            x = jnp.sin(x) + x / 2
        return x

    answer = qed.derive(long, 0.5)
    assert answer.measured and len(answer.steps) > 150
    assert "more steps" in text(answer) and len(text(answer).splitlines()) < 400
    assert not derived(long, 0.5).complete


def nearly(error):
    @jax.custom_jvp
    def cube(x):
        return x**3

    cube.defjvp(lambda p, t: (cube(p[0]), (1 + error) * 3 * p[0] ** 2 * t[0]))
    return cube


@pytest.mark.parametrize("x", [2.0, jnp.array([1.0, 2.0, 4.0])], ids=["number", "array"])
def test_the_words_for_how_near_jax_comes_are_those_of_what_was_measured(x):
    answer = qed.derive(lambda x: jnp.sum(nearly(4e-4)(x)), x)
    assert "differ by 0.04 %" in answer.headline or "differs by 0.04 %" in answer.headline
    assert "same" not in answer.headline
    assert "gives the same" in qed.derive(lambda x: jnp.sum(nearly(0.0)(x)), x).headline
