"""What a command prints, and how it ends: the answer on stdout as text or JSON, and the exit code."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import typer

from qed.errors import QedError
from qed.report import exit_code


def finish(answer: Any, *, as_json: bool, unfold: bool, strict: bool) -> NoReturn:
    """Print an answer to stdout and end the command with its exit code."""
    show(answer, as_json=as_json, unfold=unfold)
    raise typer.Exit(exit_code(answer, strict))


def show(answer: Any, *, as_json: bool, unfold: bool) -> None:
    """Print an answer to stdout."""
    if as_json:
        typer.echo(json.dumps(answer.to_json(), allow_nan=False))
        return
    from qed.report.text import text

    typer.echo(text(answer, why=unfold))


def seconds(text: str) -> float:
    """A time such as '60', '60s', '2m'.

    Example:
        >>> seconds("90s"), seconds("2m")
        (90.0, 120.0)
    """
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:].lower())
    try:
        value = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise QedError(
            "QED007",
            f"the budget {text!r} is no time",
            "it is a positive number of seconds",
            "write --budget 60s",
        )
    return value
