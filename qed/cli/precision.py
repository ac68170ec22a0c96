"""``qed precision FILE.py:FUNCTION --at NAME [--box LOWER,UPPER]``: how many digits are lost, and where."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, At, Budget, Strict, Target, Unfold, ask, find_point, find_subject
from qed.errors import QedError

InBox = Annotated[
    str | None, typer.Option("--box", metavar="LOWER,UPPER", help="Look for the worst point between: names or numbers.")
]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    box: InBox = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the search in the box.")] = 0,
    budget: Budget = "",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How many digits of the value and of the gradient are lost, and by which lines."""
    from qed.cli.output import seconds

    subject = find_subject(target, at, args)
    limits = None
    if box is not None:
        ends = [part.strip() for part in box.split(",")]
        if len(ends) != 2:
            raise QedError(
                "QED007", f"--box {box} names no two ends", "a box has a lower and an upper end", "--box 0,1"
            )
        limits = tuple(find_point(subject.module, subject.source, end) for end in ends)
    import qed

    time = seconds(budget) if budget else None
    ask(
        lambda: qed.precision(subject.fun, subject.x, *subject.args, box=limits, seed=seed, budget=time),
        as_json,
        unfold,
        strict,
    )
