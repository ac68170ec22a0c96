"""Minima without multipliers: where the constraints are so degenerate that no KKT point exists.

At every local minimum there are weights (l, y, z) >= 0, not all zero, with l grad f = J'y + z_l - z_u (John, 1948). If
the gradients of what holds the point are dependent in the wrong way, l is 0: the constraints balance among themselves
and f has no say. Then multipliers y / l do not exist, and along points that tend to the minimum they grow without end.
That growth is what is looked at: Newton's method on the constraints that hold the point comes nearer by a constant
factor with each step, and the multipliers grow by one.

Reference: John, *Extremum problems with inequalities as subsidiary conditions*, 1948; Mangasarian and Fromovitz, J.
Math. Anal. Appl. 17, 1967.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.optimization.constrained.polish import KKT, Active, active_set, newton, snapped, with_bounds
from qed.optimization.constrained.problem import Constrained, Seen
from qed.optimization.constrained.residuals import SOLVED, Lagrange, row_scales, violations

Array = np.ndarray
STEPS = 40
GROWS = 1.15
"""By so much the multipliers grow with each of the last steps, at least."""


@dataclass(frozen=True, eq=False)
class FritzJohn:
    """Weights at a point without multipliers.

    Args:
        seen: the point, the last of those that tend to the limit.
        weights: of rows and bounds, the largest 1.
        weight: of grad f beside them.
        residual: |l grad f - J'y - z_l + z_u|_inf with these weights.
        grown: by how much the multipliers grew on the way.
    """

    seen: Seen
    weights: Lagrange
    weight: float
    residual: float
    grown: float


def fritz_john(problem: Constrained, kkt: KKT) -> FritzJohn | None:
    """The weights where multipliers grow without end; None where that was not seen."""
    if not kkt.seen.finite:
        return None
    active = active_set(problem, kkt)
    if not len(active.rows):
        return None
    x = snapped(problem, kkt, active)
    side = 1e-2 * (1 + np.abs(x)) * np.random.default_rng(0).choice([-1.0, 1.0], problem.n)
    for begin in (x, problem.bounds.project(x + side), problem.bounds.project(x - side)):
        found = _followed(problem, kkt, active, begin)
        if found is not None:
            return found
    return None


def _followed(problem: Constrained, kkt: KKT, active: Active, x: Array) -> FritzJohn | None:
    """The weights where Newton's method from x tends to, if multipliers grow on the way."""
    y = kkt.multipliers.y
    sizes, moves, seen, last = [], [], problem.at(x), None
    for _ in range(STEPS):
        step = newton(problem, seen, active, y, least=False) if seen.finite else None
        if step is None:
            break
        x = problem.bounds.project(seen.x + step[0])
        moves.append(float(np.abs(x - seen.x).max()))
        trial = problem.at(x)
        if not trial.finite:
            break
        y, seen = step[1], trial
        sizes.append(_largest(problem, seen, active, y))
        last = (seen, y)
        if moves[-1] <= 1e-9 * (1 + float(np.abs(x).max())) or sizes[-1] > 1e30:
            break
    if last is None or len(sizes) < 8:
        return None
    grows = np.diff(np.log(sizes))[-6:]
    shrinks = np.diff(np.log(np.maximum(moves, 1e-300)))[-6:]
    if not (np.all(grows >= np.log(GROWS)) and np.all(shrinks < 0) and sizes[-1] > 1e6):
        return None
    seen, y = last
    found = with_bounds(problem, seen, y, active)
    rows, outside = violations(problem, seen)
    feasible = max((rows / row_scales(seen)).max(initial=0.0), outside.max(initial=0.0)) <= SOLVED
    unit = max(np.abs(part).max(initial=0.0) for part in (found.y, found.lower, found.upper))
    if not feasible or not np.isfinite(unit) or unit <= 0:
        return None
    weights = Lagrange(found.y / unit, found.lower / unit, found.upper / unit)
    negative = min(
        weights.y[problem.equalities :].min(initial=0.0), weights.lower.min(initial=0.0), weights.upper.min(initial=0.0)
    )
    residual = float(np.abs(seen.g / unit - seen.J.T @ weights.y - weights.lower + weights.upper).max(initial=0.0))
    if negative < -1e-8 or residual > 1e-8:
        return None
    return FritzJohn(seen, weights, 1 / unit, residual, float(sizes[-1] / max(sizes[0], 1e-300)))


def _largest(problem: Constrained, seen: Seen, active: Active, y: Array) -> float:
    """The largest multiplier, relative to the slope of f."""
    size = float((np.abs(y) * row_scales(seen)).max(initial=0.0))
    return max(size, 1e-300) / max(1.0, float(np.abs(seen.g).max(initial=0.0)))
