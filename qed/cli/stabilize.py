"""``qed stabilize FILE.py:FUNCTION --at NAME``: the same function with its digits kept, and the patch of the source."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, find_point, find_subject

Side = Annotated[str | None, typer.Option(metavar="NAME", help="Only what can lose digits in a box: its ends.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="Rewrite also what keeps its digits.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    lower: Side = None,
    upper: Side = None,
    everywhere: Everywhere = False,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Which expressions lose digits, what to write instead, and the bits before and after."""
    from qed.cli.output import finish, show
    from qed.report import exit_code

    subject = find_subject(target, at, args)
    import qed

    options: dict[str, Any] = {"everywhere": True} if everywhere else {}
    if lower is not None and upper is not None:
        ends = [find_point(subject.module, subject.source, end) for end in (lower, upper)]
        options |= {"box": tuple(ends), "at": (subject.x, *subject.args) if subject.args else subject.x}
    with contextlib.redirect_stdout(sys.stderr):
        answer = qed.stabilize(subject.fun, **options).rewrites(subject.x, *subject.args)
    if answer.value is not None and answer.value.patch and not as_json:
        show(answer, as_json=as_json, unfold=unfold)
        typer.echo(f"\nPatch, each expression tried at this point:\n{answer.value.patch}")
        raise typer.Exit(exit_code(answer, strict))
    finish(answer, as_json=as_json, unfold=unfold, strict=strict)
