"""``qed VERB FILE.py:FUNCTION --at NAME [--args NAME,NAME]``: the part that all such verbs share.

A verb is a function of the library, ``verb(fun, x, *args, **options) -> Answer``. Its command takes the options below,
finds the objects in the user's file, asks, prints, and ends with the exit code::

    def command(target: Target, at: At = None, args: Args = None, as_json: AsJson = False,
                unfold: Unfold = False, strict: Strict = False) -> None:
        \"\"\"Is the gradient right?\"\"\"
        subject = find_subject(target, at, args)
        import qed
        ask(lambda: qed.check_gradient(subject.fun, subject.x, *subject.args), as_json, unfold, strict)

and is registered by one line in qed/cli/app.py. Nothing heavy is imported before the command runs.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer

from qed.errors import QedError

Target = Annotated[str, typer.Argument(metavar="FILE.py:FUNCTION", help="The function, fun(x, *args) -> scalar.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="NAME", help="Where: the first argument, a number, or '[1, 2]'.")
]
Args = Annotated[str | None, typer.Option("--args", metavar="NAME,NAME", help="The arguments behind the first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON (schema qed/answer/1).")]
Unfold = Annotated[bool, typer.Option("--why", help="Unfold every reason.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 3 where everything is UNKNOWN.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
Budget = Annotated[str, typer.Option("--budget", metavar="SECONDS", help="Time to spend, such as 60s or 2m.")]


@dataclass(frozen=True)
class Subject:
    """What is asked about: a function of the user's file, the point, and the further arguments."""

    fun: Callable[..., Any]
    x: Any
    args: tuple[Any, ...]
    module: ModuleType
    source: str


def find_subject(target: str, at: str | None, args: str | None, role: str = "the function") -> Subject:
    """Import the file and find the objects by their names.

    Raises:
        QedError: QED000, QED001 or QED007, with what to write instead.
    """
    from qed.cli.target import find, load, split_target

    source, name = split_target(target)
    if name is None:
        raise QedError(
            "QED007",
            f"{target} names no function",
            "this question is about one function of the file",
            f"write {target}:NAME",
        )
    module = load(source)
    fun = find(module, source, name, role)
    if not callable(fun):
        raise QedError(
            "QED007",
            f"{name} is no function",
            f"it is a {type(fun).__name__}",
            f"name the function that is {role}",
        )
    if at is None:
        near = _guess_parameters(module)
        raise QedError(
            "QED007",
            "the parameters are not named",
            "--at says which object in the file holds them",
            f"add --at {near}" if near else "add --at NAME",
        )
    return Subject(fun, find_point(module, source, at), find_arguments(module, source, args), module, source)


def find_arguments(module: ModuleType, source: str, names: str | None) -> tuple[Any, ...]:
    """The objects of a list of names, ``X,y``; without one, none."""
    from qed.cli.target import find

    if not names:
        return ()
    return tuple(find(module, source, part.strip(), "--args") for part in names.split(",") if part.strip())


def find_point(module: ModuleType, source: str, at: str) -> Any:
    """The object of a name, or the number that the text is, or the array of numbers in brackets."""
    from qed.cli.target import find

    try:
        return float(at)
    except ValueError:
        pass
    if at.strip().startswith("["):
        return _array(at)
    found = find(module, source, at, "--at")
    if (
        callable(found)
        and not hasattr(found, "__dataclass_fields__")
        and type(found).__name__ in ("function", "method")
    ):
        raise QedError(
            "QED007",
            f"{at} is a function",
            "the parameters are the arrays that it returns",
            f"bind them in {source}: w = {at}(...)",
        )
    return found


def _array(text: str) -> Any:
    import jax.numpy as jnp
    import numpy as np

    try:
        return jnp.asarray(np.asarray(ast.literal_eval(text.strip()), float))
    except (ValueError, SyntaxError, TypeError) as error:
        instead = "write --at '[0.5, -1]', or name an object of the file"
        raise QedError("QED007", f"{text} is no array of numbers", "brackets hold numbers", instead) from error


def _guess_parameters(module: ModuleType) -> str | None:
    for name in ("w", "params", "parameters", "theta", "weights", "model", "x0", "x"):
        if hasattr(module, name):
            return name
    return None


def ask(question: Callable[[], Any], as_json: bool, unfold: bool, strict: bool) -> NoReturn:
    """Ask, print the answer and end; what the user's function prints goes to stderr."""
    from qed.cli.output import finish

    with contextlib.redirect_stdout(sys.stderr):
        answer = question()
    finish(answer, as_json=as_json, unfold=unfold, strict=strict)
