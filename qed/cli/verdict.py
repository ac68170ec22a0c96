"""``qed verdict FILE.py:FUNCTION --at NAME``: what a point is that anyone found."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Lower, Upper, find_box
from qed.cli.constraints import Equality, Inequality, find_constraints
from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject
from qed.cli.target import find

MULTIPLIERS = "The solver's multipliers: a mapping with equality, inequality, lower, upper."
Multipliers = Annotated[str | None, typer.Option(metavar="NAME", help=MULTIPLIERS)]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    equality: Equality = None,
    inequality: Inequality = None,
    multipliers: Multipliers = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """What is the point that a solver ended at: a minimum, under constraints too, or why it is none."""
    subject = find_subject(target, at, args)
    options = {"bounds": find_box(subject, box, lower, upper), **find_constraints(subject, equality, inequality)}
    if multipliers is not None:
        options["multipliers"] = find(subject.module, subject.source, multipliers, "--multipliers")
    import qed

    ask(lambda: qed.verdict(subject.fun, subject.x, *subject.args, **options), as_json, unfold, strict)
