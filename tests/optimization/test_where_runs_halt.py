"""qed.minimize where slopes mislead: valleys without an end, corners, saturated units, a range that is left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed

HALTS = {
    "hyperbola": (lambda x: (x[0] * x[1] - 1) ** 2 + x[0] ** 2, [1.0, 1.0], "infimum_not_attained", "least value"),
    "to the fourth": (lambda x: x[0] ** 2 + (1 - x[0] * x[1]) ** 4, [1.0, 1.0], "infimum_not_attained", "x[1]"),
    "flat along it": (lambda x: (x[0] * x[1] - 1) ** 2, [1e-3, 3.0], "flat_minimum", "f is determined"),
    "softmax of a large logit": (
        lambda w: jnp.mean((jax.nn.softmax(w) - jnp.array([0.2, 0.3, 0.5])) ** 2), [200.0, 0.0, 0.0], "flat_minimum", ""
    ),
    "range": (lambda x: x[0] ** 2 + x[1], [0.0, 0.0], "unbounded_below", "Unbounded"),
}  # fmt: skip


@pytest.mark.parametrize("name", HALTS)
def test_the_reason_is_true_and_is_found_again(name):
    fun, start, reason, words = HALTS[name]
    answer = qed.minimize(fun, jnp.array(start))
    assert answer.value.reason == reason and words in answer.headline, answer.headline
    assert np.isfinite(answer.value.fun) and np.all(np.isfinite(answer.value.x)) and answer.check()


def test_corners_cost_no_digits():
    answer = qed.minimize(lambda x: jnp.abs(x[0] - 1) + 3 * jnp.abs(x[1] + 2), jnp.zeros(2))
    assert answer.value.reason == "kink" and answer.value.x.tolist() == [1.0, -2.0] and answer.value.fun == 0


def test_saturated_units_are_left():
    fun = lambda x: jnp.sum((jnp.tanh(x) - 0.5) ** 2)  # noqa: E731
    assert "saturated" in qed.verdict(fun, jnp.full(2, 30.0)).headline
    answer = qed.minimize(fun, jnp.full(2, 30.0))
    assert answer.proved and np.allclose(answer.value.x, np.arctanh(0.5))


def test_a_saddle_in_a_box_names_its_direction():
    answer = qed.verdict(lambda x: x[0] ** 2 - x[1] ** 2, jnp.zeros(2), bounds=(-1.0, 1.0))
    assert answer.value.kind == "saddle" and "along 100% x[1] f falls" in answer.headline


FEW = {"method": "gradient", "max_steps": 30}


@pytest.mark.parametrize(
    ("fun", "options", "code", "level"),
    [
        (lambda x: jnp.exp(-x[0]) + x[1] ** 2, {}, "QED423", "warning"),
        (lambda x: x[0] + x[1] ** 2, {}, "QED306", "warning"),
        (lambda x: (x[0] - 1) ** 2 + 1e12 * (x[1] - 1) ** 2, FEW, "QED424", "warning"),
        (lambda x: (x[0] - 1) ** 2 + 1e4 * x[1] ** 2, FEW, "QED425", "warning"),
        (lambda x: jnp.abs(x[0] - 1) + x[1] ** 2, {}, "QED104", "note"),
    ],
    ids=["falls on", "unbounded", "scales", "budget", "corner"],
)
def test_where_no_minimum_is_there_is_a_code(fun, options, code, level):
    findings = qed.minimize(fun, jnp.full(2, 3.0), **options).findings
    assert [(finding.code, str(finding.level)) for finding in findings] == [(code, level)]
    assert not qed.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, jnp.full(2, 3.0)).findings
