"""``[FILE.py] --p LAW [--q LAW]``: the laws that a verb is asked about, of the file or made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from qed.cli.measure import measure_of
from qed.cli.question import AsJson, Budget, Strict, Unfold, ask
from qed.cli.target import load, split_target
from qed.errors import QedError

File = Annotated[str | None, typer.Argument(metavar="FILE.py", help="The file, or the module, that makes the laws.")]
First = Annotated[str | None, typer.Option("--p", metavar="LAW", help="Under which the mean is taken: 'Normal(0, 1)'.")]
Second = Annotated[str | None, typer.Option("--q", metavar="LAW", help="With which it is compared.")]


def find_laws(target: str | None, **named: str | None) -> tuple[Any, ...]:
    """The measures, or vectors of probabilities, of the options p and q.

    Raises:
        QedError: QED000, QED001 or QED007, with what to write instead.
    """
    source, name = split_target(target) if target else (None, None)
    if name is not None or None in named.values():
        laws = "law is" if len(named) == 1 else "two laws are"
        because = "a law is a measure, or a vector of probabilities of the file"
        example = " ".join(f"--{key} 'Normal({index}, 1)'" for index, key in enumerate(named))
        raise QedError("QED007", f"no {laws} named", because, f"write {example}")
    module = load(source) if source else None
    return tuple(measure_of(module, source, text, f"--{key}") for key, text in named.items() if text is not None)


def pair_command(verb: str, question: str) -> Callable[..., None]:
    """The command of a verb of the library about two laws, verb(p, q, budget), with its question as the help."""

    def command(
        target: File = None,
        p: First = None,
        q: Second = None,
        budget: Budget = "20s",
        as_json: AsJson = False,
        unfold: Unfold = False,
        strict: Strict = False,
    ) -> None:
        from qed.cli.output import seconds

        laws, limit = find_laws(target, p=p, q=q), seconds(budget)
        import qed

        ask(lambda: getattr(qed, verb)(*laws, budget=limit), as_json, unfold, strict)

    command.__doc__ = question
    return command
