"""``qed stabilize``: the sentence, the bits, the replacements and the patch."""

from __future__ import annotations

import json

import pytest

PROGRAM = """\

w = jnp.array([1000.0, 0.0])
low, high = jnp.zeros(2), jnp.ones(2)

def loss(w):
    print("called")
    return jnp.log(jnp.sum(jnp.exp(w)))

def scaled(w, c):
    return jnp.log(c + jnp.exp(w[0]))

c = jnp.float32(2.0)
name = "loss"
"""


@pytest.fixture
def program(write):
    return write("train.py", PROGRAM)


def test_text(qed_command, program):
    result = qed_command("stabilize", f"{program}:loss", "--at", "w")
    assert result.code == 0
    words = " ".join(result.out.split())
    assert "1 expression is rewritten: the value loses 24.0 of 24 bits here, rewritten 0.0" in words
    assert "the gradient loses 24.0 of 24 bits" in words
    assert "+ return jax.nn.logsumexp(w)" in words
    assert "called" not in result.out


def test_json_and_options(program, qed_command):
    result = qed_command("stabilize", f"{program}:scaled", "--at", "w", "--args", "c", "--json")
    assert json.loads(result.out)["value"]["rewrites"]
    result = qed_command("stabilize", f"{program}:loss", "--at", "w", "--lower", "low", "--upper", "high")
    assert "Nothing in loss is rewritten" in result.out


@pytest.mark.parametrize("arguments", [("name",), ("missing",)])
def test_bad_targets(program, qed_command, arguments):
    assert qed_command("stabilize", f"{program}:{arguments[0]}", "--at", "w").code == 2
