"""``qed convex FILE.py:FUNCTION --box NAME``: is the function convex on a box, or, with ``--at`` alone, everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.question import Args, AsJson, Budget, Quiet, Strict, Target, Unfold, ask

Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of the random search for two points.")]


def command(
    target: Target,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    at: Like = None,
    args: Args = None,
    seed: Seed = 0,
    budget: Budget = "10s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """Is the function convex on a box: with a proof, or two points that show that it is not.

    With --at alone the box is the whole space.
    """
    from qed.cli.output import seconds
    from qed.cli.progress import Reporter

    subject, found = find_on_box(target, args, box, lower, upper, at, whole=True)
    limit = seconds(budget)
    import qed

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.convexity(
                subject.fun, found, *subject.args, seed=seed, budget=limit, progress=reporter.progress
            ),
            as_json,
            unfold,
            strict,
        )
