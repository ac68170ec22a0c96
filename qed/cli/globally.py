"""``qed minimize_globally FILE.py:FUNCTION --box LOWER,UPPER``: the least value on a box, and all places."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.output import seconds
from qed.cli.question import Args, AsJson, Budget, Quiet, Strict, Target, Unfold, ask

Tolerance = Annotated[float, typer.Option("--tol", metavar="T", help="How wide the bounds of the minimum may be.")]


def command(
    target: Target,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    at: Like = None,
    args: Args = None,
    tol: Tolerance = 1e-6,
    budget: Budget = "60s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """Where is the least value of the function on a box: proved bounds, and boxes with all minimisers."""
    subject, found = find_on_box(target, args, box, lower, upper, at)
    import qed
    from qed.cli.progress import Reporter

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.minimize_globally(
                subject.fun,
                found,
                *subject.args,
                tol=tol,
                budget=seconds(budget),
                progress=reporter.progress,
            ),
            as_json,
            unfold,
            strict,
        )
