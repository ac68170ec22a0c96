"""The command line in this process: one import of JAX for all of its tests."""

import sys
import textwrap
from dataclasses import dataclass

import pytest


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def qed_command(monkeypatch, capsys):
    """``qed_command("why", "train.py:loss", ...)`` -> Outcome; what a target leaves behind is undone."""
    path, modules = list(sys.path), set(sys.modules)

    def run(*arguments):
        from qed.cli.app import main

        monkeypatch.setattr(sys, "argv", ["qed", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    yield run
    sys.path[:] = path
    keep = ("jax", "numpy", "optax", "scipy", "qed.", "rich", "typer", "flax", "equinox")
    for name in set(sys.modules) - modules:
        if not name.startswith(keep):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path):
    """``write("train.py", text)`` -> its path; the text is dedented and begins with the usual imports."""

    def write_file(name, text, imports=True):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "import jax\nimport jax.numpy as jnp\n" if imports else ""
        path.write_text(head + textwrap.dedent(text), encoding="utf-8")
        return path

    return write_file
