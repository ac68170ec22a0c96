"""``qed entropy [FILE.py] --p LAW``: the entropy of a law."""

from __future__ import annotations

from qed.cli.laws import File, First, find_laws
from qed.cli.question import AsJson, Budget, Strict, Unfold, ask


def command(
    target: File = None,
    p: First = None,
    budget: Budget = "20s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How uncertain is a law: its entropy, -E log p; of a density, against Lebesgue measure."""
    from qed.cli.output import seconds

    laws, limit = find_laws(target, p=p), seconds(budget)
    import qed

    ask(lambda: qed.entropy(*laws, budget=limit), as_json, unfold, strict)
