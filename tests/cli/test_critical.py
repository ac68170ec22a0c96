"""`qed critical` and `qed spectrum`: text, JSON, exit codes, errors."""

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


def test_a_spectrum_of_two_numbers(target, qed_command):
    found = qed_command("spectrum", f"{target}:bowl", "--at", "at", "--k", "2", "--quiet")
    assert found.code == 0 and found.err == ""
    assert "The eigenvalue of largest size that was found is 1, off by" in " ".join(found.out.split())
    data = json.loads(qed_command("spectrum", f"{target}:saddle", "--at", "at", "--json", "--quiet").out)
    assert data["standing"] == "MEASURED" and sorted(map(round, data["value"]["eigenvalues"])) == [-1, 1]
    assert qed_command("spectrum", f"{target}:bowl", "--at", "at", "--which", "middle").code == 2


def test_the_point_may_be_written_as_numbers(target, qed_command):
    found = qed_command("critical", f"{target}:bowl", "--at", "[0., 0]")
    assert found.code == 0 and "A strict local minimum, the point itself" in found.out
    wrong = qed_command("critical", f"{target}:bowl", "--at", "[0, a]")
    assert wrong.code == 2 and "no array of numbers" in wrong.err
