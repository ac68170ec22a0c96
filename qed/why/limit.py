"""The local limit of a preconditioned or scheduled rule: its numbers, and what is said of them.

The rule, frozen at one state, is stable where the largest eigenvalue of its load is below 2 (`qed.optimization.local`).
Its first step, which no such limit describes, is predicted by the quadratic model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.answer import Measured as MeasuredError
from qed.answer import Reason, Standing
from qed.calculus.hessian import flatten
from qed.calculus.lanczos import EigenPair
from qed.optimization.local import LocalRule
from qed.why.case import Case
from qed.why.trial import Run
from qed.why.words import number, plural


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


def sentence(found: Limit) -> str:
    """How far the rate is from the limit, or why there is none."""
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
    text = sentence(found)
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


def first_step(case: Case, form: str, run: Run) -> Reason | None:
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


def reasons(case: Case, form: str, run: Run, found: Limit) -> list[Reason]:
    """The limit, the curvature, the first step and the parameters in the steepest direction."""
    told = [_limit_reason(found), _curvature_reason(found)]
    first = first_step(case, form, run) if found.local.preconditioned else None
    if first is not None:
        told.append(first)
    if found.shares:
        name, share = found.shares[0]
        text = f"{100 * share:.1f} % of the stiffest direction is {name}"
        told.append(Reason("the eigenvector, by parameter", role="where", text=text, observed=share))
    return told


def numbers(found: Limit) -> dict[str, Any]:
    """What is kept of the limit with the answer."""
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
