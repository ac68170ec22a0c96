"""`qed convex`: text, JSON, exit codes, errors."""

import json

import pytest

FILE = """
import qed

low, high, box, c = -jnp.ones(2), jnp.ones(2), qed.Box(-jnp.ones(2), jnp.ones(2)), 2.0

def bowl(x, c):
    return jnp.sum(x * x) + c

def saddle(x):
    return x[0] * x[1]

def cap(x):
    return -jnp.sum(x * x)

def nowhere(x):
    return jnp.log(x[0] - 3.0)
"""


@pytest.fixture
def target(write):
    return write("shapes.py", FILE)


def test_convex(qed_command, target):
    found = qed_command("convex", f"{target}:bowl", "--box", "low,high", "--args", "c", "--why")
    assert found.code == 0 and "convex, strongly with constant 2" in found.out and "PROVED" in found.out
    again = qed_command("convexity", f"{target}:bowl", "--lower", "low", "--upper", "high", "--args", "c", "--json")
    content = json.loads(again.out)
    assert content["standing"] == "PROVED" and content["value"]["shape"] == "convex"


def test_not_convex(qed_command, target):
    found = qed_command("convex", f"{target}:saddle", "--box", "box")
    assert "not convex" in found.out and "REFUTED" in found.out and "chord" in found.out
    assert found.code == 1 and "QED302" in found.out and "return x[0] * x[1]" in found.out


def test_exit_codes(qed_command, target):
    assert qed_command("convex", f"{target}:bowl", "--box", "box", "--args", "c").code == 0
    assert qed_command("convex", f"{target}:cap", "--box", "box").code == 1
    assert qed_command("convex", f"{target}:nowhere", "--box", "box", "--budget", "1s").code == 0
    assert qed_command("convex", f"{target}:nowhere", "--box", "box", "--budget", "1s", "--strict").code == 3


def test_numbers_are_spread_over_the_shape_of_the_argument(qed_command, target):
    found = qed_command("convex", f"{target}:saddle", "--box=-1,1", "--at", "low")
    assert "not convex" in found.out and "REFUTED" in found.out
    found = qed_command("convex", f"{target}:saddle", "--lower=-1", "--upper=1", "--at", "low")
    assert "REFUTED" in found.out


def test_no_box(qed_command, target):
    found = qed_command("convex", f"{target}:saddle")
    assert found.code == 2 and "QED007" in found.err


def test_without_a_box_the_question_is_about_the_whole_space(qed_command, target):
    found = qed_command("convex", f"{target}:bowl", "--at", "low", "--args", "c")
    assert "Everywhere the function is convex" in found.out and "PROVED" in found.out


@pytest.mark.parametrize(
    "ends",
    [("--box", "0"), ("--box", "low,high,c"), ("--box", "low,"), ("--lower", "low"), ("--box", "box", "--upper", "1")],
)
def test_half_a_box(qed_command, target, ends):
    found = qed_command("convex", f"{target}:saddle", *ends)
    assert found.code == 2 and "QED007" in found.err
