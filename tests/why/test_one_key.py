"""One random key for all steps of a script: dropout masks and noise that the run fits, and keys meant to stay."""

import contextlib
import io

import pytest

import qed
from qed.why.script import why_script

DROPOUT = """
import jax, jax.numpy as jnp, optax
X = jax.random.normal(jax.random.key(7), (64, 5))
y = jnp.sin(X[:, 0]) + 0.5 * X[:, 1]
w = (0.5 * jax.random.normal(jax.random.key(8), (5, 32)), 0.3 * jax.random.normal(jax.random.key(9), (32,)))
key = jax.random.key(1)
def loss(w, key):
    h = jnp.tanh(X @ w[0])
    h = h * jax.random.bernoulli(key, 0.5, h.shape) / 0.5
    return jnp.mean((h @ w[1] - y) ** 2)
optimizer = optax.adam(1e-2)
state = optimizer.init(w)
gradients = jax.jit(jax.value_and_grad(loss))
for step in range(150):
    used = KEY
    value, gradient = gradients(w, used)
    update, state = optimizer.update(gradient, state, w)
    w = optax.apply_updates(w, update)
"""
FEATURES = """
import jax, jax.numpy as jnp
X = jax.random.normal(jax.random.key(7), (64, 5))
y = jnp.sin(X[:, 0]) + 0.5 * X[:, 1]
def loss(w, key):
    first, second = jax.random.split(key)
    phi = jnp.cos(X @ jax.random.normal(first, (5, 64)) + 6.28 * jax.random.uniform(second, (64,)))
    return jnp.mean((phi @ w / 32**0.5 - y) ** 2)
w, key = jnp.zeros(64), jax.random.key(3)
for step in range(100):
    w = w - 0.5 * jax.grad(loss)(w, key)
"""
FEW = """
import jax, jax.numpy as jnp
def loss(w, key):
    e = jax.random.normal(key, (4,))
    return jnp.mean((w[0] * e + w[1] * e**2 + w[2] - jnp.sin(3 * e)) ** 2)
w, key = jnp.array([0.1, 0.1, 0.1]), jax.random.key(3)
for step in range(40):
    w = w - 0.02 * jax.grad(loss)(w, KEY)
"""
ANEW = "jax.random.fold_in(key, step)"


def answer_of(folder, text):
    (folder / "train.py").write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):
        return why_script(folder / "train.py")


def test_one_mask_for_all_steps_is_named_and_new_keys_are_tried(tmp_path):
    answer = answer_of(tmp_path, DROPOUT.replace("KEY", "key"))
    assert [finding.code for finding in answer.findings] == ["QED611"], str(answer)
    assert answer.refuted and answer.findings[0].span.line == 9
    seen = answer.findings[0].witness
    assert seen["seen"] < seen["new_keys"] < seen["expected"]
    assert answer.advice[0].trial.end < answer.advice[0].trial.start
    assert "from one key" in answer.headline


@pytest.mark.parametrize(
    "text",
    [DROPOUT.replace("KEY", ANEW), FEATURES, pytest.param(FEW.replace("KEY", ANEW), marks=pytest.mark.slow)],
    ids=["new masks", "features that stay", "few draws, each time others"],
)
def test_new_keys_and_keys_that_are_meant_to_stay_are_not_told(text, tmp_path):
    answer = answer_of(tmp_path, text)
    assert not answer.findings, str(answer)


@pytest.mark.slow
def test_what_is_told_of_few_draws_is_told_once(tmp_path):
    answer = answer_of(tmp_path, FEW.replace("KEY", "key"))
    assert [finding.code for finding in answer.findings] == ["QED611"]
    assert isinstance(answer, qed.Answer)
