"""Steps that are tried: two runs a little apart beside the quadratic model, and runs on both sides of the limit.

Along an eigenvector with curvature l the distance of two runs that begin close by is multiplied by the factors of the
quadratic model, 1 - s l without momentum, as long as the curvature stays what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from qed.answer import Reason, Trial
from qed.calculus.lanczos import EigenPair
from qed.optimization.objective import Objective, Seen
from qed.optimization.step import StepRule
from qed.standing import Standing

Array = np.ndarray
APART = 5
"""After how many steps the distance of two runs is compared with its prediction."""
STEPS = 100
"""How many steps a tried run has."""


def _along(objective: Objective, x: Array, rule: StepRule, step: float, steps: int) -> Iterator[Seen]:
    """The point and those after each step, up to one that is not finite."""
    b, velocity, seen = rule.momentum, np.zeros_like(x), objective.at(x)
    yield seen
    for _ in range(steps):
        velocity = b * velocity + seen.g
        change = seen.g + b * velocity if rule.nesterov else velocity
        seen = objective.at(seen.x - step * change)
        yield seen
        if not seen.finite:
            return


def tried_run(objective: Objective, x: Array, rule: StepRule, step: float, steps: int) -> tuple[Array, float]:
    """The point and the value after some steps; nan where a number is not finite."""
    *_, seen = _along(objective, x, rule, step, steps)
    return seen.x, seen.f if seen.finite else math.nan


def values_along(objective: Objective, x: Array, rule: StepRule, step: float, steps: int) -> Array:
    """(steps + 1,) values along a run; nan from where a number is not finite."""
    values = np.full(steps + 1, np.nan)
    for k, seen in enumerate(_along(objective, x, rule, step, steps)):
        values[k] = seen.f if seen.finite else math.nan
    return values


def _apart(rule: StepRule, curvature: float, step: float) -> float:
    """By what factor a distance along an eigenvector has grown after `APART` steps, by the quadratic model."""
    b, distance, velocity = rule.momentum, 1.0, 0.0
    for _ in range(APART):
        velocity = b * velocity + curvature * distance
        distance -= step * (curvature * distance + b * velocity if rule.nesterov else velocity)
    return distance


def seen_apart(objective: Objective, x: Array, v: Array, rule: StepRule, step: float) -> float:
    """The same, of two runs that begin a little apart along v."""
    distance = objective.eps ** (1 / 3) * max(1.0, float(np.linalg.norm(x)))
    first, _ = tried_run(objective, x, rule, step, APART)
    other, _ = tried_run(objective, x + distance * v, rule, step, APART)
    began = float(v @ (objective.rounded(x + distance * v) - objective.rounded(x)))
    return float(v @ (other - first)) / began if began else math.nan


def trials(objective: Objective, x: Array, rule: StepRule, steps: Sequence[float]) -> list[Trial]:
    """Runs with each of some steps."""
    start = objective.at(x).f
    found = []
    for step in steps:
        _, end = tried_run(objective, x, rule, step, STEPS)
        found.append(Trial(STEPS, start, end, 0, math.isfinite(end)))
    return found


def apart(objective: Objective, x: Array, high: EigenPair, rule: StepRule, upper: float) -> list[Reason]:
    """Two runs that begin a little apart, below and above the limit, beside the quadratic model."""
    found = []
    for share in (0.9, 1.1):
        step = share * upper
        predicted = _apart(rule, high.value, step)
        seen = seen_apart(objective, x, high.vector, rule, step)
        theorem = "two runs that begin a little apart along the stiffest direction", "d <- (1 - s l) d"
        found.append(multiplied(theorem, step, f"{share:g} of the limit", "quadratic", predicted, seen))
    return found


def multiplied(rule: tuple[str, str], step: float, which: str, model: str, predicted: float, seen: float) -> Reason:
    """By what steps multiplied the distance of two runs, beside what a model says; the rule and its formula."""
    return Reason(
        *rule,
        f"s = {step:.4g}: {predicted:.4g} predicted, {seen:.4g} seen",
        predicted=predicted,
        observed=seen,
        standing=Standing.MEASURED,
        role="tried",
        text=f"{APART} steps of {step:.4g} ({which}) multiply a distance by {seen:.4g}; the {model} model says "
        f"{predicted:.4g}",
    )


def told(step: float, trial: Trial, upper: float) -> Reason:
    """A run as a line of an answer."""
    end = f"{trial.end:.6g}" if trial.finite else "no finite number"
    side = "below" if step < upper else "above"
    return Reason(
        "the run was made",
        predicted="no rise" if step < upper else "a rise, unless the curvature falls along the way",
        observed=trial.end,
        standing=Standing.MEASURED,
        role="tried",
        text=f"{trial.steps} steps of {step:.4g} ({side} the limit): from {trial.start:.6g} to {end}",
    )
