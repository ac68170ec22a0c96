"""``qed precision FILE.py:FUNCTION --at NAME [--box LOWER,UPPER]``: how many digits are lost, and where."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Lower, Upper, find_box
from qed.cli.question import Args, AsJson, At, Budget, Strict, Target, Unfold, ask, find_subject


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the search in the box.")] = 0,
    budget: Budget = "",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How many digits of the value and of the gradient are lost, and by which lines.

    With a box the worst point in it is looked for.
    """
    from qed.cli.output import seconds

    subject = find_subject(target, at, args)
    limits = find_box(subject, box, lower, upper)
    import qed

    time = seconds(budget) if budget else None
    ask(
        lambda: qed.precision(subject.fun, subject.x, *subject.args, box=limits, seed=seed, budget=time),
        as_json,
        unfold,
        strict,
    )
