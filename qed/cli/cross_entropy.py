"""``qed cross_entropy [FILE.py] --p LAW --q LAW``: the cross-entropy of two laws."""

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
    """How long is a code for p that is made for q: -E log q under p, or that it is infinite."""
    from qed.cli.output import seconds

    laws, limit = find_laws(target, p=p, q=q), seconds(budget)
    import qed

    ask(lambda: qed.cross_entropy(*laws, budget=limit), as_json, unfold, strict)
