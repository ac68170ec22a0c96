"""Backpropagation that goes wrong: NaN born backward, masked or genuine, and derivative rules that are not right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

V = jnp.array([0.0, 1.0, 4.0])


def masked(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))


def genuine(x):
    return jnp.sum(jnp.sqrt(x) * 3)


def line_of(fun, offset=1):
    return fun.__code__.co_firstlineno + offset


def test_a_branch_that_where_drops():
    answer = qed.backprop(masked, V)
    (finding,) = answer.findings
    assert (finding.code, finding.span.line) == ("QED103", line_of(masked))
    assert finding.witness["masked"]
    assert finding.witness["cotangent"] == 0
    assert finding.witness["index"] == [0]
    assert "masked" in answer.headline
    assert np.isnan(answer.gradient[0])
    np.testing.assert_allclose(answer.gradient[1:], [0.5, 0.25])
    assert answer.measured, "the adjoints are those of jax.grad, NaN where that is NaN"


def test_a_derivative_that_is_infinite():
    answer = qed.backprop(genuine, V)
    (finding,) = answer.findings
    assert (finding.code, finding.span.line) == ("QED104", line_of(genuine))
    assert not finding.witness["masked"]
    assert finding.witness["cotangent"] == 3
    assert "genuine" in answer.headline


def test_a_guarded_branch_is_left_in_peace():
    def guarded(x):
        inside = jnp.where(x > 0, x, 1.0)
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(inside), 0.0))

    assert qed.backprop(guarded, V).findings == ()


def test_a_value_that_is_not_finite():
    def loss(x):
        return jnp.sum(jnp.log(x - 1))

    answer = qed.backprop(loss, V)
    (finding,) = answer.findings
    assert (finding.code, finding.span.line) == ("QED204", line_of(loss))
    assert "The value of loss is not finite" in answer.headline


def test_nan_inside_a_loop_names_the_step():
    def loss(x):
        def step(h, v):
            return h + jnp.where(v > 0, jnp.sqrt(v), 0.0), None

        return jax.lax.scan(step, 0.0, x)[0]

    finding = qed.backprop(loss, jnp.array([1.0, 4.0, 0.0])).findings[0]
    assert (finding.code, finding.witness["loop_steps"]) == ("QED103", [2])


# --- rules ----------------------------------------------------------------------------------------------------


def with_slope(slope):
    """tanh with a rule of its own, whose derivative is `slope(z)`."""

    @jax.custom_vjp
    def act(z):
        return jnp.tanh(z)

    act.defvjp(lambda z: (jnp.tanh(z), z), lambda z, g: (g * slope(z),))
    return act


def network(act):
    w = {"a": jnp.full((3, 3), 0.2), "b": jnp.full((3, 3), 0.3), "c": jnp.full(3, 0.3)}

    def loss(w):
        h = jnp.tanh(jnp.ones((4, 3)) @ w["a"])
        h = act(h @ w["b"])
        return jnp.mean((h @ w["c"]) ** 2)

    return loss, w


def test_a_rule_that_is_twice_too_large_reaches_what_is_upstream():
    answer = qed.backprop(*network(with_slope(lambda z: 2 * (1 - jnp.tanh(z) ** 2))))
    (rule,) = answer.rules
    assert rule.name == "act"
    assert rule.error == pytest.approx(1.0, rel=1e-5)
    assert rule.reached["w['a']"] == pytest.approx(1.0, rel=1e-5)
    assert rule.reached["w['b']"] == pytest.approx(1.0, rel=1e-5)
    assert rule.reached["w['c']"] == 0.0
    assert "differs from the derivative of its body by 100 %" in answer.headline
    assert "untouched" in str(answer)
    assert answer.answers[1].refuted
    assert answer.measured, "jax.grad makes the same mistake"


def test_a_rule_that_is_a_little_wrong():
    (rule,) = qed.backprop(*network(with_slope(lambda z: 1.01 * (1 - jnp.tanh(z) ** 2)))).rules
    assert rule.error == pytest.approx(0.01, rel=1e-3)


def test_beside_a_second_path_the_error_is_diluted():
    act = with_slope(lambda z: 2 * (1 - jnp.tanh(z) ** 2))
    answer = qed.backprop(lambda x: act(x) + 3 * x, 0.5)
    slope = 1 - np.tanh(0.5) ** 2
    assert answer.rules[0].reached["x"] == pytest.approx(slope / (slope + 3), rel=1e-4)


def test_a_right_rule_is_left_in_peace():
    answer = qed.backprop(*network(with_slope(lambda z: 1 - jnp.tanh(z) ** 2)))
    assert answer.rules == ()
    assert any("each derivative rule" in part.claim and part.measured for part in answer.answers)


def test_rules_of_libraries_are_not_compared():
    def loss(x):
        return jnp.sum(jax.nn.relu(x) + jax.nn.softplus(x)) + jax.nn.logsumexp(x)

    answer = qed.backprop(loss, jnp.array([0.0, -1.0, 2.0]))
    assert answer.rules == ()
    assert not [part for part in answer.answers if "rule" in part.claim]


def test_a_straight_through_rule_is_shown_and_is_no_finding():
    @jax.custom_vjp
    def straight(z):
        return jnp.round(z)

    straight.defvjp(lambda z: (jnp.round(z), None), lambda _, g: (g,))
    answer = qed.backprop(lambda x: jnp.sum(straight(x) ** 2), jnp.array([0.3, 1.6]))
    assert answer.rules[0].error == np.inf
    assert answer.findings == ()
    assert "meant" in str(answer)


def test_a_wrong_rule_in_a_loop_of_checkpoints():
    act = with_slope(lambda z: 0.5 * (1 - jnp.tanh(z) ** 2))

    def loss(x):
        return jax.lax.scan(lambda h, _: (jax.checkpoint(act)(h), None), x, None, length=3)[0]

    (rule,) = qed.backprop(loss, 0.5).rules
    assert rule.error == pytest.approx(0.5, rel=1e-5)
    assert rule.reached["x"] == pytest.approx(1 - 0.5**3, rel=1e-5)


def test_a_rule_that_is_not_elementwise_is_no_activation():
    @jax.custom_vjp
    def clipped(z):
        return 1.0 * z

    clipped.defvjp(lambda z: (z, None), lambda _, g: (g / jnp.maximum(1.0, 100 * jnp.linalg.norm(g)),))
    w = {"a": jnp.full((3, 3), 0.2), "b": jnp.full(3, 0.3)}
    answer = qed.backprop(lambda w: jnp.mean((clipped(jnp.ones((4, 3)) @ w["a"]) @ w["b"]) ** 2), w)
    assert answer.layers[0].activation == ""
    assert answer.layers[0].error < 1e-5
    assert answer.rules[0].error > 0.5


def test_a_body_without_a_derivative_is_unknown():
    @jax.custom_jvp
    def root(z):
        return jnp.sqrt(z)

    root.defjvp(lambda primals, tangents: (jnp.sqrt(primals[0]), 0.0 * tangents[0]))
    answer = qed.backprop(lambda x: root(x) + x, 0.0)
    assert answer.findings == ()
    assert [part.claim for part in answer.answers if part.unknown] == [
        "each derivative rule of the file is the derivative of its body here"
    ]
