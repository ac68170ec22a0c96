"""`qed precision`: text, JSON, exit codes, errors."""

import json

import pytest

FILE = """
x, low, high, c = jnp.float32(1e-3), jnp.float32(1e-4), jnp.float32(1.0), jnp.float32(2.0)

def naive(x, c):
    return c * (1 - jnp.cos(x)) / x**2

def fine(x):
    return jnp.sin(x)
"""


@pytest.fixture
def target(write):
    return write("digits.py", FILE)


def test_lost_digits(qed_command, target):
    found = qed_command("precision", f"{target}:naive", "--at", "x", "--args", "c")
    assert found.code == 1 and found.err == ""
    assert "of the 24 bits of its value" in found.out and "QED203" in found.out and "digits.py:7" in found.out
    data = json.loads(qed_command("precision", f"{target}:naive", "--at", "x", "--args", "c", "--json").out)
    assert data["standing"] == "REFUTED" and data["value"]["bits"] == 24
    assert data["value"]["equations"][0]["primitive"] == "cos"


def test_the_title_names_what_was_asked_and_each_sentence_is_told_once(qed_command, write):
    text = "x = jnp.float32([10000.0, 10001.0, 10002.0])\n\ndef variance(x):\n"
    target = write("spread.py", text + "    return jnp.mean(x**2) - jnp.mean(x) ** 2\n")
    told = " ".join(qed_command("precision", f"{target}:variance", "--at", "x").out.split())
    assert told.startswith("variance(x) ") and ":5 3 numbers, float32" in told.split("variance loses")[0]
    assert told.count("of 100020002 and 100020001") == 1 and told.count("bits cancel") == 2
    assert told.count("of the error of the value") == 1 and told.count("of the error of the gradient") == 1


def test_kept_digits(qed_command, target):
    found = qed_command("precision", f"{target}:fine", "--at", "0.5")
    assert found.code == 0 and "PROVED" in found.out


def test_a_box_with_one_end(qed_command, target):
    found = qed_command("precision", f"{target}:fine", "--at", "x", "--box", "0")
    assert found.code == 2 and "QED007" in found.err
