"""``qed expect FILE.py:FUNCTION --measure MEASURE [--tol T]``: the integral of a function against a measure."""

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
    """What is the mean of the function under a probability law, or its integral against a measure."""
    from qed.cli.output import seconds

    fun, against, given = find_integral(target, measure, args)
    limit = seconds(budget)
    import qed

    ask(lambda: qed.expect(fun, against, *given, tol=tol, budget=limit), as_json, unfold, strict)
