"""The step question for a rule that is known by its derivative only: what one step does to small errors.

Where probing finds no linear rule, the step itself is linearised (`qed.optimization.propagation`). Its spectral radius
is told as it is; a finding comes of it only where errors grow, the run rises or fails, and a smaller step ends lower.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from qed.answer import Answer, Finding, Reason, Standing
from qed.answer import Measured as MeasuredError
from qed.calculus.arnoldi import outermost
from qed.optimization.local import NotIdentified
from qed.optimization.propagation import Propagation, propagation
from qed.why.case import Case
from qed.why.stability import comparison, worse
from qed.why.trial import Run
from qed.why.words import plural


def carried(case: Case, form: str, words: str) -> Propagation | NotIdentified:
    """What one step of a rule that was not identified does to errors, where the run ended."""
    if not case.unread or case.clock.left <= 0:
        return NotIdentified(words)
    reached = case.unread[max(case.unread)]
    curvature, data = case.curvature(form), case.prepared.data
    gradient = curvature.gradient(reached.parameters, data)
    deadline = case.clock.deadline(0.3)
    found = propagation(
        (case.prepared.rule or case.rule).optax(),
        reached.state,
        reached.parameters,
        gradient,
        curvature.product(reached.parameters, data),
        step=reached.step,
        stop=lambda: time.monotonic() > deadline,
    )
    return found if isinstance(found, Propagation) else NotIdentified(f"{words}, and {found.words}")


def linearised(found: Propagation) -> Answer[Any]:
    """The answer where no limit is known by formula: the linearised step, and a finding where errors grow."""
    ritz = found.ritz
    when = f"after {plural(found.step, 'step')}" if found.step else "at the start"
    text = f"{when}, one step multiplies errors that change their sign or turn by at most {ritz.radius:.4g}"
    if found.factor is not None:
        text += f": {1 / found.factor:.3g} times the rate that is stable there"
    reason = Reason(
        "Arnoldi on the Jacobian of (parameters, state) -> (parameters, state)",
        formula="dw' = dw + D update (H dw, ds, dw), errors grow where |eigenvalue| > 1",
        with_numbers=f"outermost eigenvalue {ritz.value:.4g}, residual {ritz.residual:.2g}",
        role="step",
        predicted=1.0,
        observed=ritz.radius,
        standing=Standing.MEASURED,
        text=f"{text} (residual {ritz.residual:.1g}, {plural(ritz.products, 'product')})",
    )
    return Answer(
        text,
        Standing.MEASURED,
        value=ritz.radius,
        error=MeasuredError(ritz.residual, "Arnoldi", 0),
        reasons=(reason,),
        meta={"radius": ritz.radius, "residual": ritz.residual, "at_step": found.step, "factor": found.factor},
        recheck=lambda: _again(found),
    )


def _again(found: Propagation) -> bool:
    """The same radius from another random start."""
    other = outermost(lambda v: found.product(v, 1.0), found.size, oscillating=True, seed=1)
    room = other.residual + found.ritz.residual + 1e-2 * max(found.ritz.radius, 0.5)
    return abs(other.radius - found.ritz.radius) <= room


def blamed(case: Case, form: str, run: Run, smaller: Run, scale: float, found: Propagation) -> Answer[Any]:
    """QED401 by the linearised step: errors grow where the run was last finite, and a smaller step ends lower."""
    calm = linearised(found)
    times = 1 / (found.factor or 1.0)
    text = f"{calm.claim}, and the run ends worse than with {step_words(case, scale)}"
    witness = {**calm.meta, "end": run.settled, "smaller_scale": scale, "smaller_end": smaller.settled}
    return replace(
        calm,
        claim=f"{case.rule} does as well as a smaller step",
        standing=Standing.REFUTED,
        reasons=(comparison(case, run, smaller, rate_of(case, scale)), *calm.reasons),
        findings=(Finding("QED401", text, None, witness),),
        meta={**calm.meta, "times": times},
        recheck=lambda: worse(case.again(form, run), case.again(form, smaller, scale=scale)),
    )


def step_words(case: Case, scale: float) -> str:
    """A smaller step in words."""
    return f"{scale:.2g} times the update" if case.rule.rate is None else f"step {scale * case.rule.rate:.3g}"


def rate_of(case: Case, scale: float) -> float:
    """The rate of a smaller step, or its factor where the rate is not known."""
    return scale if case.rule.rate is None else scale * case.rule.rate
