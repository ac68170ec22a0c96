"""``qed expect FILE.py:FUNCTION --measure MEASURE [--tol T]``: the integral of a function against a measure."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.measure import measure_of
from qed.cli.question import Args, AsJson, Strict, Target, Unfold, ask, find_arguments
from qed.errors import QedError

HELP = "The measure: its name in the file, or how it is made, such as 'Normal(0, 1)'."
Against = Annotated[str | None, typer.Option("--measure", metavar="MEASURE", help=HELP)]
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
        because = "a function of the file is integrated against a measure"
        raise QedError("QED007", what, because, "write FILE.py:FUNCTION --measure 'Normal(0, 1)'")
    module = load(source)
    fun, against = find(module, source, name, "the function"), measure_of(module, source, measure, "--measure")
    import qed

    ask(lambda: qed.expect(fun, against, *find_arguments(module, source, args), tol=tol), as_json, unfold, strict)
