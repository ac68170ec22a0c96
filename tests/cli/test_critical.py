"""`qed critical`: text, JSON, exit codes, errors."""

import json

import pytest

SOURCE = """
at = jnp.zeros(2)


def saddle(x):
    return x[0] * x[1]


def bowl(x):
    return jnp.sum(jnp.cosh(x))
"""


@pytest.fixture
def target(write):
    return write("points.py", SOURCE)


def test_both_spellings_print_the_kind(target, qed_command):
    for name in ("critical", "critical_point"):
        found = qed_command(name, f"{target}:bowl", "--at", "at")
        assert found.code == 0
        assert "A strict local minimum, the point itself" in found.out and "PROVED (reals)" in found.out


def test_a_saddle_is_a_warning(target, qed_command):
    found = qed_command("critical", f"{target}:saddle", "--at", "at", "--json")
    data = json.loads(found.out)
    assert found.code == 1
    assert data["findings"][0]["code"] == "QED303" and data["value"]["kind"] == "saddle"


def test_without_a_point_it_says_what_is_missing(target, qed_command):
    found = qed_command("critical", f"{target}:bowl")
    assert found.code == 2 and "--at" in found.err
