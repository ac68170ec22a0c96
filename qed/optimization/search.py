"""How far to go along a direction: the Wolfe conditions, and by gradients alone where values are only noise.

With phi(t) = f(x + t d), phi'(0) < 0, a step t is accepted if

    phi(t) <= phi(0) + delta t phi'(0)   and   phi'(t) >= sigma phi'(0)                          (Wolfe)

or, where phi(t) lies within the noise of phi(0), if

    (2 delta - 1) phi'(0) >= phi'(t) >= sigma phi'(0)                                 (approximate Wolfe)

which needs no difference of nearly equal values. A trial that is NaN or infinite is too long. With bounds the path is
the projection of x + t d, and Armijo's condition is asked (Bertsekas). Reference: Hager and Zhang, SIAM J. Optim. 16,
2005; Nocedal and Wright, *Numerical Optimization*, 2006, ch. 3.
"""

from __future__ import annotations

import numpy as np

from qed.optimization.bounds import Bounds
from qed.optimization.objective import Objective, Seen
from qed.optimization.quasi_newton import LONG

Array = np.ndarray
DELTA, SIGMA = 1e-4, 0.9
MOST = 60
"""Trials along one direction."""


def along(objective: Objective, here: Seen, direction: Array, first: float) -> Seen | None:
    """The accepted point along a direction of descent; None where no trial is.

    Args:
        objective: the loss.
        here: the point, with gradient.
        direction: d with g'd < 0.
        first: the first trial t.
    """
    slope0 = float(here.g @ direction)
    if not slope0 < 0:
        return None
    noise = objective.noise(here.f)
    low, high, t = 0.0, np.inf, first
    slope_low, lowest, best, best_t = slope0, np.inf, None, 0.0
    for _ in range(MOST):
        trial = objective.at(_moved(here.x, t, direction), owned=True)
        if np.isneginf(trial.f):
            return trial
        slope = float(trial.g @ direction) if trial.finite else np.inf
        rise = trial.f - here.f if trial.finite else np.inf
        by_values = rise <= DELTA * t * slope0
        by_slopes = abs(rise) <= noise and (2 * DELTA - 1) * slope0 >= slope
        if (by_values or by_slopes) and trial.f <= lowest:
            lowest, best_t, best = trial.f, t, trial if len(here.x) < LONG else None
        if (by_values or by_slopes) and slope >= SIGMA * slope0:
            return trial
        if np.array_equal(trial.x, here.x):
            break
        del trial
        if by_values or by_slopes:
            low, slope_low = t, slope
        else:
            high = t
        if not np.isfinite(high):
            t *= 4.0
            if not np.isfinite(t):
                break
            continue
        guess = low + slope_low * (high - low) / (slope_low - slope) if np.isfinite(slope) and slope > 0 else np.nan
        width = high - low
        t = float(np.clip(guess, low + 0.1 * width, high - 0.1 * width)) if np.isfinite(guess) else low + 0.5 * width
        if not np.isfinite(slope):
            t = low + 0.1 * width
        if width <= 1e-16 * high:
            break
    return objective.at(_moved(here.x, best_t, direction), owned=True) if best is None and best_t else best


def _moved(x: Array, t: float, direction: Array) -> Array:
    """x + t d, with no other vector made."""
    found = t * direction
    found += x
    return found


def projected(objective: Objective, here: Seen, direction: Array, first: float, bounds: Bounds) -> Seen | None:
    """The first accepted point on the projected path, its steps halved; None where none is."""
    noise, t = objective.noise(here.f), first
    length = np.linalg.norm(bounds.slope(here.x, here.g))
    for _ in range(MOST):
        target = bounds.project(here.x + t * direction)
        trial = objective.at(target)
        moved = trial.x - here.x
        if np.isneginf(trial.f):
            return trial
        if not np.any(moved):
            return None
        slope = float(here.g @ moved)
        if trial.finite and slope < 0:
            shorter = np.linalg.norm(bounds.slope(trial.x, trial.g)) < length
            if trial.f - here.f <= DELTA * slope or (abs(trial.f - here.f) <= noise and shorter):
                return trial
        t *= 0.5 if trial.finite else 0.1
    return None
