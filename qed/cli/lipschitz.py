"""``qed lipschitz FILE.py:FUNCTION --box LOWER,UPPER``: how fast the function, or its gradient, can change."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.question import Args, AsJson, Budget, Quiet, Strict, Target, Unfold, ask

Order = Annotated[int, typer.Option("--order", metavar="N", help="0: of the function; 1: of its gradient.")]


def command(
    target: Target,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    at: Like = None,
    args: Args = None,
    order: Order = 1,
    budget: Budget = "10s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """How fast can the function, or its gradient, change on a box: a proved Lipschitz constant."""
    from qed.cli.output import seconds
    from qed.cli.progress import Reporter

    subject, found = find_on_box(target, args, box, lower, upper, at)
    limit = seconds(budget)
    import qed

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.lipschitz(
                subject.fun, found, *subject.args, order=order, budget=limit, progress=reporter.progress
            ),
            as_json,
            unfold,
            strict,
        )
