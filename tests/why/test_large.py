"""Models whose values do not fit: the same findings from less memory, and what would not fit is said, not tried."""

import jax
import jax.numpy as jnp
import pytest

import qed


def deep(w, x):
    def layer(h, each):
        h = jax.lax.cond(each[0, 0] > 5.0, lambda h: h + jnp.sqrt(h - h), lambda h: h, h)
        return jnp.tanh(h @ each), None

    h, _ = jax.lax.scan(layer, x, w)
    return jnp.mean(h**2)


def stack(bad):
    w = jax.random.normal(jax.random.key(0), (60, 8, 8)) / 3
    return w.at[47, 0, 0].set(9.0) if bad else w


X = jax.random.normal(jax.random.key(1), (5, 8))


@pytest.fixture
def little(monkeypatch):
    """As if the machine were small."""
    monkeypatch.setattr("qed.why.finite.LEAST", 16_000)
    monkeypatch.setattr("qed.why.finite.SHARE", 10**9)


def test_a_birth_in_the_gradient_is_found_in_little_memory(little, monkeypatch):
    problem = qed.Problem(deep, at=stack(True), args=(X,))
    answer = qed.why(problem)
    (finding,) = answer.findings
    assert answer.verdict == "nonfinite" and finding.witness["loop_steps"] == [47] and answer.check()
    monkeypatch.undo()
    usual = qed.why(problem)
    (same,) = usual.findings
    assert (same.code, same.span, same.witness) == (finding.code, finding.span, finding.witness)


def test_a_birth_in_the_loss_is_found_in_little_memory(little):
    answer = qed.why(qed.Problem(lambda w, x: jnp.log(deep(w, x) - 1e3), at=stack(False), args=(X,)))
    assert [finding.code for finding in answer.findings] == ["QED204"]


def test_what_is_held_at_one_time_follows_from_the_model():
    from qed.why.finite import memory
    from qed.why.prepare import prepare

    prepared = prepare(qed.Problem(deep, at=stack(False), args=(X,)))
    assert memory(prepared) == (64 << 20) + 4 * (60 * 8 * 8 + 40) // 4
    assert 60 * 5 * 8 * 4 * 3 < prepared.values < 60 * 5 * 8 * 4 * 20
