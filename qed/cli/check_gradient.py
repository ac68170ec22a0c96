"""``qed check FILE.py:fun --at NAME``: is the gradient right?"""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    order: Annotated[int, typer.Option("--order", metavar="1|2", help="2: second derivatives too.")] = 1,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Is the gradient right? Compares every derivative rule with the derivative of its function."""
    subject = find_subject(target, at, args)
    import qed

    ask(lambda: qed.check_gradient(subject.fun, subject.x, *subject.args, order=order), as_json, unfold, strict)
