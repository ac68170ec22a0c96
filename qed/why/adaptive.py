"""The step question for Adam, RMSProp and schedules: the limit of the frozen rule, and a trial beside it.

What an update does near a state is identified by probing (`qed.optimization.adaptive`). A preconditioner means
something only once it is warm, so that the limit of Adam is measured where the tried run ends, and at the start only
the first step is predicted: it is rate times the sign of the gradient, and may be many times beyond any limit without
harm. Exceeding a limit is a note, as for gradient descent; networks trained by Adam stay close to it by themselves. It
is a finding only where the run rises or fails and a smaller step does not, or where the smaller step ends far lower.
Where the rate stays below the limit, but near it, and the loss goes up and down, a tenth of it is tried too.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Standing
from qed.calculus.hessian import flatten
from qed.calculus.lanczos import steepest
from qed.optimization.adaptive import identify_update
from qed.optimization.local import LocalRule, NotIdentified
from qed.optimization.propagation import Propagation
from qed.why.case import STEPS, WARM, Case
from qed.why.curvature import Steepness, shares
from qed.why.limit import Limit, first_step, numbers, reasons, sentence
from qed.why.linearised import blamed, carried, linearised, rate_of, step_words
from qed.why.stability import (
    SAFETY,
    Judgement,
    comparison,
    rises,
    smaller_is_better,
    still_smaller,
    unexplained,
    within,
    worse,
)
from qed.why.trial import SMALL, Reached, Run
from qed.why.words import number, plural

FAR = 0.25
EDGE = 0.98


def measure(case: Case, form: str, reached: Reached) -> Limit | NotIdentified:
    """The local limit at a point of a run, or why it is not known."""
    curvature, data = case.curvature(form), case.prepared.data
    gradient = curvature.gradient(reached.parameters, data)
    if not np.isfinite(flatten(gradient)).all():
        return NotIdentified("its gradient is not finite there")
    schedule = case.schedule
    at = int(case.planned[int(np.argmax(schedule))]) if case.scheduled and schedule is not None else None
    given = case.prepared.rule or case.rule
    local = identify_update(given.optax(), reached.state, reached.parameters, gradient, step=at)
    if isinstance(local, NotIdentified):
        case.unread[reached.step] = reached
        return NotIdentified(f"its update {local.words}")
    case.locals[reached.step] = local
    if local.preconditioned and reached.step < WARM:
        return NotIdentified(f"its second moment is not warm before {plural(WARM, 'step')}")
    if case.progress is not None:
        case.progress("preconditioned curvature", 0, 0)
    deadline = case.clock.deadline(0.4)
    product = local.load(curvature.product(reached.parameters, data))
    try:
        pair = steepest(product, flatten(gradient).size, stop=lambda: time.monotonic() > deadline)
    except NotImplementedError:
        return NotIdentified("the gradient has no derivative")
    if not pair.finite:
        return NotIdentified("a Hessian product is not finite there")
    share, crossing = _share(case, reached.step, local, max(0.0, pair.value) / 2)
    direction = np.sqrt(local.response) * pair.vector
    size = float(np.linalg.norm(direction))
    named = shares(direction / size, case.prepared) if size > 0 else ()
    return Limit(reached.step, local, pair, share, case.scheduled, crossing, named, product)


def _share(case: Case, step: int, local: LocalRule, times: float) -> tuple[float, int | None]:
    """The part of the largest rate to judge by, and the first planned step beyond the limit."""
    if not case.scheduled or case.schedule is None:
        return 1.0, None
    planned, schedule = case.planned, case.schedule
    ahead = planned >= step
    beyond = np.flatnonzero(ahead & (schedule * times > 1))
    crossing = int(planned[beyond[0]]) if beyond.size else None
    if local.preconditioned:  # the preconditioner belongs to this step
        before = max((k for k in case.waypoints if k < step), default=0)
        risen = np.flatnonzero((planned > before) & (planned <= step) & (schedule * times > 1))
        share = float(np.interp(step, planned, schedule))
        return share, int(planned[risen[0]]) if risen.size and share * times > 1 else crossing
    inside = ahead & (planned < max(STEPS, step + 1))
    return float(schedule[inside].max(initial=0.0)), crossing


# --- the judgement --------------------------------------------------------------------------------------------


def judge_adaptive(case: Case, form: str, run: Run, steep: Steepness | None) -> Judgement:
    """Judge a step rule whose limit has no closed form at the start.

    Args:
        case: the case.
        form: the form of the loss that is judged.
        run: the run of that form with the user's rule.
        steep: the curvature at the start.
    """
    falls = run.failure is not None and run.failure.value == "-inf"  # unbounded below: no smaller step cures that
    suspicious = (run.failure is not None or rises(run)) and not falls
    found: Limit | NotIdentified | Propagation = _along(case, form, run, suspicious)
    if isinstance(found, NotIdentified):
        found = carried(case, form, found.words)
    limit = found if isinstance(found, Limit) and _beyond(found, suspicious) else None
    rough = not suspicious and limit is None and _is_rough(run, found) and case.clock.left > 0
    if rough and isinstance(found, Limit):
        smaller = case.run(form, "a smaller step", scale=0.1, steps=run.steps, share=0.3)
        if smaller.failure is None and _far_worse(run, smaller):
            tried = (rate_of(case, 0.1), smaller)
            return Judgement(_too_large(case, form, run, smaller, 0.1, found), "QED401", tried, steep)
    if not suspicious and (limit is None or falls):
        return Judgement(_calm(case, form, run, steep, found), None, None, steep)
    scale = 0.1 if suspicious or limit is None else min(0.3, SAFETY / limit.times)
    steps = run.steps if run.failure is None else STEPS
    smaller = case.run(form, "a smaller step", scale=scale, steps=steps, share=0.3)
    if suspicious:
        scale, smaller = still_smaller(case, form, scale, steps, smaller)
    shown = rate_of(case, scale)
    tried = (shown, smaller)
    if isinstance(found, Propagation) and found.grows and worse(run, smaller):
        return Judgement(blamed(case, form, run, smaller, scale, found), "QED401", tried, steep)
    if limit is not None and worse(run, smaller) and (suspicious or _far_worse(run, smaller)):
        return Judgement(_too_large(case, form, run, smaller, scale, limit), "QED401", tried, steep)
    if not suspicious and limit is not None:
        return Judgement(_noted(case, form, run, smaller, scale, limit), "QED402", tried, steep)
    if not worse(run, smaller) and run.failure is not None:
        return Judgement(_calm(case, form, run, steep, found), None, tried, steep)
    if worse(run, smaller) and not (rises(run) and rises(smaller)):
        answer = smaller_is_better(case, run, smaller, shown, steep)
        first = first_step(case, form, run)
        answer = answer if first is None else replace(answer, reasons=(*answer.reasons, first))
        return Judgement(answer, "QED403", tried, steep)
    return Judgement(unexplained(case, run, smaller, shown, steep), "QED403", tried, steep)


def _along(case: Case, form: str, run: Run, suspicious: bool) -> Limit | NotIdentified:
    """The limit where the run was last finite; where that does not explain a bad run, where it was lowest."""
    if case.clock.left <= 0:
        return NotIdentified("the budget is spent")
    if case.prepared.size > SMALL:
        return NotIdentified(f"its update is not probed where there are more than {SMALL} parameters")
    last = run.last
    if last is None:
        return NotIdentified("no step of it was finite")
    found = measure(case, form, last)
    if last.step and not (isinstance(found, Limit) and found.local.preconditioned):
        start = Reached(0, case.prepared.parameters, case.runner(form).initial(case.prepared.parameters))
        first = measure(case, form, start)
        clipped = isinstance(first, Limit) and first.local.clipping
        found = first if isinstance(first, Limit) and not (clipped and isinstance(found, Limit)) else found
    beyond = isinstance(found, Limit) and _beyond(found, suspicious)
    if isinstance(found, Limit) and found.local.preconditioned and not beyond:
        found = _planned(case, form, run, found)
        beyond = _beyond(found, suspicious)
    if not suspicious or beyond or run.lowest is None or run.lowest.step in (0, last.step) or case.clock.left <= 0:
        return found
    lowest = measure(case, form, run.lowest)
    return lowest if isinstance(lowest, Limit) and _beyond(lowest, suspicious) else found


def _planned(case: Case, form: str, run: Run, found: Limit) -> Limit:
    """Of the limits along a planned rate the first that is exceeded, else the one that the rate comes nearest to."""
    for reached in run.passed:
        if case.clock.left <= 0 or found.times > 1:
            break
        other = measure(case, form, reached)
        found = other if isinstance(other, Limit) and other.times > found.times else found
    return found


def _beyond(found: Limit, suspicious: bool) -> bool:
    """Beyond the limit; a second moment grows until the step is just stable, so that a bad run may end at it."""
    return found.times > (EDGE if suspicious and found.local.preconditioned else 1)


def _is_rough(run: Run, found: Limit | NotIdentified | Propagation) -> bool:
    """Whether a run under a second moment goes up and down near its limit: so large a step is seldom the best one."""
    near = isinstance(found, Limit) and found.local.preconditioned and found.times > 0.5
    return near and run.failure is None and run.rises >= 0.1 * run.steps


def _far_worse(run: Run, smaller: Run) -> bool:
    """Whether a run that fell all the same ends far above the smaller step's, measured by how far that one fell."""
    return run.settled > smaller.settled + FAR * max(0.0, smaller.start - smaller.settled) + run.noise


# --- the answers ----------------------------------------------------------------------------------------------


def _calm(
    case: Case, form: str, run: Run, steep: Steepness | None, found: Limit | NotIdentified | Propagation
) -> Answer[Any]:
    if isinstance(found, Propagation):
        return linearised(found)
    if isinstance(found, NotIdentified):
        return within(case, None, run, found.words)
    return Answer(
        sentence(found),
        Standing.MEASURED,
        value=found.limit,
        error=found.error(),
        reasons=tuple(reasons(case, form, run, found)),
        meta=numbers(found),
        recheck=lambda: _again(found),
    )


def _again(found: Limit) -> bool:
    """The same load from another random start."""
    pair, other = found.pair, steepest(found.product, found.pair.vector.size, seed=1)
    return abs(other.value - pair.value) <= other.residual + pair.residual + 1e-2 * abs(pair.value)


def _noted(case: Case, form: str, run: Run, smaller: Run, scale: float, found: Limit) -> Answer[Any]:
    ends = f"it ended at {number(smaller.settled)}" if worse(run, smaller) else "not clearly lower"
    text = f"{sentence(found)}; the run ended at {number(run.settled)}, with {step_words(case, scale)} {ends}"
    return Answer(
        f"the run ends at {number(run.settled)}, and with {step_words(case, scale)} at {number(smaller.settled)}",
        Standing.MEASURED,
        value=found.limit,
        error=found.error(),
        reasons=(*reasons(case, form, run, found), comparison(case, run, smaller, rate_of(case, scale), role="tried")),
        findings=(Finding("QED402", text, None, numbers(found)),),
        meta=numbers(found),
    )


def _too_large(case: Case, form: str, run: Run, smaller: Run, scale: float, found: Limit) -> Answer[Any]:
    witness = {**numbers(found), "end": run.settled, "smaller_scale": scale, "smaller_end": smaller.settled}
    text = f"{sentence(found)}, and the run ends worse than with {step_words(case, scale)}"
    return Answer(
        f"{case.rule} does as well as a smaller step",
        Standing.REFUTED,
        value=found.limit,
        error=found.error(),
        arithmetic=case.prepared.dtype,
        reasons=(comparison(case, run, smaller, rate_of(case, scale)), *reasons(case, form, run, found)),
        findings=(Finding("QED401", text, None, witness),),
        meta=numbers(found),
        recheck=lambda: worse(case.again(form, run), case.again(form, smaller, scale=scale)),
    )
