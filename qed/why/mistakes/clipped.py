"""A gradient that is clipped at every step: the rate is another than the one that is written.

Clipping the norm to c replaces g by g min(1, c / |g|). Where |g| > c at every step it is no safeguard against a few
large gradients but a rule of its own, normalised gradient descent with the effective rate

    rate c / |g|,

whose steps have the same length however near the minimum is. (Behind a second moment the factor cancels, and only its
changes from step to step are felt.) That may be what is wanted, and is a note; where the same rate without clipping
ends clearly lower, that run is shown as advice.

Clipping each entry to c makes steps of signs of it: where no entry is smaller, descent takes the direction sign(g).
A gradient whose norm is above c sqrt(n) has an entry above c.

The threshold is read from probing the rule where it was identified, and compared with the norm at every step.

Reference: Zhang, He, Sra and Jadbabaie, *Why gradient clipping accelerates training*, 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.optimization.step import StepRule
from qed.why.case import Case
from qed.why.mistakes.tried import clearly_lower
from qed.why.trial import Run, Runner
from qed.why.words import number, plural

FEWEST = 20


def always_clipped(case: Case, run: Run) -> list[Answer[Any]]:
    """A norm of the gradient beyond the clipping threshold at every step (QED414)."""
    norms = np.asarray(run.norms[: run.steps])
    if run.failure is not None or len(norms) < FEWEST or not np.isfinite(norms).all():
        return []
    found = {step: local for step, local in case.locals.items() if step < len(run.norms)}
    by_norm = [local.clipped * run.norms[step] for step, local in found.items() if local.clipped < 1]
    by_entry = [local.ceiling for local in found.values() if local.ceiling is not None]
    if by_norm:
        return _told(case, run, norms, by_norm, entries=1)
    return _told(case, run, norms, by_entry, entries=sum(np.size(leaf) for leaf in case.prepared.parameters))


def _told(case: Case, run: Run, norms: np.ndarray, thresholds: list[float], entries: int) -> list[Answer[Any]]:
    """The finding; with more than one entry the threshold is that of each of them."""
    if not thresholds or max(thresholds) > 1.02 * min(thresholds):
        return []
    threshold = float(np.median(thresholds))
    reached = norms / np.sqrt(entries)
    if not (reached > 1.001 * threshold).all():
        return []
    local = next(iter(case.locals.values()))
    if entries > 1:
        text = (
            f"entries of the gradient are clipped at every one of {plural(len(norms), 'step')}: the largest is above "
            f"{number(float(reached.min()))}, the threshold {threshold:.3g}"
        )
        why = "a gradient of n entries has one of at least its norm over the root of n"
        formula = "sign(g_i) min(|g_i|, c)"
    else:
        factor = threshold / norms
        text = (
            f"the gradient is clipped at every one of {plural(len(norms), 'step')}: its norm is "
            f"{number(float(norms.min()))} to {number(float(norms.max()))}, the threshold {threshold:.3g}"
        )
        why = f"clipping multiplies the gradient by {factor.min():.3g} to {factor.max():.3g}, and never by 1"
        if local.rate is not None and not local.preconditioned:
            why += f"; rate {local.rate:.3g} acts as {local.rate * factor.min():.3g} to {local.rate * factor.max():.3g}"
        formula = "g min(1, c / |g|)"
    reason = Reason(
        "the norm of the gradient at each step",
        formula=formula,
        text=why,
        predicted="some steps below the threshold",
        observed=f"{len(norms)} of {len(norms)} above it",
        standing=Standing.MEASURED,
    )
    witness = {
        "threshold": threshold,
        "smallest": float(norms.min()),
        "largest": float(norms.max()),
        "steps": len(norms),
    }
    return [
        Answer(
            "the norm of the gradient was compared with the clipping threshold at each step",
            Standing.MEASURED,
            arithmetic=case.prepared.dtype,
            reasons=(reason,),
            findings=(Finding("QED414", text, None, witness),),
            advice=_unclipped(case, run, local.rate if not local.preconditioned else None),
        )
    ]


def _unclipped(case: Case, run: Run, rate: float | None) -> tuple[Advice, ...]:
    """The run at the same rate without clipping, where it ends clearly lower."""
    if rate is None or case.scheduled or case.clock.left <= 0:
        return ()
    plain = Runner(case.loss("given"), StepRule("sgd", rate), case.key_position).run(
        case.prepared.parameters, case.prepared.data, run.steps, deadline=case.clock.deadline(0.3)
    )
    if not clearly_lower(plain, run):
        return ()
    return (Advice(f"leave the clipping out, keep the rate {rate:.4g}", trial=plain.trial()),)
