"""Descent with momentum: the heavy ball, and Nesterov's accelerated gradient.

    heavy ball:  x+ = x - s g(x) + b (x - x-)                                              (Polyak, 1964)
    Nesterov:    y = x + b_k (x - x-),   x+ = y - s g(y),   b_k = k / (k + 3)              (Nesterov, 1983)

The step s is made shorter until f(x+) <= f(y) + g'd + d'd / (2 s), d = x+ - y: then s is at most 1/L along d, and
where f is convex the accelerated gradient keeps to f - f* <= 2 L |x0 - x*|^2 / k^2. Momentum that leads up is
dropped, k = 0: so no constant of strong convexity is needed (O'Donoghue and Candes, *Adaptive restart for accelerated
gradient schemes*, Found. Comput. Math. 15, 2015). With bounds the step is projected (Beck and Teboulle, *A fast
iterative shrinkage-thresholding algorithm*, SIAM J. Imaging Sci. 2, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen

Array = np.ndarray
BALL = 0.9
"""The share of the last step that the heavy ball keeps."""
GROWN = 1.05
"""By what factor a step is made longer before it is tried."""
MOST = 60
"""How often one step is made shorter."""


@dataclass(frozen=True, eq=False)
class Carried:
    """What a step leaves behind: the point, the one before, the step size, and how long momentum has been kept."""

    here: Seen
    before: Array
    size: float
    kept: int


def first(here: Seen) -> Carried:
    """The state at the start: no momentum, and a step as long as the point, or 1."""
    length = float(np.linalg.norm(here.g))
    return Carried(here, here.x, max(1.0, float(np.linalg.norm(here.x))) / max(length, 1e-300), 0)


def step(objective: Objective, state: Carried, bounds: Bounds, nesterov: bool) -> Carried | None:
    """The state after a step; None where no step, however short, goes down.

    Args:
        objective: the loss.
        state: that before.
        bounds: the box.
        nesterov: whether the gradient is taken where momentum leads.
    """
    here, size = state.here, state.size * GROWN
    if state.kept:
        share = state.kept / (state.kept + 3) if nesterov else BALL
        drift = share * (here.x - state.before)
        if nesterov:
            at = objective.at(bounds.project(here.x + drift))
            found, size = _descended(objective, at, size, bounds) if at.finite else (None, size)
        else:
            at, found = here, objective.at(bounds.project(here.x - size * here.g + drift))
        if found is not None and np.isneginf(found.f):
            return Carried(found, here.x, size, 0)
        if (
            found is not None
            and found.finite
            and found.f <= here.f + objective.noise(here.f)
            and np.any(found.x - here.x)
        ):
            leads_up = float(at.g @ (found.x - here.x)) > 0
            return Carried(found, here.x, size, 0 if leads_up else state.kept + 1)
    found, size = _descended(objective, here, size, bounds)
    return None if found is None else Carried(found, here.x, size, 1)


def _descended(objective: Objective, at: Seen, size: float, bounds: Bounds) -> tuple[Seen | None, float]:
    """The first point of a gradient step, made shorter and shorter, that is as low as the slope says, and its size.

    Where the values only show noise, the gradients say how much f bends along the step.
    """
    for _ in range(MOST):
        trial = objective.at(bounds.project(at.x - size * at.g))
        way = trial.x - at.x
        if np.isneginf(trial.f):
            return trial, size
        if not np.any(way):
            return None, size
        if not trial.finite:
            size *= 0.1
            continue
        square = float(way @ way)
        noise = objective.noise(max(abs(at.f), abs(trial.f)))
        bent = 2 * (trial.f - at.f - float(at.g @ way)) / square
        if noise > 0.1 * abs(float(at.g @ way)):
            bent = float((trial.g - at.g) @ way) / square
        if bent * size <= 1:
            return trial, size
        size = min(0.7 * size, 0.95 / bent)
    return None, size
