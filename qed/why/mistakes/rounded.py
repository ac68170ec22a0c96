"""Updates below the resolution of the parameters: w + u is rounded to w.

A number of b significant bits is rounded to a multiple of 2^(1-b) of its size: bfloat16 has b = 8, float16 11. An
update smaller than half of that, 0.2 to 0.4 % of the parameter in bfloat16, changes nothing, however many of them are
made. The cure is a copy of the parameters in float32 that the updates are added to; gradients may stay in 16 bits.

It is told only where most updates of an array of parameters are lost where the run ended, and the run with a float32
copy ends clearly lower.

Reference: Micikevicius et al., *Mixed precision training*, 2018, section 3.1.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.why.case import STEPS, Case
from qed.why.mistakes.tried import clearly_lower
from qed.why.trial import Run, Runner
from qed.why.words import number

MOST = 0.5


def lost_updates(case: Case, run: Run) -> list[Answer[Any]]:
    """16-bit parameters whose updates are rounded away (QED404)."""
    prepared = case.prepared
    narrow = [k for k, p in enumerate(prepared.parameters) if p.dtype.itemsize < 4]
    if not narrow or prepared.rule is None or run.failure is not None or run.last is None or case.clock.left <= 0:
        return []
    lost = _lost(case, run)
    worst = max(narrow, key=lambda k: lost[k])
    if lost[worst] < MOST:
        return []
    copied = _with_copy(case)
    if copied is None or not clearly_lower(copied, run):
        return []
    return [_answer(case, run, copied, worst, lost[worst])]


def _lost(case: Case, run: Run) -> list[float]:
    """Of each array the share of entries whose update is not zero and changes nothing, where the run ended."""
    last = run.last
    assert last is not None
    rule = (case.prepared.rule or case.rule).optax()
    gradient = case.curvature("given").gradient(last.parameters, case.prepared.data)
    try:
        change, _ = rule.update(gradient, last.state, last.parameters)
    except Exception:  # it asks for more than gradient, state and parameters
        return [0.0] * len(last.parameters)
    found = []
    for parameter, update in zip(last.parameters, jax.tree.leaves(change), strict=True):
        moved = np.asarray(update).astype(np.float64) != 0
        same = np.asarray((parameter + update).astype(parameter.dtype) == parameter)
        found.append(float((moved & same).mean()) if moved.size else 0.0)
    return found


def _with_copy(case: Case) -> Run | None:
    """The run whose updates are added to a copy of the parameters in float32."""
    prepared, loss = case.prepared, case.loss("given")
    dtypes = [p.dtype for p in prepared.parameters]

    def narrowed(parameters: Any, data: Any) -> Any:
        return loss(tuple(p.astype(dtype) for p, dtype in zip(parameters, dtypes, strict=True)), data)

    start = tuple(p.astype(jnp.promote_types(p.dtype, jnp.float32)) for p in prepared.parameters)
    run = Runner(narrowed, prepared.rule or case.rule, case.key_position).run(
        start, prepared.data, STEPS, deadline=case.clock.deadline(0.4)
    )
    return run if run.steps else None


def _answer(case: Case, run: Run, copied: Run, worst: int, share: float) -> Answer[Any]:
    path, dtype = case.prepared.paths[worst], case.prepared.parameters[worst].dtype
    text = (
        f"{100 * share:.0f} % of the updates of {path} are rounded away in {dtype}: the run ends at "
        f"{number(run.settled)}, with a float32 copy of the parameters at {number(copied.settled)}"
    )
    reason = Reason(
        "one more update where the run ended",
        formula=f"w + u = w where |u| < {float(jnp.finfo(dtype).eps) / 4:.2g} |w|",
        text=f"the update is not zero and w + u rounds to w in {100 * share:.0f} % of {path}; with updates "
        f"added in float32 the run ends at {number(copied.settled)}",
        predicted=copied.settled,
        observed=run.settled,
        standing=Standing.MEASURED,
    )
    what = "keep the parameters in float32, and cast them to 16 bits inside the loss"
    return Answer(
        "the updates change the parameters",
        Standing.REFUTED,
        arithmetic=str(dtype),
        reasons=(reason,),
        findings=(Finding("QED404", text, None, {"parameter": path, "share": share, "end": run.settled}),),
        advice=(Advice(what, trial=copied.trial()),),
        recheck=lambda: max(_lost(case, run)) >= MOST,
    )
