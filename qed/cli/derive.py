"""``qed derive FILE.py:FUNCTION --at NAME [--args NAME,NAME]``: the derivative by the named rules."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject

Tex = Annotated[bool, typer.Option("--tex", help="Print the derivation as TeX, nothing else.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    tex: Tex = False,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Which rules of differentiation give the derivative, step by step, with the numbers."""
    subject = find_subject(target, at, args)
    import qed

    if tex:
        with contextlib.redirect_stdout(sys.stderr):
            answer = qed.derive(subject.fun, subject.x, *subject.args)
        if answer.value is not None:
            typer.echo(answer.value.tex)
            raise typer.Exit(0)
    ask(lambda: qed.derive(subject.fun, subject.x, *subject.args), as_json, unfold, strict)
