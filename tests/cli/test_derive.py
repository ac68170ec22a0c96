"""`qed derive`: text, TeX, JSON, exit codes, errors."""

import json

import pytest

FILE = """
x = 1.5
w = {"slope": 0.5, "offset": 2.0}
data = jnp.arange(3.0)

def f(x):
    return x**2 * jnp.exp(-x)

def fit(w, data):
    return jnp.mean((w["slope"] * data + w["offset"] - 1) ** 2)

def corner(x):
    return jnp.abs(x - 1.5)

def outside(x):
    return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((), "float32"), x)
"""


@pytest.fixture
def target(write):
    return write("functions.py", FILE)


def test_the_derivation_is_printed(qed_command, target):
    found = qed_command("derive", f"{target}:f", "--at", "x")
    assert found.code == 0 and found.err == ""
    assert "product: (u v)' = u' v + u v'" in found.out
    assert "f'(x) = x (2 - x) exp(-x) = 0.167348" in found.out
    assert "best h: predicted" in found.out and "y = 0.502043 + 0.167348 (x - 1.5)" in found.out
    unfolded = qed_command("derive", f"{target}:f", "--at", "1.5", "--why")
    assert "    numbers    value 2.25, derivative 3\n    at         functions.py:" in unfolded.out


def test_the_data_are_held_constant(qed_command, target):
    found = qed_command("derive", f"{target}:fit", "--at", "w", "--args", "data")
    assert found.code == 0 and "dL/dslope = 2/3 dataᵀ (slope data + offset - 1)" in found.out


def test_tex_alone(qed_command, target):
    found = qed_command("derive", f"{target}:f", "--at", "x", "--tex")
    assert found.code == 0 and found.out.startswith("\\begin{align*}\n\\left(x^{2}\\right)' &= 2 x = 3")
    assert found.out.rstrip().endswith("\\end{align*}")


def test_json(qed_command, target):
    found = json.loads(qed_command("derive", f"{target}:f", "--at", "x", "--json").out)
    assert (found["schema"], found["standing"]) == ("qed/answer/1", "MEASURED")
    assert len(found["reasons"]) > 5


def test_exit_codes(qed_command, target):
    corner = qed_command("derive", f"{target}:corner", "--at", "x")
    assert corner.code == 1 and "There is no derivative here" in corner.out and "QED104" in corner.out
    missing = qed_command("derive", f"{target}:outside", "--at", "x", "--strict")
    assert missing.code == 3 and "pure_callback" in missing.out
    assert qed_command("derive", f"{target}:f", "--at", "data").code == 2
    assert qed_command("derive", f"{target}", "--at", "x").code == 2
