"""``FILE.py:FUNCTION`` and a measure: the function that is integrated, and against what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from qed.cli.measure import measure_of
from qed.cli.question import Args, AsJson, Budget, Strict, Target, Unfold, ask, find_arguments
from qed.cli.target import find, load, split_target
from qed.errors import QedError

MEASURE = "The measure: its name in the file, or how it is made, such as 'Normal(0, 1)'."
Against = Annotated[str | None, typer.Option("--measure", metavar="MEASURE", help=MEASURE)]
Tol = Annotated[float | None, typer.Option("--tol", metavar="T", help="How wide the bounds may be to each side.")]


def find_integral(
    target: str, measure: str | None, args: str | None, option: str = "--measure", whole: bool = False
) -> tuple[Callable[..., Any], Any, tuple[Any, ...]]:
    """The function, the measure (None where it may be left out and is), and the further arguments.

    Raises:
        QedError: QED000, QED001 or QED007, with what to write instead.
    """
    source, name = split_target(target)
    if name is None or (measure is None and not whole):
        what = f"{target} names no function" if name is None else "no measure is named"
        because = "a function of the file is integrated against a measure"
        raise QedError("QED007", what, because, f"write FILE.py:FUNCTION {option} 'Normal(0, 1)'")
    module = load(source)
    fun = find(module, source, name, "the function")
    against = None if measure is None else measure_of(module, source, measure, option)
    return fun, against, find_arguments(module, source, args)


def integral_command(verb: str, question: str) -> Callable[..., None]:
    """The command of a verb of the library, verb(fun, measure, *args, tol, budget), with its question as the help."""

    def command(
        target: Target,
        measure: Against = None,
        args: Args = None,
        tol: Tol = None,
        budget: Budget = "20s",
        as_json: AsJson = False,
        unfold: Unfold = False,
        strict: Strict = False,
    ) -> None:
        from qed.cli.output import seconds

        fun, against, given = find_integral(target, measure, args)
        limit = seconds(budget)
        import qed

        ask(lambda: getattr(qed, verb)(fun, against, *given, tol=tol, budget=limit), as_json, unfold, strict)

    command.__doc__ = question
    return command
