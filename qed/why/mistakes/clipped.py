"""A gradient that is clipped at every step: the rate is another than the one that is written.

Clipping the norm to c replaces g by g min(1, c / |g|). Where |g| > c at every step it is no safeguard against a few
large gradients but a rule of its own, normalised gradient descent with the effective rate

    rate c / |g|,

whose steps have the same length however near the minimum is. (Behind a second moment the factor cancels, and only its
changes from step to step are felt.) That may be what is wanted, and is a note.

The threshold is read from probing the rule where it was identified, and compared with the norm at every step.

Reference: Zhang, He, Sra and Jadbabaie, *Why gradient clipping accelerates training*, 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.trial import Run
from qed.why.words import number, plural

FEWEST = 20


def always_clipped(case: Case, run: Run) -> list[Answer[Any]]:
    """A norm of the gradient beyond the clipping threshold at every step (QED414)."""
    norms = np.asarray(run.norms[: run.steps])
    seen = [(step, local.clipped) for step, local in case.locals.items() if step < len(run.norms) and local.clipped < 1]
    if run.failure is not None or len(norms) < FEWEST or not seen or not np.isfinite(norms).all():
        return []
    thresholds = [factor * run.norms[step] for step, factor in seen]
    threshold = float(np.median(thresholds))
    if max(thresholds) > 1.02 * min(thresholds) or not (norms > 1.001 * threshold).all():
        return []
    factor = threshold / norms
    local = next(iter(case.locals.values()))
    text = (
        f"the gradient is clipped at every one of {plural(len(norms), 'step')}: its norm is "
        f"{number(float(norms.min()))} to {number(float(norms.max()))}, the threshold {threshold:.3g}"
    )
    rate = (
        ""
        if local.rate is None or local.preconditioned
        else (f"; rate {local.rate:.3g} acts as {local.rate * factor.min():.3g} to {local.rate * factor.max():.3g}")
    )
    reason = Reason(
        "the norm of the gradient at each step",
        formula="g min(1, c / |g|)",
        text=f"clipping multiplies the gradient by {factor.min():.3g} to {factor.max():.3g}, and never by 1{rate}",
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
        )
    ]
