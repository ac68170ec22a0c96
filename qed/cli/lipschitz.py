"""``qed lipschitz FILE.py:FUNCTION --lower NAME --upper NAME``: how fast the function, or its gradient, can change."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.enclose import Lower, Upper
from qed.cli.output import seconds
from qed.cli.question import Args, AsJson, Budget, Strict, Target, Unfold, ask, find_point, find_subject

Order = Annotated[int, typer.Option("--order", metavar="N", help="0: of the function; 1: of its gradient.")]


def command(
    target: Target,
    lower: Lower,
    upper: Upper,
    args: Args = None,
    order: Order = 1,
    budget: Budget = "10s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How fast can the function, or its gradient, change on a box: a proved Lipschitz constant."""
    subject = find_subject(target, lower, args)
    end = find_point(subject.module, subject.source, upper)
    import qed

    box = qed.Box(subject.x, end)
    ask(
        lambda: qed.lipschitz(subject.fun, box, *subject.args, order=order, budget=seconds(budget)),
        as_json,
        unfold,
        strict,
    )
