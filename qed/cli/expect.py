"""``qed expect FILE.py:FUNCTION --measure NAME [--tol T]``: the integral of a function against a measure."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import Args, AsJson, Strict, Target, Unfold, ask, find_arguments
from qed.errors import QedError

Against = Annotated[str | None, typer.Option("--measure", metavar="NAME", help="The measure, made by qed.measures.")]
Tol = Annotated[float | None, typer.Option("--tol", metavar="T", help="How wide the bounds may be to each side.")]


def command(
    target: Target,
    measure: Against = None,
    args: Args = None,
    tol: Tol = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """What is the mean of the function under a probability law, or its integral against a measure."""
    from qed.cli.target import find, load, split_target

    source, name = split_target(target)
    if name is None or measure is None:
        what = f"{target} names no function" if name is None else "no measure is named"
        because = "a function is integrated against a measure, both objects of the file"
        raise QedError("QED007", what, because, "write FILE.py:FUNCTION --measure NAME")
    module = load(source)
    fun, against = find(module, source, name, "the function"), find(module, source, measure, "--measure")
    import qed

    ask(lambda: qed.expect(fun, against, *find_arguments(module, source, args), tol=tol), as_json, unfold, strict)
