"""``qed kl FILE.py --p NAME --q NAME``: the divergence of two laws of a file."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.question import AsJson, Strict, Unfold, ask
from qed.errors import QedError

File = Annotated[str, typer.Argument(metavar="FILE.py", help="The file, or the module, that makes the laws.")]
First = Annotated[str | None, typer.Option("--p", metavar="NAME", help="The law under which the mean is taken.")]
Second = Annotated[str | None, typer.Option("--q", metavar="NAME", help="The law that it is compared with.")]


def command(
    target: File,
    p: First = None,
    q: Second = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How far is one law from another: the divergence KL(p || q), or that it is infinite, and where."""
    from qed.cli.target import find, load, split_target

    source, name = split_target(target)
    if name is not None or p is None or q is None:
        because = "two laws are compared, objects of the file: measures, or vectors of probabilities"
        raise QedError("QED007", "no two laws are named", because, "write FILE.py --p NAME --q NAME")
    module = load(source)
    of_p, of_q = find(module, source, p, "--p"), find(module, source, q, "--q")
    import qed

    ask(lambda: qed.kl(of_p, of_q), as_json, unfold, strict)
