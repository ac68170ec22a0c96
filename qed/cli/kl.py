"""``qed kl [FILE.py] --p LAW --q LAW``: the divergence of two laws."""

from __future__ import annotations

from qed.cli.laws import File, First, Second, find_laws
from qed.cli.question import AsJson, Budget, Strict, Unfold, ask


def command(
    target: File = None,
    p: First = None,
    q: Second = None,
    budget: Budget = "20s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How far is one law from another: the divergence KL(p || q), or that it is infinite, and where."""
    from qed.cli.output import seconds

    laws, limit = find_laws(target, p=p, q=q), seconds(budget)
    import qed

    ask(lambda: qed.kl(*laws, budget=limit), as_json, unfold, strict)
