"""A run that comes to rest where the loss still falls: at a saddle.

Where the gradient vanishes, f(x + t v) = f(x) + t^2 v'Hv / 2 + ..., which falls along v, either way, where v'Hv < 0.
The steps of a descent are made of gradients, so that a run that starts at such a point, or in the set that leads to it,
stays: weights that are all zero, or units that begin alike and get the same gradient for ever. The loss then stands
still without being at a minimum, and nothing in it looks wrong.

Only where the loss stands still with a small gradient is the lowest curvature asked for, from products that are
compiled already. What it says is not told until it was tried: the run goes on from its end, once as it is and once
moved a little along v, and the second must end clearly lower.

Reference: Nocedal and Wright, *Numerical Optimization*, 2006, theorem 2.4 (necessary conditions of second order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.calculus.hessian import flatten, unflatten
from qed.calculus.lanczos import EigenPair, steepest
from qed.why.case import STEPS, Case
from qed.why.curvature import fits, shares
from qed.why.mistakes.tried import clearly_lower
from qed.why.trial import Run
from qed.why.words import number, plural

STILL, REST, FLAT = 1e-3, 1e-6, 1e-2
"""By which part of itself, and of the fall of the run, the loss may still fall in the last quarter; and the part of its
largest norm that the gradient may have there."""
BENT = 1e-4
"""How far below zero the lowest curvature lies at least, as a part of the largest in size."""
MOVED = 1e-2
"""How far the point is moved, as a part of its own length, or of one where it is shorter."""
MATTERS = (1e-2, 1e-3)
"""By which part of the loss, and of the fall of the run, the moved run must end lower."""

SHARE = 0.01
"""Parameters with less of the direction are not named."""


def rests_at_a_saddle(case: Case, run: Run) -> list[Answer[Any]]:
    """The run that stands still where the loss falls in some direction (QED303)."""
    end = None if run.last is None else run.last.parameters
    random = case.key_position is not None
    if case.prepared.rule is None or end is None or random or case.clock.left <= 0 or not _still(run):
        return []
    if not fits(case.prepared.size) or case.prepared.size < 1:
        return []
    lowest = _lowest(case, end)
    if lowest is None:
        return []
    stays = _onward(case, end)
    for sign in (1.0, -1.0):
        away = _moved(end, sign * lowest.vector)
        falls = _onward(case, away)
        if _clearly(falls, stays, run):
            return [_answer(case, run, lowest, stays, falls, (end, away))]
    return []


def _still(run: Run) -> bool:
    """Whether the loss stands still at the end of the run, with a gradient that is small beside its largest."""
    if run.failure is not None or run.cut or run.steps < 8:
        return False
    quarter = run.losses[-(len(run.losses) // 4) :]
    room = STILL * abs(run.settled) + REST * max(0.0, run.start - run.settled) + run.noise
    return max(quarter) - min(quarter) <= room and run.norms[-1] <= FLAT * max(run.norms)


def _lowest(case: Case, at: Sequence[Any]) -> EigenPair | None:
    """The lowest curvature at a point where it is negative beyond its error, as the pair of -H."""
    product = case.curvature("given").product(at, case.prepared.data)
    try:
        pair = steepest(lambda v: -product(v), case.prepared.size, tolerance=1e-2)
    except NotImplementedError:
        return None
    scale = max(abs(pair.value), abs(pair.lowest))
    return pair if pair.finite and pair.value > max(2 * pair.residual, BENT * scale) else None


def _onward(case: Case, at: Sequence[Any], deadline: float | None = None) -> Run:
    """The user's own rule from another point."""
    until = case.clock.deadline(0.2) if deadline is None else deadline
    return case.runner("given").run(at, case.prepared.data, STEPS, deadline=until)


def _moved(at: Sequence[Any], direction: np.ndarray) -> tuple[Any, ...]:
    point = flatten(at)
    return unflatten(point + MOVED * max(1.0, float(np.linalg.norm(point))) * direction, at)


def _clearly(falls: Run, stays: Run, run: Run) -> bool:
    if falls.failure is not None or not clearly_lower(falls, stays):
        return False
    fall = run.settled - falls.settled
    return fall >= MATTERS[0] * abs(run.settled) and fall >= MATTERS[1] * (run.start - run.settled)


def _answer(
    case: Case, run: Run, lowest: EigenPair, stays: Run, falls: Run, points: tuple[Sequence[Any], Sequence[Any]]
) -> Answer[Any]:
    named = shares(lowest.vector, case.prepared)
    where = ", ".join(f"{100 * share:.0f}% {name}" for name, share in named if share >= SHARE)
    at_once = min(run.losses) == max(run.losses)
    end, away = points
    distance = float(np.linalg.norm(flatten(away) - flatten(end)))
    text = (
        f"it {'starts' if at_once else 'comes to rest'} at a saddle: the loss stays at {number(run.settled)}, "
        f"and would fall along {where}"
    )
    reasons = (
        Reason(
            "the lowest curvature where the run stands still, by Lanczos on Hessian-vector products",
            formula="f(x + t v) = f(x) + t g'v + t² v'Hv / 2 + ..., g = 0",
            with_numbers=f"|g| = {run.norms[-1]:.3g}, v'Hv = {-lowest.value:.4g}",
            role="where",
            text=f"v'Hv = {-lowest.value:.4g} along {where}",
            predicted="not below 0 at a minimum",
            observed=-lowest.value,
            standing=Standing.MEASURED,
        ),
        Reason(
            "the run goes on, as it is and moved",
            role="witness",
            text=(
                f"{plural(falls.steps, 'more step')}: from where it stands to {number(stays.settled)}; "
                f"moved by {distance:.2g} along v to {number(falls.settled)}"
            ),
            predicted=f"below {number(stays.settled)}",
            observed=falls.settled,
            standing=Standing.MEASURED,
        ),
    )
    witness = {"loss": run.settled, "curvature": -lowest.value, "moved": distance, "falls_to": falls.settled}
    return Answer(
        "the run comes to rest at a minimum",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=reasons,
        findings=(Finding("QED303", text, None, witness),),
        advice=tuple(_advices(case, lowest, falls, distance, where, at_once)),
        recheck=lambda: _clearly(_onward(case, away, math.inf), _onward(case, end, math.inf), run),
    )


def _advices(case: Case, lowest: EigenPair, falls: Run, distance: float, where: str, at_once: bool) -> list[Advice]:
    place = "start" if at_once else "end"
    found = [Advice(f"move the {place} by {distance:.2g} along {where}, then the same rule", trial=falls.trial())]
    if at_once and case.clock.left > 0:
        noise = np.random.default_rng(0).standard_normal(len(lowest.vector)) * 0.1
        start = case.prepared.parameters
        random = _onward(case, unflatten(flatten(start) + noise, start))
        if random.failure is None:
            found.append(Advice("add random numbers of size 0.1 to the start", trial=random.trial()))
    return found
