"""``qed stabilize FILE.py:FUNCTION --at NAME``: the same function with its digits kept, and the patch of the source."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer

from qed.cli.box import InBox, Lower, Upper, find_box
from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, find_subject

Everywhere = Annotated[bool, typer.Option("--everywhere", help="Rewrite also what keeps its digits.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    everywhere: Everywhere = False,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Which expressions lose digits, what to write instead, and the bits before and after.

    With a box only what can lose digits there is rewritten.
    """
    from qed.cli.output import finish, show
    from qed.report import exit_code

    subject = find_subject(target, at, args)
    import qed

    options: dict[str, Any] = {"everywhere": True} if everywhere else {}
    if (limits := find_box(subject, box, lower, upper)) is not None:
        options |= {"box": limits, "at": (subject.x, *subject.args) if subject.args else subject.x}
    with contextlib.redirect_stdout(sys.stderr):
        answer = qed.stabilize(subject.fun, **options).rewrites(subject.x, *subject.args)
    if answer.value is not None and answer.value.patch and not as_json:
        show(answer, as_json=as_json, unfold=unfold)
        typer.echo(f"\nPatch, each expression tried at this point:\n{answer.value.patch}")
        raise typer.Exit(exit_code(answer, strict))
    finish(answer, as_json=as_json, unfold=unfold, strict=strict)
