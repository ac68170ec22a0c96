"""A step that is needlessly small: another one that was tried is at least five times as fast.

A step s multiplies the error along a direction of curvature l by 1 - s l (with momentum by the roots that
`qed.optimization.step` names), so that

    log(1/2) / log |1 - s l|

steps halve it; where s l is small that is 0.69 / (s l): half the step, twice the steps. That is a prediction about
small distances. So it is counted too: after how many steps the run with the step that was given comes as low as it
ever comes, and after how many a run with a larger step is as low. Reference: Polyak, *Introduction to Optimization*,
1987, section 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qed.answer import Advice, Reason, Trial
from qed.findings import Finding
from qed.optimization.objective import Objective
from qed.optimization.step import StepRule
from qed.optimization.stepping.trials import STEPS, values_along
from qed.standing import Standing

Array = np.ndarray
FASTER = 5
"""How many times as fast a tried step is at least where the one that was given is called needlessly small."""


@dataclass(frozen=True)
class Slower:
    """How a step that was given compares with the fastest that was tried.

    Args:
        rate: the step that was given.
        step: the fastest of those tried.
        taken: after how many steps the run with `rate` came as low as it came.
        needed: after how many steps the run with `step` was as low.
        predicted: how many times as many steps halve the error along the slowest direction by the curvatures; nan where
            no curvature says so.
        trial: the whole run with `step`.
        moved: whether the run with `rate` lowered f by more than its rounding; if not, `taken` is all of its steps.
    """

    rate: float
    step: float
    taken: int
    needed: int
    predicted: float
    trial: Trial
    moved: bool = True

    @property
    def ratio(self) -> float:
        """How many times as many steps `rate` takes at least, as counted."""
        return self.taken / self.needed


def slower(objective: Objective, x: Array, rule: StepRule, steps: Sequence[float], low: float) -> Slower | None:
    """The fastest of some steps beside the one that was given; None where none ends as low.

    Args:
        objective: the loss.
        x: the point.
        rule: gradient descent with the rate that was given.
        steps: larger ones, stable at the point.
        low: the smallest curvature there.
    """
    rate = rule.rate
    if rate is None or not steps:
        return None
    given = values_along(objective, x, rule, rate, STEPS)
    noise = objective.noise(max(abs(given[0]), abs(given[-1])))
    if not np.all(np.isfinite(given)):
        return None
    goal = min(float(given[-1]) + noise, float(given[0]) - 2 * noise)
    reached = np.flatnonzero(given <= goal)
    taken = int(reached[0]) if len(reached) else STEPS
    best: Slower | None = None
    for step in sorted(steps):
        values = values_along(objective, x, rule, step, STEPS)
        lower = np.flatnonzero(values <= goal)
        if not np.all(np.isfinite(values)) or not len(lower) or values[-1] > given[-1] + noise:
            continue
        if best is None or int(lower[0]) < best.needed:
            trial = Trial(STEPS, float(values[0]), float(values[-1]), int(np.sum(np.diff(values) > noise)), True)
            best = Slower(rate, step, taken, int(lower[0]), _predicted(rule, low, rate, step), trial, len(reached) > 0)
    return best


def _predicted(rule: StepRule, low: float, rate: float, step: float) -> float:
    if not low > 0:
        return math.nan
    small, large = (rule.growth(low, each) for each in (rate, step))
    return math.log(large) / math.log(small) if 0 < small < 1 and 0 < large < 1 else math.nan


def halving(rule: StepRule, curvature: float, step: float) -> float:
    """How many steps halve the error along a direction of a curvature; inf where it does not shrink.

    Example:
        >>> from qed.optimization.step import parse
        >>> round(halving(parse("sgd:0.01"), 1.0, 0.01), 1)
        69.0
    """
    factor = rule.growth(curvature, step)
    return math.log(0.5) / math.log(factor) if 0 < factor < 1 else 0.0 if factor == 0 else math.inf


def told(
    found: Slower, rule: StepRule, low: float, high: float
) -> tuple[Reason, tuple[Finding, ...], tuple[Advice, ...]]:
    """The comparison as a line; the finding and the step to take instead where it is called needlessly small."""
    ends = [(name, c) for name, c in (("stiffest", high), ("flattest", low)) if c > 0]
    local = ", ".join(f"{halving(rule, c, found.rate):.3g} along the {name}" for name, c in ends)
    counted = f"{found.taken} steps of {found.rate:.4g} go as low as {found.needed} of {found.step:.4g}"
    if not found.moved:
        does = f"{found.needed} of {found.step:.4g} {'does' if found.needed == 1 else 'do'}"
        counted = f"{found.taken} steps of {found.rate:.4g} do not lower f by more than its rounding, {does}"
    reason = Reason(
        "the step that was given beside the fastest that was tried",
        "log(1/2) / log |1 - s l|",
        f"{'' if found.moved else 'more than '}{found.taken} / {found.needed} = {found.ratio:.4g}",
        predicted=found.predicted if found.moved and math.isfinite(found.predicted) else None,
        observed=found.ratio if found.moved else None,
        unpredicted="no curvature is positive along the slowest direction" if found.moved else "f was not lowered",
        standing=Standing.MEASURED,
        role="slow",
        text=f"{counted}; steps of {found.rate:.4g} that halve the error near the point: {local}",
    )
    if found.ratio < FASTER:
        return reason, (), ()
    text = f"the step {found.rate:.4g} is needlessly small: {counted}"
    numbers = {"rate": found.rate, "step": found.step, "ratio": found.ratio}
    other = replace(rule, rate=found.step)
    instead = Advice(f"a larger step: {other}", patch=str(other), trial=found.trial)
    return reason, (Finding("QED422", text, None, numbers),), (instead,)
