"""What was rewritten, why that is the same function, the bits, and the patch."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.trace import trace
from qed.numerics.rewriting.measured import Bits
from qed.numerics.rewriting.session import rewrite

X = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)) * [1, 100, 3], jnp.float32)
Y = jnp.eye(3)[jnp.arange(6) % 3]


def loss(w):
    z = X @ w
    p = jnp.exp(z)
    q = p / p.sum(1, keepdims=True)
    return -jnp.mean(jnp.sum(Y * jnp.log(q), 1))


def two(x):
    return jnp.log(1 + jnp.exp(x * 10)) + jnp.log(1 - jnp.exp(-x))


def test_softmax_regression():
    stable = qed.stabilize(loss)
    answer = stable.rewrites(jnp.eye(3))
    (rewrite,) = answer.rewrites
    assert (rewrite.before, rewrite.after) == ("log(q)", "z - logsumexp(z, axis=1, keepdims=True)")
    assert "log(a / b) = log(a) - log(b)" in rewrite.identity
    assert rewrite.span.text.strip() == "return -jnp.mean(jnp.sum(Y * jnp.log(q), 1))"
    assert rewrite.patch.expression == "jax.nn.log_softmax(z, axis=1)"
    assert "+ return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(z, axis=1), 1))" in answer.patch
    for bits in (answer.value.value, answer.gradient):
        assert (bits.before, bits.digits) == (24.0, 24.0)
        assert bits.after <= 3
    assert answer.points == 3
    assert answer.check()
    assert "rewritten" in str(answer)
    json.dumps(answer.to_json(), allow_nan=False)


def test_two_expressions_of_one_line_are_one_patch():
    answer = qed.stabilize(two).rewrites(jnp.float32(30.0))
    assert len(answer.rewrites) == 2
    assert answer.patch.endswith("+ return jax.nn.softplus(x * 10) + qed.logspace.log1mexp(-x)")


def test_the_patched_line_gives_the_rewritten_value():
    x = jnp.float32(30.0)
    (line,) = [line for line in qed.stabilize(two).rewrites(x).patch.splitlines() if "+ return" in line]
    code = line.split("+ return", 1)[1]
    assert eval(code, {"jax": jax, "jnp": jnp, "qed": qed, "x": x}) == qed.stabilize(two)(x)


def test_what_stays():
    answer = qed.stabilize(lambda x: jnp.sum(x * x)).rewrites(jnp.ones(3))
    assert answer.rewrites == () and answer.patch == ""
    assert answer.value.value == Bits(0.0, 0.0, 24.0)
    assert answer.check()


def test_too_large_for_balls():
    x = jnp.ones((300, 300))
    answer = qed.stabilize(lambda x: jnp.log(jnp.sum(jnp.exp(x @ x)))).rewrites(x)
    assert answer.proved and answer.check() and answer.points == 0
    answer = qed.stabilize(lambda x: jnp.log(jnp.sum(jnp.exp(x @ x))) + jnp.sqrt(jnp.sum(x * x))).rewrites(x)
    assert answer.unknown
    assert answer.value.value.before is None and "balls" in answer.value.value.missing


@pytest.mark.parametrize("x", [jnp.arange(3), 3, jnp.ones(3) * 1j, "text", {}])
def test_no_floats(x):
    with pytest.raises(qed.QedError) as caught:
        qed.stabilize(lambda x: x).rewrites(x)
    assert caught.value.code in ("QED003", "QED002")


def test_traced_arguments():
    with pytest.raises(qed.QedError, match="traced"):
        jax.jit(lambda x: qed.stabilize(two).rewrites(x).points)(1.0)


def test_the_log_of_a_mean_of_exponentials_is_proved_with_its_constant():
    def mean_exp(x):
        return jnp.log(jnp.mean(jnp.exp(x)))

    answer = qed.stabilize(mean_exp).rewrites(jnp.asarray([1000.0, 1000.1, 1000.2, 1000.3]))
    assert answer.proved and answer.check()
    assert [rewrite.after for rewrite in answer.rewrites] == ["logsumexp(x) - log(4)"]


def test_a_constant_that_has_to_be_rounded_refutes_nothing():
    answer = qed.stabilize(lambda x: jnp.sum(jnp.sqrt(2.0 * x[0] ** 2 + x[1] ** 2 - 1.9))).rewrites(
        jnp.asarray([3.0, 4.0])
    )
    assert not answer.refuted


def test_what_is_not_proved_says_how_it_was_compared():
    def divergence(s):
        return s * s / 2 - 0.5 - jnp.log(s)

    answer = qed.stabilize(divergence).rewrites(jnp.float32(1.01))
    assert str(answer.standing) == "MEASURED" and answer.check()
    assert "in balls, they differ by at most 64 roundings" in " ".join(str(answer).split())


def test_a_masked_softmax_is_still_one():
    mask = jnp.tril(jnp.ones((3, 3)))

    def attention(s):
        weight = jnp.exp(s) * mask
        return jnp.sum(weight / weight.sum(-1, keepdims=True) * jnp.arange(9.0).reshape(3, 3))

    scores = jnp.array([[300.0, 5.0, 1.0], [-400.0, 200.0, 7.0], [1.0, 2.0, 500.0]])
    value, gradient = jax.jit(jax.value_and_grad(qed.stabilize(attention)))(scores)
    assert value == 0 + 4 + 8 and bool(jnp.isfinite(gradient).all())


CODE = {
    "jnp.log1p(": (lambda x: jnp.log(x + 1e-4) - jnp.log(x), 3.0),
    "2 * jnp.cos(": (lambda x: jnp.sin(x + 1e-4) - jnp.sin(x), 3.0),
    "-2 * jnp.sin(": (lambda x: jnp.cos(x + 1e-4) - jnp.cos(x), 1.0),
    "jnp.cbrt(": (lambda x: jnp.cbrt(x + 1e-4) - jnp.cbrt(x), 3.0),
    "** 2 +": (lambda x: (x + 1e-4) ** 3 - x**3, 3.0),
    "jnp.arctan(": (lambda x: jnp.arctan(x + 1e-4) - jnp.arctan(x), 3.0),
    "2 * jnp.cosh(": (lambda x: jnp.sinh(x + 1e-4) - jnp.sinh(x), 3.0),
    "jnp.cosh(": (lambda x: jnp.tanh(x + 1e-4) - jnp.tanh(x), 0.7),
    "jnp.expm1(": (lambda x: (1 + x) ** 0.3 - 1, 1e-5),
}


@pytest.mark.parametrize("text", CODE)
def test_kernels_are_code_to_paste(text):
    fun, x = CODE[text]
    found = [r.patch.expression for r in qed.stabilize(fun).rewrites(x).rewrites if r.patch is not None]
    assert any(text in each for each in found), found


CLASSICS = {
    "a b c": (lambda x: (-x[1] + jnp.sqrt(x[1] * x[1] - 4 * x[0] * x[2])) / (2 * x[0]), [(1, 1e4, 1), (1, -1e4, 1)]),
    "r n": (lambda x: x[0] / (1 - (1 + x[0]) ** (-x[1])), [(1e-5, 360), (0.5, 30)]),
    "x y": (lambda x: jnp.log(x[0]) - jnp.log(x[1]), [(2.0001, 2), (1e-20, 1e3), (1e30, 1)]),
    "y k": (lambda x: x[0] ** x[1] - 1, [(1.0001, 2), (1e-9, 0.25)]),
    "p q": (lambda x: jax.nn.sigmoid(x[0]) - jax.nn.sigmoid(x[1]), [(10, 10.5), (-80, 3), (3, 80)]),
    "e": (lambda x: (jnp.exp(x[0]) - 1) / x[0], [(1e-5,), (-30,), (3,)]),
    "h": (lambda x: (1 - jnp.cos(x[0])) / x[0] ** 2, [(1e-4,), (2,)]),
    "z": (lambda x: jnp.log(jnp.cosh(x[0])), [(1e-3,), (-200,)]),
}


@pytest.mark.parametrize("names", CLASSICS)
def test_a_patch_is_the_function_at_other_points_too(names):
    fun, points = CLASSICS[names]
    points = [tuple(map(jnp.float32, point)) for point in points]
    stable = qed.stabilize(fun)
    patches = [r.patch.expression for r in stable.rewrites(points[0]).rewrites if r.patch and r.where == "value"]
    for x in points:
        assert float(eval(patches[-1], {"jnp": jnp, "jax": jax, "x": x})) == pytest.approx(float(stable(x)), rel=1e-6)


def test_a_value_that_is_kept_leaves_its_derivative_rewritten():
    for fun, slope in ((lambda x: jnp.sin(x) / x, -1e-3 / 3), (lambda x: jnp.log1p(x) / x, -0.5 + 2e-3 / 3)):
        stable, x = qed.stabilize(fun), jnp.float32(1e-3)
        assert float(jax.grad(stable)(x)) == pytest.approx(slope, rel=2e-6)
        answer = stable.rewrites(x)
        assert answer.value.rewrites and answer.value.gradient.after < 3 < answer.value.gradient.before


def slope_of_steps(x):
    return jax.grad(lambda x: jnp.sum(jnp.sqrt(jnp.diff(x) ** 2 + 0.25)) + jnp.sum(jnp.sin(x)))(x)


def test_what_a_derivative_computes_is_not_called_what_it_is_the_derivative_of():
    changes = rewrite(trace(slope_of_steps, jnp.ones(3)).graph).changes
    before = [change.before for change in changes]
    assert "sqrt(power(x[1:] - x[:2], 2) + 0.25)" in before
    assert not any("jnp." in text for change in changes for text in (change.before, change.after))


def test_random_keys_are_data_of_a_rewriting():
    def loss(x, key):
        return jnp.log(1 + jnp.exp(x + jax.random.normal(key)))

    answer = qed.stabilize(loss).rewrites(jnp.float32(50.0), jax.random.key(0))
    assert not answer.refuted and any("softplus" in change.after for change in answer.rewrites)


def test_what_a_loop_hands_over_has_no_name_in_a_formula():
    def loss(x):
        return jax.lax.scan(lambda c, t: (jnp.log(jnp.exp(c) + jnp.exp(t)), None), x, jnp.ones(2))[0]

    changes = rewrite(trace(loss, jnp.float32(3.0)).graph).changes
    assert [change.after for change in changes] == ["logaddexp(..., ...)"]
