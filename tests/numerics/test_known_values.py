"""Constants of a program are known without a program being compiled, and are JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.graph.build import Builder
from qed.graph.trace import trace
from qed.numerics.rewriting import known_values
from qed.numerics.rewriting.known_values import value_of

MASKS = {
    "causal": lambda x: jnp.tril(jnp.ones((4, 4))),
    "truth values": lambda x: jnp.arange(4)[:, None] >= jnp.arange(4)[None, :],
    "chosen": lambda x: jnp.where(jnp.arange(5) % 5 > jnp.asarray([2, 0, 7, 1, 3]), 2.5, -1.0)[::-1],
    "diagonal": lambda x: jnp.eye(3)[1:, ::2].T.reshape(-1),
    "padded": lambda x: jnp.pad(jnp.arange(3), (1, 2)).astype(jnp.float32) / 2,
    "of inputs": lambda x: x * 3.0 + jnp.arange(3.0),
    "by a function": lambda x: jnp.exp(jnp.arange(3.0)),
    "gathered": lambda x: jnp.arange(10.0)[jnp.array([[7, 1], [0, 12]])],
}


@pytest.mark.parametrize("name", MASKS)
def test_values_are_those_of_jax(name):
    x = jnp.zeros(3)
    graph = trace(MASKS[name], x).graph
    builder = Builder()
    found = value_of(builder, builder.inline(graph, builder.inputs(graph))[0])
    truth = np.asarray(MASKS[name](x))
    assert found.dtype == truth.dtype and found.tobytes() == truth.tobytes()


def banded_attention(x):
    scores = jnp.exp(x @ x.T) * jnp.triu(jnp.ones((4, 4)), -1)
    return jnp.sum((scores / jnp.sum(scores, axis=1, keepdims=True)) @ x)


def test_a_mask_compiles_nothing(monkeypatch):
    monkeypatch.setattr(known_values, "_by_jax", lambda *args: pytest.fail("this compiles a program"))
    x = jnp.arange(8.0).reshape(4, 2)
    found = jax.make_jaxpr(jax.grad(qed.stabilize(banded_attention)))(x)
    assert found.out_avals[0].shape == (4, 2)
