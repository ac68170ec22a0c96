"""Rays of feasible points along which f falls for ever: what a solver that diverges has seen.

Along x + t d, f is unbounded below if its falls between distances that grow by one factor grow themselves; that is
looked at, not proved. A fall that rounding makes, or a little more violation on the way, is none: f must fall, for each
unit of the way and in parts of its gradient, by a thousand times what the numbers and the constraints are off by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.optimization.constrained.engine import Outcome
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import row_scales

Array = np.ndarray
DISTANCES = 2.0 ** np.arange(3, 31, 3)
CLEAR = 1e3
"""A fall is that of f where it is so many times what the numbers and the constraints are off by."""


@dataclass(frozen=True, eq=False)
class Ray:
    """A direction, and what was seen along it."""

    direction: Array
    text: str


def ray_of(problem: Constrained, outcome: Outcome, start: Array) -> Ray | None:
    """A ray near the way of a solver that ran off; None where f does not fall for ever along those tried."""
    x = outcome.x
    large = np.where(np.abs(x) > 1e-6 * np.abs(x).max(initial=0.0), np.sign(x), 0.0)
    ways = [x - start, np.where(large != 0, x - start, 0.0), large]
    gradient = problem.at(start).g
    ways.append(problem.bounds.project(start - gradient) - start)
    for way in ways:
        size = float(np.linalg.norm(way))
        found = _along(problem, start, way / size) if 0 < size < np.inf else None
        if found is not None:
            return found
    return None


def ray_down(problem: Constrained, x: Array, direction: Array) -> Ray | None:
    """The ray from a point to either side of a direction, if f falls for ever along it."""
    for sign in (1.0, -1.0):
        found = _along(problem, x, sign * direction)
        if found is not None:
            return found
    return None


def _along(problem: Constrained, start: Array, direction: Array) -> Ray | None:
    at = problem.at(start)
    scales, values, doubt = row_scales(at), [], float(np.finfo(np.float64).eps)
    for t in DISTANCES:
        x = start + t * direction
        f, c = problem.values(x)
        off = np.concatenate([np.abs(c[: problem.equalities]), -c[problem.equalities :]]) / scales
        out = np.maximum(problem.bounds.lower - x, x - problem.bounds.upper).max(initial=0.0)
        worst = np.max(off, initial=out)
        if not worst <= 1e-9 * t or not np.isfinite(f):
            return None
        doubt = max(doubt, float(worst) / t if t == DISTANCES[-1] else 0.0)
        values.append(f)
    falls = -np.diff(values)[-6:]
    if not np.all(falls > 0) or not np.all(np.diff(falls) > 0):
        return None
    steep = falls[-1] / (DISTANCES[-1] - DISTANCES[-2])
    if not steep > CLEAR * doubt * float(np.linalg.norm(at.g)):
        return None
    text = (
        f"Unbounded below as far as was looked: along a ray of feasible points f falls by {falls[0]:.3g} at first and "
        f"{falls[-1]:.3g} at last between distances that grow eightfold, to {values[-1]:.6g} at {DISTANCES[-1]:.3g}."
    )
    return Ray(direction, text)
