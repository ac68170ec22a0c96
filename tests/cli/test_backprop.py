"""`qed backprop FILE.py:FUNCTION --at NAME`: text, JSON, exit codes, errors."""

import json

import pytest

SCRIPT = """
x = 2.0
v = jnp.array([0.0, 1.0])
data = jnp.array([3.0, 4.0])
print("this line belongs to the user's own script")

def f(x):
    y = x**2
    return y * jnp.sin(y)

def masked(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))

def with_data(x, data):
    return jnp.sum(x * data)
"""


@pytest.fixture(autouse=True)
def program(write, monkeypatch):
    path = write("program.py", SCRIPT)
    monkeypatch.chdir(path.parent)
    return path


def test_a_worked_example(qed_command):
    outcome = qed_command("backprop", "program.py:f", "--at", "x")
    assert outcome.code == 0
    assert "dL/d" not in outcome.out
    assert "df/dx = df/dy * ∂y/∂x = (-3.371) * 4 = -13.49" in outcome.out
    assert "the user's own script" not in outcome.out


def test_a_number_as_the_point_and_data(qed_command):
    assert "= -13.49" in qed_command("backprop", "program.py:f", "--at", "2").out
    assert "[3, 4]" in qed_command("backprop", "program.py:with_data", "--at", "v", "--args", "data").out


def test_json(qed_command):
    outcome = qed_command("backprop", "program.py:f", "--at", "x", "--json")
    data = json.loads(outcome.out)
    assert (data["schema"], data["standing"]) == ("qed/answer/1", "MEASURED")
    assert [line["name"] for line in data["value"]["lines"]] == ["y", "v1", "f"]


def test_a_finding_is_exit_code_1(qed_command):
    outcome = qed_command("backprop", "program.py:masked", "--at", "v")
    assert outcome.code == 1
    assert "QED103" in outcome.out


def test_a_missing_name_is_exit_code_2(qed_command):
    outcome = qed_command("backprop", "program.py:f")
    assert outcome.code == 2
    assert "--at" in outcome.err
