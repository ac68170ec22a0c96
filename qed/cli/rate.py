"""``qed rate FILE.py:FUNCTION --at NAME --method NAME``: how fast a method converges, predicted and seen."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.box import InBox, Lower, Upper, find_box
from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject

Method = Annotated[str, typer.Option("--method", metavar="NAME", help="gradient, heavy-ball, nesterov or newton.")]
Steps = Annotated[int, typer.Option("--steps", metavar="N", help="How many steps are made.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    method: Method = "gradient",
    steps: Steps = 100,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How fast does a method converge: by the curvatures at its limit, and by its iterates."""
    subject = find_subject(target, at, args)
    region = find_box(subject, box, lower, upper)
    import qed

    ask(
        lambda: qed.rate(subject.fun, subject.x, *subject.args, method=method, steps=steps, region=region),
        as_json,
        unfold,
        strict,
    )
