"""Backpropagation on small programs: the numbers of a textbook, and equality with jax.grad."""

import json
import linecache
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.walk import TooLong
from qed.report.text import text
from tests.corpus import CORPUS, corpus


def f(x):
    y = x**2
    z = jnp.sin(y)
    return y * z


def test_a_textbook_example():
    answer = qed.backprop(f, 2.0)
    lines = {line.name: line for line in answer.lines}
    assert answer.measured
    assert list(lines) == ["y", "z", "f"]
    expected = {  # value, then adjoint: df/dz = y, df/dy = z + y cos(y)
        "y": (4.0, math.sin(4) + 4 * math.cos(4)),
        "z": (math.sin(4), 4.0),
        "f": (4 * math.sin(4), 1.0),
    }
    for name, (value, adjoint) in expected.items():
        assert lines[name].value.number == pytest.approx(value, rel=1e-6)
        assert lines[name].adjoint.number == pytest.approx(adjoint, rel=1e-6)
    assert float(answer.gradient) == pytest.approx(4 * (math.sin(4) + 4 * math.cos(4)), rel=1e-6)
    assert [line.span.line - f.__code__.co_firstlineno for line in answer.lines] == [1, 2, 3]


def test_local_derivatives_by_name_and_number():
    lines = {line.name: line for line in qed.backprop(f, 2.0).lines}
    found = {(n, use.operand): (use.formula, use.slope.number) for n, line in lines.items() for use in line.uses}
    assert {key: formula for key, (formula, _) in found.items()} == {
        ("y", "x"): "2*x",
        ("z", "y"): "cos(y)",
        ("f", "y"): "z",
        ("f", "z"): "y",
    }
    assert found["z", "y"][1] == pytest.approx(math.cos(4), rel=1e-6)


def test_an_adjoint_is_the_sum_over_its_uses():
    answer = qed.backprop(f, 2.0)
    parts = [use.part.number for line in answer.lines for use in line.uses if use.operand == "y"]
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(answer.line("y").adjoint.number, rel=1e-6)


def test_the_text_is_the_worked_example():
    shown = str(qed.backprop(f, 2.0))
    assert "d f / d x = -13.49: one walk back over 3 equations, equal to jax.grad." in shown
    assert "z = sin(y) = -0.7568   ∂z/∂y = cos(y) = -0.6536" in shown
    assert "df/dy = df/dz * ∂z/∂y + df/df * ∂f/∂y" in shown
    assert "= 4 * (-0.6536) + 1 * (-0.7568)" in shown
    assert "df/dx = df/dy * ∂y/∂x = (-3.371) * 4 = -13.49" in shown


def test_the_entries_of_a_vector_are_variables():
    def g(x):
        a = x[0] * x[1]
        b = jnp.exp(a) + x[0]
        return b / (1 + x[1])

    answer = qed.backprop(g, jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(answer.gradient, jax.grad(g)(jnp.array([1.0, 2.0])), rtol=1e-6)
    shown = str(answer)
    assert "a = x[0] * x[1] = 2" in shown
    assert "dg/dx[0] = dg/da * ∂a/∂x[0] + dg/db * ∂b/∂x[0]" in shown
    assert "dg/dx = [5.259, 1.531]" in shown


def test_the_rows_fit_a_narrow_terminal():
    for width in (78, 80):
        for why in (False, True):
            assert max(map(len, text(qed.backprop(f, 2.0), width=width, why=why).split("\n"))) <= width


def test_a_value_used_twice_by_one_equation():
    answer = qed.backprop(lambda x: x * x, 3.0)
    (line,) = answer.lines
    assert [use.part.number for use in line.uses] == [3.0, 3.0]
    assert float(answer.gradient) == 6.0


def test_what_is_stopped_or_not_used_has_a_zero_gradient():
    answer = qed.backprop(lambda x: x["a"] * jax.lax.stop_gradient(x["b"]), {"a": 2.0, "b": 3.0})
    assert (float(answer.gradient["a"]), float(answer.gradient["b"])) == (3.0, 0.0)
    assert "exactly zero in x['b']" in answer.headline


def test_the_gradient_has_the_structure_of_x():
    x = {"w": jnp.ones((2, 3)), "b": [jnp.zeros(3), 1.5]}
    gradient = qed.backprop(lambda p: jnp.sum(p["w"] * p["b"][1] + p["b"][0]), x).gradient
    assert jax.tree.structure(gradient) == jax.tree.structure(x)
    assert gradient["w"].shape == (2, 3)


def test_a_loop_has_steps_in_its_names():
    def loop(x):
        def body(h, _):
            h = jnp.sin(h) * x
            return h, None

        return jax.lax.scan(body, x, None, length=3)[0]

    answer = qed.backprop(loop, 0.5)
    assert float(answer.gradient) == pytest.approx(float(jax.grad(loop)(0.5)), rel=1e-6)
    assert sum(line.primitive == "scan[1]/sin" for line in answer.lines) == 1


def test_only_the_branch_taken_is_on_the_tape():
    def branch(x):
        return jax.lax.cond(x > 0, jnp.sin, jnp.cos, x)

    primitives = [line.primitive for line in qed.backprop(branch, 0.5).lines]
    assert any("sin" in name for name in primitives)
    assert not any("cos" in name for name in primitives)


def test_a_while_loop_is_compared_with_a_forward_product():
    def halve(x):
        return jnp.sum(jax.lax.while_loop(lambda c: jnp.sum(c * c) > 0.5, lambda c: c * 0.5, x))

    x = jnp.array([0.0, 1.0, 4.0])
    answer = qed.backprop(halve, x)
    np.testing.assert_allclose(answer.gradient, jax.jacfwd(halve)(x), rtol=1e-6)
    assert answer.measured
    assert "along a random direction" in answer.claim
    assert "no reverse rule" in answer.missing[0].what


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_formats(dtype):
    x = jnp.array([0.5, 1.5, -0.25], dtype)
    answer = qed.backprop(lambda v: jnp.sum(jnp.exp(v) * v), x)
    assert answer.measured
    assert answer.gradient.dtype == dtype


def test_float64():
    with jax.enable_x64(True):
        answer = qed.backprop(f, 2.0)
        assert answer.measured
        assert answer.arithmetic == "float64"
        assert float(answer.gradient) == pytest.approx(4 * (math.sin(4) + 4 * math.cos(4)), rel=1e-14)


def test_json_comes_back():
    answer = qed.backprop(f, 2.0)
    data = json.loads(json.dumps(answer.to_json(), allow_nan=False))
    assert data["value"]["$type"] == "Tape"
    assert data["value"]["lines"][0]["name"] == "y"
    assert "array" not in data["value"]["lines"][0]["value"]
    assert qed.Answer.from_json(data).lines[0].adjoint.norm == answer.lines[0].adjoint.norm


def test_repr_and_html():
    answer = qed.backprop(f, 2.0)
    assert repr(answer).endswith("Tape, MEASURED)")
    assert repr(answer.value) == "Tape(3 lines, 0 layers)"
    assert "df/dx" in answer._repr_html_()


def test_checking_again():
    assert qed.backprop(f, 2.0).check()


@pytest.mark.parametrize(
    ("fun", "x", "code"),
    [
        (lambda x: x, jnp.ones(3), "QED002"),
        (lambda x: 2 * x, 3, "QED003"),
        (lambda x: jnp.real(x), 1j, "QED003"),
        (lambda x: 1.0, {}, "QED004"),
        (lambda x: x, float("nan"), "QED006"),
        (lambda x: jnp.sum(x @ x), jnp.ones((2, 3)), "QED007"),
        (lambda x: x if x > 0 else -x, 1.0, "QED010"),
        ("f", 1.0, "QED007"),
    ],
)
def test_bad_input_has_a_code(fun, x, code):
    with pytest.raises(qed.QedError) as caught:
        qed.backprop(fun, x)
    assert caught.value.code == code


def test_under_a_transformation_nothing_is_claimed():
    seen = []

    def inside(x):
        seen.append(qed.backprop(f, x))
        return x

    jax.jit(inside)(1.0)
    assert seen[0].unknown


def test_a_missing_rule_is_unknown():
    def loss(x):
        mesh = jax.make_mesh((1,), ("i",))
        spec = jax.sharding.PartitionSpec()
        return jax.shard_map(lambda v: jnp.sum(v * v), mesh=mesh, in_specs=spec, out_specs=spec)(x)

    answer = qed.backprop(loss, jnp.ones(3))
    assert answer.unknown
    assert answer.missing[0].primitive == "shard_map"


def test_a_run_that_is_too_long_says_what_it_would_take(monkeypatch):
    monkeypatch.setattr("qed.calculus.backprop.LONGEST", 20)
    answer = qed.backprop(lambda x: jax.lax.fori_loop(0, 50, lambda i, c: jnp.sin(c), x), 0.5)
    assert answer.unknown
    assert answer.lines == ()
    assert "100 equations" in str(answer.missing[0].cost)
    assert float(answer.gradient) != 0


def test_a_tape_that_does_not_fit_says_its_bytes(monkeypatch):
    monkeypatch.setattr("qed.calculus.backprop.LARGEST_TAPE", 500)
    answer = qed.backprop(lambda x: jnp.sum(jnp.sin(x) ** 2), jnp.ones((10, 10)))
    assert answer.unknown
    assert "GiB with the adjoints" in str(answer.missing[0].cost)
    np.testing.assert_allclose(answer.gradient, np.full((10, 10), np.sin(2.0)), rtol=1e-5)
    assert [parameter.name for parameter in answer.parameters] == ["x"]


def test_a_loop_that_does_not_end_in_time_is_unknown(monkeypatch):
    def stop(function):
        raise TooLong("more than 2000000 equations were executed")

    monkeypatch.setattr("qed.calculus.backprop.sweep", stop)
    answer = qed.backprop(lambda x: jax.lax.while_loop(lambda c: c < 1e9, lambda c: c + 1, x), 1.0)
    assert answer.unknown
    assert "more than 2000000 equations" in str(answer)


EXCEPT = {"program.of_no_elements", "special.spence"}  # no parameter at all; a NaN in the gradient of JAX itself
QUICK = {
    f"program.{name}"
    for name in """nested_jit two_calls_of_one_cached_function vmap_of_a_dot remat softmax_regression scan scan_reverse
    scan_nested custom_jvp cond_in_scan gather_scatter sorting reductions tree_of_parameters mixed_precision
    complex_numbers output_is_an_input callback""".split()
} | {"equinox.mlp", "equinox.gru"}


LIBRARIES = [name for name in CORPUS if not name.startswith("program.")]
PART = {*QUICK, *LIBRARIES[::6], *(name for name in CORPUS if name.startswith(("program.", "flax.")))} - EXCEPT


@pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:The function .* is deprecated")
@pytest.mark.parametrize(
    "case", corpus(lambda c: c.derivative and c.name in PART - EXCEPT, lambda c: c.name not in QUICK)
)
def test_the_corpus(case):
    answer = qed.backprop(case.fun, *case.make())
    assert answer.measured, str(answer)
    assert answer.claim.startswith("the adjoints equal jax.grad")
    assert not [finding for finding in answer.findings if finding.level != "note"], str(answer)
    shown = str(answer)
    assert max(map(len, shown.split("\n"))) <= 80
    json.dumps(answer.to_json(), allow_nan=False)


def test_the_user_sees_his_own_lines():
    answer = qed.backprop(f, 2.0)
    assert linecache.getline(answer.lines[1].span.file, answer.lines[1].span.line).strip() == "z = jnp.sin(y)"


def test_the_answer_fits_the_schema():
    from tests.report.test_json import SCHEMA, problems

    for fun, x in ((f, 2.0), (lambda v: jnp.sum(jnp.sqrt(v)), jnp.array([0.0, 1.0]))):
        answer = qed.backprop(fun, x)
        data = json.loads(json.dumps(answer.to_json(), allow_nan=False))
        assert problems(data, SCHEMA) == []
        assert qed.Answer.from_json(data).to_json() == data
