"""`qed enclose`: text, JSON, exit codes, errors."""

import json

import pytest

FILE = """
low, high, c = jnp.zeros(2), jnp.ones(2), 2.0

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
