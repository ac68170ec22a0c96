"""`qed enclose`: text, JSON, exit codes, errors."""

import json

import pytest

FILE = """
low, high, c, w = jnp.zeros(2), jnp.ones(2), 2.0, jnp.zeros(2)

def f(x, c):
    return jnp.sum(x * x) + c

def pole(x):
    return 1 / x
"""


@pytest.fixture
def target(write):
    return write("ranges.py", FILE)


def test_a_range(qed_command, target):
    found = qed_command("enclose", f"{target}:f", "--lower", "low", "--upper", "high", "--args", "c")
    assert found.code == 0 and found.err == ""
    assert "stays between 2 and 4" in found.out and "PROVED" in found.out
    data = qed_command("enclose", f"{target}:f", "--lower", "low", "--upper", "high", "--args", "c", "--json")
    content = json.loads(data.out)
    assert content["standing"] == "PROVED" and content["arithmetic"] == "reals"
    assert content["certificate"] is not None


def test_what_is_not_defined_everywhere(qed_command, target):
    found = qed_command("enclose", f"{target}:pole", "--lower", "-1", "--upper", "1")
    assert found.code == 0 and "UNKNOWN" in found.out and "ranges.py:" in found.out
    assert qed_command("enclose", f"{target}:pole", "--lower", "-1", "--upper", "1", "--strict").code == 3


def test_a_box_upside_down(qed_command, target):
    found = qed_command("enclose", f"{target}:pole", "--lower", "2", "--upper", "1")
    assert found.code == 2 and "QED007" in found.err and "above its upper end" in found.err


def test_a_box_by_its_ends_with_a_width(qed_command, target):
    options = ("--box", "0,1", "--at", "w", "--args", "c", "--width", "0.1", "--budget", "20s")
    found = qed_command("enclose", f"{target}:f", *options)
    assert found.code == 0 and "stays between 2 and 4" in found.out
    assert found.out.startswith("f(x)") and "2 numbers" in found.out


def test_no_box(qed_command, target):
    found = qed_command("enclose", f"{target}:f")
    assert found.code == 2 and "QED007" in found.err and "--box" in found.err
