"""No warm-up: the first steps of Adam are too large, and the run does not recover.

The second moment of Adam is corrected for its start, so that the first step is rate * g / |g|: the full rate in every
parameter, whatever the gradient. Where the loss is steep at its start that step overshoots, and a network whose units
it has switched off, or a loss that it has thrown into a flat region, does not come back. Raising the rate from zero
over some steps avoids it; afterwards the same rate does no harm.

It is told only where it is so: the loss rises at its first steps above where it began, the run with a warm-up and
the same rate after it falls by more than twice as much, and a constant rate of a tenth does not end clearly lower than
that. A run that begins near its minimum, is thrown out by its first steps and comes back is in order.

Reference: Liu et al., *On the variance of the adaptive learning rate and beyond*, 2020, section 3.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.mistakes.tried import clearly_lower
from qed.why.trial import SMALL, Run
from qed.why.words import number, plural

RISES = 20
WARM = 40
TENTH = 0.1


def no_warm_up(case: Case, run: Run) -> list[Answer[Any]]:
    """A rule whose first steps are of the size of its rate, and a run that a warm-up makes better (QED412)."""
    if case.prepared.rule is None or case.prepared.size > SMALL or case.scheduled or case.clock.left <= 0:
        return []
    if not _jumps(run) or not _sign_like(case):
        return []
    warm = case.run("given", "a warm-up", warm=WARM, share=0.3)
    if not clearly_lower(warm, run) or _recovered(run, warm) or case.clock.left <= 0:
        return []
    tenth = case.run("given", "a smaller step", scale=TENTH, share=0.4)
    if clearly_lower(tenth, warm):  # the rate is too large altogether
        return []
    return [_answer(case, run, warm, tenth)]


def _jumps(run: Run) -> bool:
    """Whether the loss rises at its first steps by more than it has left to fall, or fails there."""
    first = run.losses[: RISES + 1]
    if run.failure is not None and run.failure.step <= RISES:
        return len(first) > 1 and np.isfinite(run.losses[0])
    return len(first) > 1 and max(first) > run.start + abs(run.start - min(run.losses)) and max(first) > 2 * run.start


def _recovered(run: Run, warm: Run) -> bool:
    """Whether the run fell by at least half of what the run with a warm-up fell."""
    return run.failure is None and run.start - run.settled >= 0.5 * (warm.start - warm.settled)


def _sign_like(case: Case) -> bool:
    """Whether a gradient a hundred times as large makes the same first step."""
    rule, parameters = (case.prepared.rule or case.rule).optax(), case.prepared.parameters
    gradient = case.curvature("given").gradient(parameters, case.prepared.data)
    if not all(np.isfinite(np.asarray(g).astype(np.float64)).all() for g in gradient):
        return False
    try:
        steps = []
        for factor in (1.0, 100.0):
            scaled = tuple(factor * g for g in gradient)
            change, _ = rule.update(scaled, rule.init(parameters), parameters)
            steps.append([np.asarray(u).astype(np.float64) for u in jax.tree.leaves(change)])
    except Exception:  # it asks for more than gradient, state and parameters
        return False
    size = max(float(np.abs(u).max(initial=0.0)) for u in steps[0])
    return size > 0 and all(np.abs(a - b).max(initial=0.0) <= 0.02 * size for a, b in zip(*steps, strict=True))


def _answer(case: Case, run: Run, warm: Run, tenth: Run) -> Answer[Any]:
    ends = "is not finite" if run.failure is not None else f"ends at {number(run.settled)}"
    top = max(value for value in run.losses[: RISES + 1] if np.isfinite(value))
    slow = "is not finite" if tenth.failure is not None else f"ends at {number(tenth.settled)}"
    text = f"the first steps are too large: without a warm-up the run {ends}, with one at {number(warm.settled)}"
    reason = Reason(
        "both runs were made",
        role="witness",
        text=f"in its first steps the loss goes from {number(run.start)} up to {number(top)}; with the rate rising "
        f"over {WARM} steps the run ends at {number(warm.settled)}; a constant rate of a tenth {slow}",
        predicted=warm.settled,
        observed=run.settled,
        standing=Standing.MEASURED,
    )
    witness = {"end": run.settled, "warm": warm.settled, "tenth": tenth.settled, "highest": top, "over": WARM}
    what = f"warm-up: let the rate rise from 0 over {plural(WARM, 'step')} (optax.linear_schedule), then keep it"
    return Answer(
        "the first steps are no larger than the loss allows",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED412", text, None, witness),),
        advice=(Advice(what, trial=warm.trial()),),
        recheck=lambda: clearly_lower(
            case.runner("given").run(case.prepared.parameters, case.prepared.data, warm.steps, warm=WARM), run
        ),
    )
