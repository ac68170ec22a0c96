"""`qed minimize`: the point, its bounds, and what it is."""

import json

SOURCE = """
x0 = jnp.ones(2)


def bowl(x):
    return jnp.sum(jnp.cosh(x))


def total(x):
    return {"sum": jnp.sum(x) - 1.0}
"""


def test_minimize_says_what_the_point_is(write, qed_command):
    target = write("points.py", SOURCE)
    found = qed_command("minimize", f"{target}:bowl", "--at", "x0", "--lower", "0.5", "--upper", "2", "--json")
    data = json.loads(found.out)
    assert found.code == 0
    assert data["value"]["reason"] == "minimum" and data["value"]["x"] == [0.5, 0.5]
    for words in (("minimize", "--bounds", "0.5,2"), ("step-size",)):  # the keyword of the function; a hyphen
        assert qed_command(words[0], f"{target}:bowl", "--at", "x0", *words[1:], "--json").code == 0


def test_constraints_are_functions_of_the_file(write, qed_command):
    target = write("constrained.py", SOURCE)
    found = qed_command("minimize", f"{target}:bowl", "--at", "x0", "--equality", "total", "--json")
    data = json.loads(found.out)
    assert found.code == 0
    assert data["value"]["reason"] == "minimum" and data["value"]["x"] == [0.5, 0.5]
    price = data["value"]["multipliers"]["equality"]["sum"]
    assert abs(price - 0.5210953) < 1e-6
    text = qed_command("minimize", f"{target}:bowl", "--at", "x0", "--inequality", "total").out
    assert "held by" in text and "moving it by b" in text and "PROVED (reals)" in text


def test_constraints_in_conflict_are_a_finding(write, qed_command):
    target = write("conflict.py", SOURCE + "\n\ndef apart(x):\n    return x[0] - 1, -x[0]\n")
    found = qed_command("minimize", f"{target}:bowl", "--at", "x0", "--inequality", "apart")
    assert found.code == 1 and "QED504 infeasible" in found.out and "inequality[1]" in found.out


def test_a_point_that_anyone_found_is_judged(write, qed_command):
    target = write("found.py", SOURCE + "\n\nfound, prices = jnp.full(2, 0.5), {'equality': {'sum': jnp.sinh(0.5)}}\n")
    asked = ("verdict", f"{target}:bowl", "--at", "found", "--equality", "total")
    data = json.loads(qed_command(*asked, "--multipliers", "prices", "--json").out)
    assert data["standing"] == "PROVED" and data["value"]["kind"] == "minimum"
    data = json.loads(qed_command("verdict", f"{target}:bowl", "--at", "x0", "--json").out)
    assert data["value"]["kind"] == "not_stationary"
