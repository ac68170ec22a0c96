"""``FILE.py:FUNCTION`` and a measure: the function that is integrated, and against what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from qed.cli.measure import measure_of
from qed.cli.question import find_arguments
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
