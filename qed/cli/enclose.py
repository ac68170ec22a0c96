"""``qed enclose FILE.py:FUNCTION --lower NAME --upper NAME``: between which numbers the function stays on a box."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, Strict, Target, Unfold, ask, find_point, find_subject

Lower = Annotated[str, typer.Option("--lower", metavar="NAME", help="The lower ends of the box, or a number.")]
Upper = Annotated[str, typer.Option("--upper", metavar="NAME", help="The upper ends of the box.")]


def command(
    target: Target,
    lower: Lower,
    upper: Upper,
    args: Args = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Between which numbers does the function stay on a box."""
    subject = find_subject(target, lower, args)
    end = find_point(subject.module, subject.source, upper)
    import qed

    ask(lambda: qed.enclose(subject.fun, qed.Box(subject.x, end), *subject.args), as_json, unfold, strict)
