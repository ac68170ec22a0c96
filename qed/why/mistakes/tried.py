"""Trying the cure of a mistake: the same run, with some values of the loss computed otherwise.

What is changed is a value in the graph of the loss (a probability replaced by its logarithm, a table by its
diagonal); the rest is the user's loss, and the run begins where the user's began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qed.answer import Advice
from qed.graph.graph import Variable
from qed.why.case import STEPS, Case
from qed.why.mistakes.flat import Flat, compute
from qed.why.trial import Run, Runner

FAR = 0.25
"""The share of its fall by which a run must end lower than another to end *clearly* lower."""


def clearly_lower(better: Run, run: Run) -> bool:
    """Whether a run ends lower than another by a quarter of its own fall, or is finite where that one is not."""
    if better.failure is not None or better.steps == 0:
        return False
    if run.failure is not None:
        return better.settled < better.start
    return better.settled + FAR * max(0.0, better.start - better.settled) + run.noise < run.settled


def run_with(case: Case, flat: Flat, instead: Mapping[Variable, Any]) -> Run | None:
    """The user's run with some values computed otherwise, or None where it cannot be made.

    Args:
        case: the case.
        flat: the graph of the loss.
        instead: variable -> (other variable, function), as `compute` takes it.
    """
    prepared = case.prepared
    if prepared.rule is None or case.clock.left <= 0 or flat.own_rules:
        return None
    output = flat.graph.outputs[0]

    def loss(parameters: Any, data: Any) -> Any:
        return compute(flat, prepared.join(parameters, data), [output], instead)[0]

    run = Runner(loss, case.rule, case.key_position).run(
        prepared.parameters, prepared.data, STEPS, deadline=case.clock.deadline(0.4)
    )
    return run if run.steps else None


def advice(case: Case, flat: Flat, instead: Mapping[Variable, Any], what: str) -> tuple[Advice, ...]:
    """The advice to compute it otherwise, with its trial; none where it could not be tried."""
    run = run_with(case, flat, instead)
    return () if run is None else (Advice(what, trial=run.trial()),)
