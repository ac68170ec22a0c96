"""``qed probability FILE.py:EVENT --measure MEASURE``: how much of a measure lies where the event is true."""

from __future__ import annotations

from qed.cli.against import Against, Tol, find_integral
from qed.cli.question import Args, AsJson, Budget, Strict, Target, Unfold, ask


def command(
    target: Target,
    measure: Against = None,
    args: Args = None,
    tol: Tol = None,
    budget: Budget = "20s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """How probable is an event, a function of the file that returns a truth value."""
    from qed.cli.output import seconds

    fun, against, given = find_integral(target, measure, args)
    limit = seconds(budget)
    import qed

    ask(lambda: qed.probability(fun, against, *given, tol=tol, budget=limit), as_json, unfold, strict)
