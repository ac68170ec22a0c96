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


SCRIPT = """
import jax, jax.numpy as jnp, optax

def loss(w, x):
    size = jnp.sqrt(jnp.sum(x**2, axis=1) * w["scale"])
    return jnp.mean((x @ w["a"] + size - 1.0) ** 2)

optimizer = optax.adam(1e-3)
w = {"a": jnp.ones(4), "scale": jnp.ones(())}
state = optimizer.init(w)

@jax.jit(donate_argnums=(0, 1))
def step(w, state, x):
    value, slope = jax.value_and_grad(loss)(w, x)
    updates, state = optimizer.update(slope, state, w)
    return optax.apply_updates(w, updates), state, value

for k in range(5):
    x = jax.random.normal(jax.random.key(k), (6, 4))
    if k == BAD:
        x = x.at[3].set(0.0)
    w, state, value = step(w, state, x)
"""


@pytest.mark.slow
@pytest.mark.parametrize("bad", [3, -1])
def test_of_a_large_script_the_failing_step_alone_is_examined(tmp_path, monkeypatch, bad):
    from qed.why.script import run_script, why_script

    monkeypatch.setattr("qed.why.recorder.LARGE", 0)
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.replace("BAD", str(bad)))
    recorder = run_script(path, (), steps=None).recorder
    assert recorder.large and recorder.donates and not recorder.updates
    assert [note.gradient for call in recorder.first for note in call.seen] == [None]
    answer = why_script(path)
    if bad == 3:
        assert [finding.code for finding in answer.findings] == ["QED104"] and "at step 3" in answer.headline
        assert "a trial run take" in answer.missing[0].what
        assert answer.meta["bytes"]["parameters"] == 4 * 5 and answer.meta["seconds_to_verdict"] > 0
        said = answer.answers[-1]
        assert said.claim.startswith("the parameters take 20 B") and "after the failing step" in said.reasons[0].text
    else:
        assert not answer.findings and "donates" in answer.answers[-1].claim


def test_weights_are_not_widened_before_they_are_used():
    from qed.domains.shadow import LATER, Shadow
    from qed.domains.value import Value
    from qed.graph.trace import trace
    from qed.graph.walk import Walker

    w = jnp.full((LATER + 1,), 1.1, jnp.bfloat16)
    traced = trace(lambda w: (w, jax.lax.scan(lambda s, row: (s + row.sum(), w[0] * row), 0.0, w.reshape(1, -1))), w)
    walker, widest = Walker([Value(), Shadow()]), []
    (given,) = walker.start(traced.graph, traced.leaves)
    assert given.values[1].dtype == jnp.bfloat16
    walker.observe = lambda entry: widest.append(entry.outputs[0].values[1].dtype)
    same, total, _ = walker.run(traced.graph, traced.leaves)
    assert same.values[1].dtype == jnp.bfloat16 and total.values[1].dtype == jnp.float64
    assert float(total.values[1]) == float(w[0]) * (LATER + 1)


def test_the_directions_of_the_curvature_are_bounded(monkeypatch):
    monkeypatch.setattr("qed.why.curvature.ROOM", 8 * 6 * 60 * 64 - 1)
    answer = qed.why(qed.Problem(deep, at=stack(False), args=(X,), step="sgd:0.1"))
    assert "6 directions of 3,840 numbers take 180 KiB" in " ".join(m.what for m in answer.missing)
    assert answer.value.steepest_curvature is None
