"""A loss that falls and falls: it has no lower bound along this run.

A loss that is bounded below falls by less and less, since what is left to fall is finite. One that falls linearly (a
plain sum of the parameters) or like a logarithm (a likelihood whose variance shrinks) may do so on purpose. What is
told is a loss that is negative, a thousand times as far from zero as in its first ten steps, and falls by more in each
third of the run than in all that went before; or a million times as far, however it got there (a straight line comes
to forty times in 400 steps): its sign or one of its terms is turned, or a term that should hold it is missing.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.trial import Run
from qed.why.words import number, plural

TIMES = 1000.0
FURTHER = 1e6


def falls_without_bound(case: Case, run: Run) -> list[Answer[Any]]:
    """The loss that has no lower bound along the run (QED306)."""
    losses = run.losses if run.failure is None else run.losses[:-1]
    end = "-inf" if run.failure is not None else number(losses[-1])
    if run.failure is not None and run.failure.value != "-inf":
        return []
    if len(losses) < 10 or case.prepared.rule is None:
        return []
    third = len(losses) // 3
    parts = [losses[k * third] - losses[(k + 1) * third] for k in range(2)] + [losses[2 * third] - losses[-1]]
    scale = max(1.0, *(abs(value) for value in losses[:10]))
    faster = 0 < 2 * parts[0] < parts[1] and 2 * (parts[0] + parts[1]) < parts[2]
    if not losses[-1] < -(TIMES if faster else FURTHER) * scale:
        return []
    text = f"the loss falls without bound: from {number(losses[0])} to {end} in {plural(run.steps, 'step')}"
    reason = Reason(
        "the run, in thirds",
        text="in thirds of the run it falls by " + ", then ".join(number(part) for part in parts),
        predicted="less in each third",
        observed=parts[2],
        standing=Standing.MEASURED,
    )
    witness = {"start": losses[0], "end": end, "thirds": parts}
    return [
        Answer(
            "the loss has a lower bound along this run",
            Standing.REFUTED,
            arithmetic=case.prepared.dtype,
            reasons=(reason,),
            findings=(Finding("QED306", text, None, witness),),
            recheck=lambda: case.again("given", run).losses[-1] < losses[0],
        )
    ]
