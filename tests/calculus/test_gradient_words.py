"""How a checked gradient is shown: a kink at its line, and what is taken on JAX's word."""

import jax
import jax.numpy as jnp

import qed
from qed.report import exit_code


def test_a_kink_is_shown_at_its_line_and_is_no_failure():
    def loss(w):
        return jnp.sum(jnp.abs(w)) + jnp.sum(w**2)

    answer = qed.check_gradient(loss, jnp.array([0.0, 1.0]))
    shown = str(answer).splitlines()
    row = next(i for i, line in enumerate(shown) if "jnp.sum(jnp.abs(w))" in line)
    start = shown[row].index("jnp.abs(w)")
    assert shown[row + 1][start : start + len("jnp.abs(w)")] == "^" * len("jnp.abs(w)")
    assert shown[row + 1].endswith("a kink")
    assert any(line.startswith("QED104") for line in shown)
    assert exit_code(answer) == 0


def test_a_derivative_that_no_test_verifies_is_named():
    answer = qed.check_gradient(lambda x: jnp.sum(jax.scipy.special.expi(jnp.tanh(x))), jnp.array([0.5, 1.0]))
    assert answer.value.verdict == "agrees"
    assert [missing.what for missing in answer.missing if "expi" in missing.what]
    assert "Not known" in str(answer)


def test_verified_derivatives_are_not_named():
    def loss(w):
        a = jnp.linalg.cholesky(w @ w.T + jnp.eye(3))
        return jnp.sum(jax.nn.softmax(jnp.sort(a, 1)) * jnp.cumsum(w[::-1], 0)) + jnp.linalg.det(a) + jnp.var(w)

    assert qed.check_gradient(loss, jnp.arange(9.0).reshape(3, 3) / 7).missing == ()
