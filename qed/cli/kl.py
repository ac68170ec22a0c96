"""``qed kl [FILE.py] --p LAW --q LAW``: the divergence of two laws."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.measure import measure_of
from qed.cli.question import AsJson, Strict, Unfold, ask
from qed.errors import QedError

File = Annotated[str | None, typer.Argument(metavar="[FILE.py]", help="The file, or the module, that makes the laws.")]
First = Annotated[str | None, typer.Option("--p", metavar="LAW", help="Under which the mean is taken: 'Normal(0, 1)'.")]
Second = Annotated[str | None, typer.Option("--q", metavar="LAW", help="With which it is compared.")]


def command(
    target: File = None,
    p: First = None,
    q: Second = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How far is one law from another: the divergence KL(p || q), or that it is infinite, and where."""
    from qed.cli.target import load, split_target

    source, name = split_target(target) if target else (None, None)
    if name is not None or p is None or q is None:
        because = "two laws are compared: measures, or vectors of probabilities of the file"
        raise QedError("QED007", "no two laws are named", because, "write --p 'Normal(0, 1)' --q 'Normal(1, 2)'")
    module = load(source) if source else None
    of_p, of_q = measure_of(module, source, p, "--p"), measure_of(module, source, q, "--q")
    import qed

    ask(lambda: qed.kl(of_p, of_q), as_json, unfold, strict)
