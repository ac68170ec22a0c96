"""``qed step_size FILE.py:FUNCTION --at NAME``: which step is stable at the point, and which is best."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject

Rule = Annotated[
    str | None, typer.Option("--optimizer", metavar="RULE", help="sgd:0.1,momentum=0.9, adam:1e-3, or a name.")
]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    optimizer: Rule = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Which step is stable at the point, which is best there, and what runs with both did."""
    subject = find_subject(target, at, args)
    rule = optimizer
    if optimizer is not None and optimizer.isidentifier():
        from qed.cli.target import find

        rule = find(subject.module, subject.source, optimizer, "--optimizer")
    import qed

    ask(lambda: qed.step_size(subject.fun, subject.x, *subject.args, optimizer=rule), as_json, unfold, strict)
