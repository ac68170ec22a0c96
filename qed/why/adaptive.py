"""The step question for Adam, RMSProp and schedules: the limit of the frozen rule, and a trial beside it.

What an update does near a state is identified by probing (`qed.optimization.adaptive`). A preconditioner means
something only once it is warm, so that the limit of Adam is measured where the tried run ends, and at the start only
the first step is predicted: it is rate times the sign of the gradient, and may be many times beyond any limit without
harm. Exceeding a limit is a note, as for gradient descent; networks trained by Adam stay close to it by themselves. It
is a finding only where the run rises or fails and a smaller step does not, or where the smaller step ends far lower.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Reason, Standing
from qed.answer import Measured as MeasuredError
from qed.calculus.hessian import flatten
from qed.calculus.lanczos import EigenPair, steepest
from qed.optimization.adaptive import identify_update
from qed.optimization.local import LocalRule, NotIdentified
from qed.optimization.propagation import Propagation
from qed.why.case import STEPS, WARM, Case
from qed.why.curvature import Steepness, shares
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


@dataclass(frozen=True, eq=False)
class Limit:
    """A local limit, measured at a point of the run.

    Args:
        step: after how many updates.
        local: the rule there; where its rate is scheduled, at its largest planned rate.
        pair: the largest eigenvalue of its load; stable below 2.
        share: which part of the largest rate the rule takes (at `step`, or at `crossing`).
        scheduled: whether the rate changes by plan.
        crossing: the first planned step at which the rate exceeds this limit, where the rate is scheduled.
        shares: (parameter, share) of the stiffest direction.
        product: the product of the load.
    """

    step: int
    local: LocalRule
    pair: EigenPair
    share: float
    scheduled: bool
    crossing: int | None
    shares: tuple[tuple[str, float], ...]
    product: Any

    @property
    def times(self) -> float:
        """How many times the rate exceeds the limit; below 1 is stable, and so is no curvature at all."""
        return self.share * max(0.0, self.pair.value) / 2

    @property
    def rate(self) -> float | None:
        """The rate in question; None where it is not one number."""
        return None if self.local.rate is None else self.share * self.local.rate

    @property
    def limit(self) -> float | None:
        """The limit of the rate; inf where there is no positive curvature."""
        if self.local.rate is None:
            return None
        return 2 * self.local.rate / self.pair.value if self.pair.value > 0 else math.inf

    @property
    def where(self) -> str:
        """The point in words."""
        return f"after {plural(self.step, 'step')}" if self.step else "at the start"

    def error(self) -> MeasuredError | None:
        """The error of the limit."""
        if self.limit is None or not math.isfinite(self.limit):
            return None
        return MeasuredError(self.limit * self.pair.residual / self.pair.value, "Lanczos", 0)


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
        first = _first_step(case, form, run)
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


def _far_worse(run: Run, smaller: Run) -> bool:
    """Whether a run that fell all the same ends far above the smaller step's, measured by how far that one fell."""
    return run.settled > smaller.settled + FAR * max(0.0, smaller.start - smaller.settled) + run.noise


# --- the answers ----------------------------------------------------------------------------------------------


def _sentence(found: Limit) -> str:
    rate, limit, formula = found.rate, found.limit, found.local.limit_formula
    if limit is not None and math.isinf(limit) and not found.local.response.any():
        return (
            f"every entry of the gradient is clipped {found.where}: its size does not reach the update, no limit there"
        )
    if limit is not None and math.isinf(limit):
        return f"the curvature is not positive in any direction found {found.where}: no limit there"
    when = f"{found.where}, " if found.step else ""
    decay = " less the decay" if found.local.decay.any() else ""
    if limit is None or rate is None:
        return f"{when}the update is {found.times:.3g} x the size that is stable"
    at = "" if found.step else " (measured at the start)"
    name, times = "the rate", found.times
    if found.scheduled and found.pair.value <= 2:
        name, rate, times = "the largest scheduled rate", found.local.rate, found.pair.value / 2
    elif found.scheduled and not found.local.preconditioned and found.crossing is not None:
        over = f"its largest rate {rate:.3g} is {times:.3g} x that"
        return f"the schedule passes the limit {formula}{decay} = {limit:.3g}{at} at step {found.crossing}; {over}"
    elif found.scheduled:
        name = "the scheduled rate"
    passed = "" if found.crossing is None else f"; the schedule passes this limit at step {found.crossing}"
    return f"{when}{name} {rate:.3g} is {times:.3g} x the limit {formula}{decay} = {limit:.3g}{at}{passed}"


def _limit_reason(found: Limit) -> Reason:
    text = _sentence(found)
    if found.local.clipped != 1:
        text += f" (the gradient is clipped there, to {found.local.clipped:.2g} of its norm)"
    elif found.local.clipping:
        text += " (entries of the gradient are clipped there)"
    limit = 2.0 if found.limit is None else found.limit
    return Reason(
        "stability of the frozen rule on the quadratic model",
        formula="lambda_max(S^1/2 H S^1/2/(1 + b) + C) < 2 for w <- w - S m - C w, m <- b m + g",
        with_numbers=str(found.local),
        role="step",
        predicted=limit,
        observed=2 * found.times if found.rate is None else found.rate,
        text=text,
    )


def _curvature_reason(found: Limit) -> Reason:
    pair, local = found.pair, found.local
    value = None if local.decay.any() else local.curvature(pair.value)
    error = f"± {100 * pair.residual / abs(pair.value) if pair.value else 0.0:.2g} %"
    name = "lambda_max(P^-1/2 H P^-1/2)" if local.preconditioned else "lambda_max"
    if value is None:
        name, value = "the load, stable below 2,", pair.value
    frozen = f", P frozen {found.where}" if local.preconditioned else ""
    return Reason(
        "Lanczos on preconditioned Hessian-vector products",
        formula="|M v - lambda v| <= r, so that an eigenvalue lies within r of lambda",
        with_numbers=f"{pair.value:.5g} +/- {pair.residual:.2g} where 2 is the limit",
        observed=value,
        standing=Standing.MEASURED,
        unpredicted="the Hessian has no closed form here",
        text=f"{name} = {value:.5g} {error}  ({plural(pair.products, 'Hessian product')}{frozen})",
    )


def _first_step(case: Case, form: str, run: Run) -> Reason | None:
    """The first step, predicted by the quadratic model; of Adam it is rate times the sign of the gradient."""
    if len(run.losses) < 2 or case.key_position is not None or not math.isfinite(run.losses[0]):
        return None
    parameters, data = case.prepared.parameters, case.prepared.data
    update = flatten(case.runner(form).update(parameters, data))
    gradient = flatten(case.curvature(form).gradient(parameters, data))
    change = float(gradient @ update) + float(update @ case.curvature(form).product(parameters, data)(update)) / 2
    predicted, observed = run.losses[0] + change, run.losses[1]
    if not math.isfinite(predicted):
        return None
    sizes = np.abs(update[np.abs(gradient) > 1e-3 * np.abs(gradient).max(initial=0.0)])
    sign_like = sizes.size > 0 and sizes.min() > 0.9 * sizes.max() and sizes.max() > 0
    model = "-rate |g|_1 + rate^2/2 s'Hs, s = sign(g)," if sign_like else "the quadratic model"
    return Reason(
        "the first step, predicted",
        formula="-rate |g|_1 + rate^2/2 s'Hs with s = sign(g)" if sign_like else "g'd + d'Hd/2 with the update d",
        with_numbers=f"{number(run.losses[0])} -> {number(predicted)}",
        role="then",
        predicted=predicted,
        observed=observed,
        standing=Standing.MEASURED,
        text=f"first step: {model} predicts a loss of {number(predicted)}, it is {number(observed)}",
    )


def _reasons(case: Case, form: str, run: Run, found: Limit) -> list[Reason]:
    reasons = [_limit_reason(found), _curvature_reason(found)]
    first = _first_step(case, form, run) if found.local.preconditioned else None
    if first is not None:
        reasons.append(first)
    if found.shares:
        name, share = found.shares[0]
        text = f"{100 * share:.1f} % of the stiffest direction is {name}"
        reasons.append(Reason("the eigenvector, by parameter", role="where", text=text, observed=share))
    return reasons


def _numbers(found: Limit) -> dict[str, Any]:
    return {
        "rate": found.rate,
        "limit": found.limit,
        "times": found.times,
        "load": found.pair.value,
        "residual": found.pair.residual,
        "at_step": found.step,
        "crossing": found.crossing,
        "momentum": found.local.momentum,
        "b2": found.local.second,
        "clipped": found.local.clipped,
    }


def _calm(
    case: Case, form: str, run: Run, steep: Steepness | None, found: Limit | NotIdentified | Propagation
) -> Answer[Any]:
    if isinstance(found, Propagation):
        return linearised(found)
    if isinstance(found, NotIdentified):
        return within(case, None, run, found.words)
    return Answer(
        _sentence(found),
        Standing.MEASURED,
        value=found.limit,
        error=found.error(),
        reasons=tuple(_reasons(case, form, run, found)),
        meta=_numbers(found),
        recheck=lambda: _again(found),
    )


def _again(found: Limit) -> bool:
    """The same load from another random start."""
    pair, other = found.pair, steepest(found.product, found.pair.vector.size, seed=1)
    return abs(other.value - pair.value) <= other.residual + pair.residual + 1e-2 * abs(pair.value)


def _noted(case: Case, form: str, run: Run, smaller: Run, scale: float, found: Limit) -> Answer[Any]:
    ends = f"it ended at {number(smaller.settled)}" if worse(run, smaller) else "not clearly lower"
    text = f"{_sentence(found)}; the run ended at {number(run.settled)}, with {step_words(case, scale)} {ends}"
    return Answer(
        f"the run ends at {number(run.settled)}, and with {step_words(case, scale)} at {number(smaller.settled)}",
        Standing.MEASURED,
        value=found.limit,
        error=found.error(),
        reasons=(*_reasons(case, form, run, found), comparison(case, run, smaller, rate_of(case, scale), role="tried")),
        findings=(Finding("QED402", text, None, _numbers(found)),),
        meta=_numbers(found),
    )


def _too_large(case: Case, form: str, run: Run, smaller: Run, scale: float, found: Limit) -> Answer[Any]:
    witness = {**_numbers(found), "end": run.settled, "smaller_scale": scale, "smaller_end": smaller.settled}
    text = f"{_sentence(found)}, and the run ends worse than with {step_words(case, scale)}"
    return Answer(
        f"{case.rule} does as well as a smaller step",
        Standing.REFUTED,
        value=found.limit,
        error=found.error(),
        arithmetic=case.prepared.dtype,
        reasons=(comparison(case, run, smaller, rate_of(case, scale)), *_reasons(case, form, run, found)),
        findings=(Finding("QED401", text, None, witness),),
        meta=_numbers(found),
        recheck=lambda: worse(case.again(form, run), case.again(form, smaller, scale=scale)),
    )
