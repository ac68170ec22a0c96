"""``qed why FILE.py:loss --at NAME``: from names on the command line to a `qed.Problem`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from qed.answer import Answer
from qed.cli.question import find_subject
from qed.cli.target import find, split_target
from qed.errors import QedError


@dataclass(frozen=True)
class Script:
    """How a whole script is to be run.

    Args:
        arguments: its own command line.
        steps: stop it after so many steps, or None.
        quiet_stdout: send what it prints to stderr, because stdout belongs to the result (JSON).
    """

    arguments: tuple[str, ...] = ()
    steps: int | None = None
    quiet_stdout: bool = False


def ask(
    target: str,
    *,
    at: str | None,
    args: str | None,
    names: str | None,
    key: str | None,
    step: str | None,
    has_aux: bool,
    budget: float,
    script: Script | None = None,
    progress: Any = None,
    first_verdict: Any = None,
) -> Answer[Any]:
    """Load the target and ask `qed.why`."""
    source, name = split_target(target)
    if _is_recording(source):
        return _ask_recording(target, {"--at": at, "--args": args, "--names": names, "--key": key, "--step": step})
    if name is None:
        return _ask_script(source, script, at, step, budget, progress, first_verdict)
    subject = find_subject(target, at, args, "the loss")
    module = subject.module
    import qed

    problem = qed.Problem(
        subject.fun,
        subject.x,
        subject.args,
        names=None if names is None else find(module, source, names, "--names"),
        key=None if key is None else find(module, source, key, "--key"),
        step=_step(module, step),
        has_aux=has_aux,
        budget=budget,
    )
    from qed.why.diagnose import why

    with contextlib.redirect_stdout(sys.stderr):  # the loss may print, when it is traced or when it runs
        return why(problem, progress=progress, first_verdict=first_verdict)


def _is_recording(source: str) -> bool:
    """Whether the target is a recording of `qed.watch`: by its ending, or by its first line."""
    if source.endswith((".qedrec", ".py")) or not Path(source).is_file():
        return source.endswith(".qedrec")
    from qed.optimization.recording import is_recording

    return is_recording(source)


def _ask_recording(source: str, options: dict[str, str | None]) -> Answer[Any]:
    given = [option for option, value in options.items() if value is not None]
    if given:
        because = f"{source} is a recording, which has neither"
        raise QedError("QED007", f"{given[0]} belongs to a loss", because, f"write qed why {source}")
    from qed.why.diagnose import why
    from qed.why.problem import Problem

    return why(Problem(recording=source))


def _ask_script(
    source: str,
    script: Script | None,
    at: str | None,
    step: str | None,
    budget: float,
    progress: Any,
    first_verdict: Any,
) -> Answer[Any]:
    if at is not None or step is not None:
        raise QedError(
            "QED007",
            "--at and --step belong to a loss, and none is named",
            f"{source} alone means the whole script, whose parameters and step rule are read from its run",
            f"name the loss: qed why {source}:loss --at {at or 'NAME'}, or leave the options out",
        )
    from qed.why.script import why_script

    how = script or Script()
    return why_script(
        source,
        how.arguments,
        steps=how.steps,
        budget=budget,
        progress=progress,
        first_verdict=first_verdict,
        stdout=sys.stderr if how.quiet_stdout else None,
    )


def _step(module: ModuleType, step: str | None) -> Any:
    """The step rule: text as the library reads it, or the name of an optax transformation in the file."""
    if step is not None and step.isidentifier() and hasattr(module, step):
        return getattr(module, step)
    return step
