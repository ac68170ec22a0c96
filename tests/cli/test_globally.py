"""`qed globally` and `qed lipschitz`: text, JSON, exit codes, errors."""

import json

import pytest

FILE = """
low, high = jnp.full(2, -1.0), jnp.full(2, 1.0)

def wells(x):
    return jnp.sum(x**4 - x**2)

def bowl(x):
    return jnp.sum(3 * x**2)

def pole(x):
    return jnp.sum(1 / x)
"""


@pytest.fixture
def target(write):
    return write("places.py", FILE)


def test_the_least_value_and_all_its_places(qed_command, target):
    for name in ("globally", "minimize_globally"):
        found = qed_command(name, f"{target}:wells", "--lower", "low", "--upper", "high", "--quiet")
        assert found.code == 0 and found.err == ""
        assert "4 boxes hold every point that takes it" in " ".join(found.out.split()) and "PROVED" in found.out
    data = qed_command("globally", f"{target}:wells", "--lower", "low", "--upper", "high", "--json", "--quiet")
    content = json.loads(data.out)
    assert content["standing"] == "PROVED" and len(content["value"]["minimizers"]) == 4


def test_a_constant_of_the_gradient(qed_command, target):
    found = qed_command("lipschitz", f"{target}:bowl", "--lower", "low", "--upper", "high")
    assert found.code == 0 and "PROVED" in found.out and " 6" in found.out


@pytest.mark.parametrize("verb", ["globally", "lipschitz"])
def test_what_is_not_defined_everywhere(qed_command, target, verb):
    ends = ("--lower", "low", "--upper", "high")
    ends = (*ends, "--budget", "2s")
    found = qed_command(verb, f"{target}:pole", *ends)
    assert found.code == 0 and "UNKNOWN" in found.out
    assert qed_command(verb, f"{target}:pole", *ends, "--strict").code == 3
    assert qed_command(verb, f"{target}:pole", "--lower", "high", "--upper", "low").code == 2


@pytest.mark.parametrize("verb", ["enclose", "lipschitz", "globally"])
def test_the_box_is_given_as_two_ends_or_as_an_object(qed_command, target, verb):
    by_name = qed_command(verb, f"{target}:bowl", "--box", "low,high", "--json")
    by_number = qed_command(verb, f"{target}:bowl", "--box=-2,2", "--at", "low", "--json")
    assert by_name.code == by_number.code == 0
    assert json.loads(by_name.out)["standing"] == json.loads(by_number.out)["standing"] == "PROVED"
    assert qed_command(verb, f"{target}:bowl", "--at", "low").code == 2
