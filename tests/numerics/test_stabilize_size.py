"""Cost: traces and operations are counted, never timed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph import backward, jaxpr
from qed.graph.build import reachable
from qed.graph.trace import trace
from qed.numerics.rewriting.derivative import Stable
from qed.numerics.rewriting.logarithm import Logarithms
from qed.numerics.rewriting.session import rewrite

LAYERS, WIDTH, HEADS, TOKENS, WORDS = 12, 16, 2, 6, 11


def weights(scale=1.0):
    rng = np.random.default_rng(0)

    def matrix(*shape):
        return jnp.asarray(scale * rng.normal(size=shape) / shape[0] ** 0.5, jnp.float32)

    layer = lambda: {  # noqa: E731
        "q": matrix(WIDTH, WIDTH),
        "k": matrix(WIDTH, WIDTH),
        "v": matrix(WIDTH, WIDTH),
        "o": matrix(WIDTH, WIDTH),
        "up": matrix(WIDTH, 4 * WIDTH),
        "down": matrix(4 * WIDTH, WIDTH),
    }
    return {"words": matrix(WORDS, WIDTH), "layers": [layer() for _ in range(LAYERS)], "out": matrix(WIDTH, WORDS)}


def normalised(x):
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def attention(layer, x):
    parts = [(x @ layer[name]).reshape(TOKENS, HEADS, -1).swapaxes(0, 1) for name in "qkv"]
    q, k, v = parts
    scores = q @ k.swapaxes(1, 2) / q.shape[-1] ** 0.5
    causal = jnp.tril(jnp.ones((TOKENS, TOKENS)))
    weight = jnp.exp(scores) * causal
    weight = weight / weight.sum(axis=-1, keepdims=True)
    return (weight @ v).swapaxes(0, 1).reshape(TOKENS, WIDTH) @ layer["o"]


def transformer(w, tokens):
    x = w["words"][tokens]
    for layer in w["layers"]:
        x = x + attention(layer, normalised(x))
        hidden = normalised(x) @ layer["up"]
        x = x + (hidden / (1 + jnp.exp(-hidden))) @ layer["down"]
    p = jnp.exp(normalised(x) @ w["out"])
    p = p / p.sum(axis=-1, keepdims=True)
    return -jnp.mean(jnp.log(p[jnp.arange(TOKENS - 1), tokens[1:]]))


DATA = jnp.arange(TOKENS) * 3 % WORDS


def operations(fun, *args):
    found = jax.jit(fun).lower(*args).compile().cost_analysis()
    found = found[0] if isinstance(found, list) else found
    assert found is not None
    return found["flops"]


def equations(fun, *args):
    return trace(fun, *args).graph.count()


@pytest.mark.slow
def test_a_transformer_by_hand():
    calls = []

    def loss(w, tokens):
        calls.append(1)
        return transformer(w, tokens)

    w = weights()
    assert equations(transformer, w, DATA) > 700
    stable = qed.stabilize(loss)
    value, gradient = jax.value_and_grad(stable)(w, DATA)
    assert len(calls) == 1
    expected = jax.jit(jax.value_and_grad(transformer))(w, DATA)
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5 * float(jnp.abs(b).max()))
    before = operations(jax.value_and_grad(transformer), w, DATA)
    after = operations(jax.value_and_grad(stable), w, DATA)
    assert after <= 1.1 * before


@pytest.mark.slow
def test_a_transformer_with_large_weights():
    w = weights(30.0)
    value, gradient = jax.jit(jax.value_and_grad(transformer))(w, DATA)
    assert np.isnan(value)
    value, gradient = jax.jit(jax.value_and_grad(qed.stabilize(transformer)))(w, DATA)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), w)
        exact = jax.jit(qed.stabilize(transformer))(wide, DATA)
    np.testing.assert_allclose(value, exact, rtol=1e-3)


def residual(depth):
    def network(x):
        for _ in range(depth):
            x = x + jnp.log(1 + jnp.exp(0.1 * x)) / (1 + x * x)
        return jnp.sum(x)

    return network


def test_the_work_is_linear_in_the_number_of_equations():
    steps = []
    for depth in (50, 100):
        found = rewrite(trace(residual(depth), jnp.ones(2)).graph)
        assert len(found.changes) >= depth
        steps.append(found.builder.fired + sum(1 for _ in found.builder.nodes()))
    assert steps[1] <= 2.2 * steps[0]


def layers(depth):
    def network(x):
        for _ in range(depth):
            p = jnp.exp(x)
            x = x + jnp.tanh(p / jnp.sum(p))
        return jnp.sum(x * x)

    return network


def stable_layers(depth, x):
    return Stable(trace(layers(depth), x).graph, longer=False)


def test_layers_that_repeat_are_differentiated_once(monkeypatch):
    made, traced = [], backward._traced
    monkeypatch.setattr(backward, "_KNOWN", type(backward._KNOWN)())
    monkeypatch.setattr(backward, "_traced", lambda node, *more: made.append(node.operation) or traced(node, *more))
    x, counts = jnp.arange(3.0), []
    for depth in (2, 7):
        stable_layers(depth, x).graphs((0,))
        counts.append(len(made))
    assert 0 < counts[0] == counts[1]


def test_every_operation_is_traced_once_for_a_derivative(monkeypatch):
    bound, bind = [], jaxpr.bind
    monkeypatch.setattr(jaxpr, "bind", lambda native, *values, **more: bound.append(1) or bind(native, *values, **more))
    x = jnp.arange(3.0)
    stable = stable_layers(5, x)
    jax.make_jaxpr(jax.value_and_grad(lambda x: stable(x)[0]))(x)
    reverse, _ = stable.graphs((0,))
    traced = [node for node in reachable(reverse.outputs) if node.equation is not None]
    assert stable.short.changes and not reverse.changes
    assert len(bound) <= len(traced) + equations(layers(5), x)


def test_a_rewriting_is_asked_about_its_operations_alone(monkeypatch):
    asked, rule = set(), Logarithms.rule
    monkeypatch.setattr(Logarithms, "rule", lambda self, node: asked.add(node.operation) or rule(self, node))
    rewrite(trace(layers(2), jnp.arange(3.0)).graph)
    assert "div" in asked and not asked & {"tanh", "exp", "input"}


@pytest.mark.slow
def test_five_thousand_equations():
    x = jnp.full(2, 0.5)
    network = residual(720)
    assert equations(network, x) >= 5000
    found = rewrite(trace(network, x).graph)
    assert len(found.changes) >= 720
    np.testing.assert_allclose(found.function(x)[0], network(x), rtol=1e-4)
