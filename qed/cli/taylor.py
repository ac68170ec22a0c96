"""``qed taylor FILE.py:FUNCTION --at NAME --order K [--radius R] [--direction NAME]``: the Taylor polynomial."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_point, find_subject

Order = Annotated[int, typer.Option("--order", metavar="K", help="The degree of the polynomial.")]
Radius = Annotated[float | None, typer.Option("--radius", metavar="R", help="Prove what is left for |t| <= R.")]
Direction = Annotated[
    str | None, typer.Option("--direction", metavar="NAME", help="Expand along it: an object like --at.")
]


def command(
    target: Target,
    at: At = None,
    order: Order = 2,
    radius: Radius = None,
    direction: Direction = None,
    args: Args = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Which polynomial is the function near a point, and how far off can it be."""
    subject = find_subject(target, at, args)
    along = None if direction is None else find_point(subject.module, subject.source, direction)
    import qed

    ask(
        lambda: qed.taylor(subject.fun, subject.x, *subject.args, order=order, direction=along, radius=radius),
        as_json,
        unfold,
        strict,
    )
