"""``qed spectrum FILE.py:FUNCTION --at NAME``: eigenvalues of the Hessian, each with its error."""

from __future__ import annotations

from typing import Annotated

import typer

from qed.cli.output import seconds
from qed.cli.question import Args, AsJson, At, Budget, Quiet, Strict, Target, Unfold, ask, find_subject

Count = Annotated[int, typer.Option("--k", "-k", metavar="N", help="How many eigenvalues.")]
Which = Annotated[str, typer.Option("--which", metavar="END", help="magnitude, largest or smallest.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of the random start.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    k: Count = 5,
    which: Which = "magnitude",
    seed: Seed = 0,
    budget: Budget = "60s",
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """How does the function bend: eigenvalues of the Hessian with error bars, and in which parameters."""
    subject = find_subject(target, at, args)
    import qed
    from qed.cli.progress import Reporter

    with Reporter(quiet=quiet) as reporter:
        ask(
            lambda: qed.spectrum(
                subject.fun,
                subject.x,
                *subject.args,
                k=k,
                which=which,
                seed=seed,
                budget=seconds(budget),
                progress=reporter.follow,
            ),
            as_json,
            unfold,
            strict,
        )
