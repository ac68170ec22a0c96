"""qed taylor FILE.py:FUNCTION: the polynomial on the command line."""

import json

import pytest
from typer.testing import CliRunner

from qed.cli.app import app

FILE = """\
import jax.numpy as jnp

w = jnp.array([0.5, 1.0])
d = jnp.array([1.0, -1.0])


def loss(w):
    return jnp.sum(jnp.sin(w) * w)


def log(x):
    return jnp.log(1 + x)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text(FILE, encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["taylor", *map(str, arguments)])


def test_the_series_of_the_logarithm(file):
    result = run(f"{file}:log", "--at", "0.0", "--order", 5)
    assert result.exit_code == 0
    assert "x - 1/2 x^2 + 1/3 x^3 - 1/4 x^4 + 1/5 x^5" in result.stdout.replace("\n ", "")
    assert "|x| < 1" in result.stdout


def test_along_a_direction_as_json(file):
    result = run(f"{file}:loss", "--at", "w", "--order", 3, "--direction", "d", "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["value"]["coefficients"]) == 4
