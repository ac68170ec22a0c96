"""``qed minimize_globally FILE.py:FUNCTION --lower NAME --upper NAME``: the least value on a box, and all places."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.enclose import Lower, Upper
from qed.cli.output import seconds
from qed.cli.question import Args, AsJson, Budget, Quiet, Strict, Target, Unfold, ask, find_point, find_subject

Tolerance = Annotated[float, typer.Option("--tol", metavar="T", help="How wide the bounds of the minimum may be.")]


def command(
    target: Target,
    lower: Lower,
    upper: Upper,
    args: Args = None,
    tol: Tolerance = 1e-6,
    budget: Budget = "60s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """Where is the least value of the function on a box: proved bounds, and boxes with all minimisers."""
    subject = find_subject(target, lower, args)
    end = find_point(subject.module, subject.source, upper)
    import qed
    from qed.cli.progress import Reporter

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.minimize_globally(
                subject.fun,
                qed.Box(subject.x, end),
                *subject.args,
                tol=tol,
                budget=seconds(budget),
                progress=reporter.progress,
            ),
            as_json,
            unfold,
            strict,
        )
