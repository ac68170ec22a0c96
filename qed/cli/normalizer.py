"""``qed normalizer FILE.py:LOG_DENSITY [--base MEASURE]``: log Z, the log of what a density integrates to."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.against import find_integral
from qed.cli.question import Args, AsJson, Budget, Strict, Target, Unfold, ask

BASE = "What it is integrated against: 'Lebesgue(0, 1)', 'Counting(0, inf)', a prior; else the whole line."
Base = Annotated[str | None, typer.Option("--base", metavar="MEASURE", help=BASE)]


def command(
    target: Target,
    base: Base = None,
    args: Args = None,
    budget: Budget = "20s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """What is the log of the normalising constant of a log-density, or that it is improper."""
    from qed.cli.output import seconds

    fun, against, given = find_integral(target, base, args, "--base", whole=True)
    limit = seconds(budget)
    import qed

    ask(lambda: qed.normalizer(fun, against, *given, budget=limit), as_json, unfold, strict)
