"""`qed check FILE.py:fun --at NAME`: exit codes, text and JSON."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import jax
import jax.numpy as jnp


@jax.custom_vjp
def square(x):
    return x**2


def backward(x, cotangent):
    return (x * cotangent,)


square.defvjp(lambda x: (square(x), x), backward)


def wrong(w):
    return jnp.sum(square(w))


def right(w, y):
    return jnp.sum((w - y) ** 2)


w = jnp.array([1.0, 3.0])
y = jnp.array([0.0, 1.0])
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def qed(*arguments):
    return subprocess.run([sys.executable, "-m", "qed", *arguments], capture_output=True, text=True, check=False)


def test_a_wrong_rule_is_printed_at_its_lines(program):
    done = qed("check", f"{program}:wrong", "--at", "w")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[2].startswith(
        "  The gradient is wrong: the derivative rule of square at program.py:"
    )
    assert "QED101 gradient-disagrees" in done.stdout
    assert "^^^^^^^^^   not the derivative" in done.stdout
    assert "d square[1] / d operand 0[1] is 6, the rule says 3" in done.stdout


def test_the_long_spelling_and_json(program):
    done = qed("check_gradient", f"{program}:right", "--at", "w", "--args", "y", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["standing"], answer["value"]["verdict"]) == ("MEASURED", "agrees")
