"""A training step without its loss: finite or not, and where the first bad number is born, backward pass included."""

import jax
import jax.numpy as jnp
import optax
import pytest

import qed
from qed.errors import QedError

X = jax.random.normal(jax.random.key(0), (16, 3))
Y = X @ jnp.arange(3.0)
optimizer = optax.adam(0.1)


def step_for(penalty):
    gradient = jax.value_and_grad(lambda w, x, y: jnp.mean((x @ w - y) ** 2) + penalty(w))

    @jax.jit
    def train_step(state, batch):
        w, memory = state
        loss, slope = gradient(w, *batch)
        change, memory = optimizer.update(slope, memory, w)
        return (optax.apply_updates(w, change), memory), loss

    return train_step


START = (jnp.ones(3), optimizer.init(jnp.ones(3)))


def ask(step, state=START, batches=((X, Y),) * 20, **more):
    return qed.why(qed.Problem(train_step=step, state=state, batches=batches, **more))


def test_a_healthy_step_is_left_in_peace():
    answer = ask(step_for(lambda w: 0.0))
    assert answer.findings == ()
    assert answer.standing == "MEASURED"
    assert len(answer.losses) == 20
    assert answer.losses[-1] < answer.losses[0]
    assert any("update-to-weight" in part.claim for part in answer.answers)
    assert any("loss" in each.settle for each in answer.missing)


def test_a_nan_in_the_loss_is_found_at_its_line():
    answer = ask(step_for(lambda w: 1e-3 * jnp.log(1.5 - w[2])))
    (finding,) = answer.findings
    assert finding.code == "QED204"
    assert "jnp.log(1.5 - w[2])" in finding.span.text
    assert answer.first_bad_step == len(answer.losses) - 1 > 0
    assert answer.check()


def test_a_nan_that_only_the_backward_pass_makes_is_found_too():
    def step(w):
        return w - 0.1 * jax.grad(lambda w: jnp.sum(jnp.sqrt(w)))(w)

    answer = ask(step, jnp.array([0.5, 0.0]), None)
    assert answer.first_bad_step == 0
    assert "jnp.sqrt" in answer.findings[0].span.text
    assert answer.check()


def test_batches_may_be_a_generator_and_keys_are_split():
    seen = []

    def step(w, batch, key):
        jax.debug.callback(lambda u: seen.append(float(u)), jax.random.uniform(key))
        return w - 0.1 * batch.mean()

    answer = ask(step, jnp.array(1.0), (jnp.full(2, float(k)) for k in range(3)), key=jax.random.key(0))
    assert answer.meta["steps"] == 3
    jax.effects_barrier()
    assert len(set(seen)) == 3


def test_bad_steps_are_refused():
    cases = [
        (lambda: ask(lambda s, b: 3.0), "QED007", "does not return its state"),
        (lambda: ask(lambda s: s), "QED007", "raised an exception"),
        (lambda: ask(step_for(lambda w: 0.0), batches=()), "QED007", "no batch"),
        (lambda: qed.why(qed.Problem(train_step=lambda s: s)), "QED007", "no state"),
        (lambda: qed.why(qed.Problem(state=1.0)), "QED007", "without a train_step"),
        (lambda: qed.why(qed.Problem(lambda w: w, 1.0, train_step=lambda s: s, state=1.0)), "QED009", "together"),
        (lambda: ask(lambda s, b: s + b, jnp.ones(2), [jnp.array([1.0, jnp.nan])]), "QED006", "handed"),
    ]
    for case, code, words in cases:
        with pytest.raises(QedError) as caught:
            case()
        assert caught.value.code == code
        assert words in caught.value.what
