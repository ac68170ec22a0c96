"""``qed enclose FILE.py:FUNCTION --box LOWER,UPPER [--width W]``: between which numbers the function stays on a box."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.question import Args, AsJson, Budget, Quiet, Strict, Target, Unfold, ask

Width = Annotated[float | None, typer.Option("--width", metavar="W", help="How far the bounds may be from the range.")]


def command(
    target: Target,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    at: Like = None,
    args: Args = None,
    width: Width = None,
    budget: Budget = "5s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """Between which numbers does the function stay on a box."""
    from qed.cli.output import seconds
    from qed.cli.progress import Reporter

    subject, found = find_on_box(target, args, box, lower, upper, at)
    limit = seconds(budget)
    import qed

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.enclose(
                subject.fun, found, *subject.args, width=width, budget=limit, progress=reporter.progress
            ),
            as_json,
            unfold,
            strict,
        )
