"""``--equality`` and ``--inequality``: the constraints of a verb, as functions of the user's file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from qed.cli.question import Subject
from qed.cli.target import find

Equality = Annotated[str | None, typer.Option(metavar="NAME", help="The function h with h(x, *args) = 0.")]
Inequality = Annotated[str | None, typer.Option(metavar="NAME", help="The function g with g(x, *args) >= 0.")]


def find_constraints(subject: Subject, equality: str | None, inequality: str | None) -> dict[str, Any]:
    """The constraints that are named, by the verb's keywords."""
    return {
        key: find(subject.module, subject.source, name, f"--{key}")
        for key, name in (("equality", equality), ("inequality", inequality))
        if name is not None
    }
