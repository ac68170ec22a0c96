"""``qed minimize FILE.py:FUNCTION --at NAME``: the least value near a start, and what the point found is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from qed.answer import Reason
from qed.cli.box import InBox, Lower, Upper, find_box
from qed.cli.constraints import Equality, Inequality, find_constraints
from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject

Method = Annotated[
    str | None, typer.Option(metavar="NAME", help="newton, l-bfgs, nesterov, adam:1e-2, ...; else chosen.")
]
Tolerance = Annotated[float, typer.Option("--tol", metavar="T", help="For the largest part of the gradient.")]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", min=0, help="How many steps at most.")]
Starts = Annotated[int, typer.Option(metavar="K", min=1, help="How many starts.")]


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    equality: Equality = None,
    inequality: Inequality = None,
    method: Method = None,
    tol: Tolerance = 1e-8,
    steps: Steps = None,
    starts: Starts = 1,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Where is the least value near a start, under constraints; and is the point found a minimum, or why not."""
    subject = find_subject(target, at, args)
    bounds = find_box(subject, box, lower, upper)
    constraints = find_constraints(subject, equality, inequality)
    import qed

    def question() -> Any:
        answer = qed.minimize(
            subject.fun,
            subject.x,
            *subject.args,
            bounds=bounds,
            method=method,
            tol=tol,
            max_steps=steps,
            starts=starts,
            **constraints,
        )
        if not constraints or answer.unknown or answer.reason not in ("minimum", "flat_minimum"):
            return answer
        priced = answer.explain()
        told = {reason.text for reason in answer.reasons}
        more = [reason for reason in priced.reasons if reason.text not in told]
        more = [Reason("price", text=priced.headline, role="open")] if priced.unknown else more
        return replace(answer, reasons=(*answer.reasons, *more))

    ask(question, as_json, unfold, strict)
