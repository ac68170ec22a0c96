"""``qed lipschitz FILE.py:FUNCTION --box LOWER,UPPER``: how fast the function, or its gradient, can change."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.output import seconds
from qed.cli.question import Args, AsJson, Budget, Strict, Target, Unfold, ask

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
    strict: Strict = False,
) -> None:
    """How fast can the function, or its gradient, change on a box: a proved Lipschitz constant."""
    subject, found = find_on_box(target, args, box, lower, upper, at)
    import qed

    ask(
        lambda: qed.lipschitz(subject.fun, found, *subject.args, order=order, budget=seconds(budget)),
        as_json,
        unfold,
        strict,
    )
