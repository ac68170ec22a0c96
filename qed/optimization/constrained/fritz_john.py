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
import scipy

from qed.optimization.constrained.polish import KKT, Active, active_set, newton, snapped, with_bounds
from qed.optimization.constrained.problem import Constrained, Seen
from qed.optimization.constrained.residuals import SOLVED, Lagrange, row_scales, violations
from qed.optimization.constrained.restoration import restored

Array = np.ndarray
STEPS = 40
MODERATE = 1e3
"""Multipliers up to this, relative to the slope of f, are tried before it is said that there are none."""
GROWS = 1.15
"""By so much the multipliers grow with each of the last steps, at least."""
ROUNDED, UNBALANCED = 1e-14, 1e-6
"""Where rows are rounding the way ends; what the weights, the largest 1, may leave unbalanced there, about its root."""
SIDES = 4
"""Along how many directions aside of that of f it is looked, where constraints may bend away."""
FEW = 20
"""Along how many parameters, one at a time, it is looked for lower points."""


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
    y = kkt.multipliers.y * min(1.0, MODERATE / _largest(problem, kkt.seen, active, kkt.multipliers.y))
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
        far = moves[-1] > 1e-9 * (1 + float(np.abs(x).max())) and sizes[-1] <= 1e30
        if not far or float((np.abs(seen.c[active.rows]) / row_scales(seen)[active.rows]).max()) <= ROUNDED:
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
    if negative < -1e-8 or residual > UNBALANCED:
        return None
    return FritzJohn(seen, weights, 1 / unit, residual, float(sizes[-1] / max(sizes[0], 1e-300)))


def _largest(problem: Constrained, seen: Seen, active: Active, y: Array) -> float:
    """The largest multiplier, relative to the slope of f."""
    size = float((np.abs(y) * row_scales(seen)).max(initial=0.0))
    return max(size, 1e-300) / max(1.0, float(np.abs(seen.g).max(initial=0.0)))


def balance(problem: Constrained, kkt: KKT) -> Lagrange | None:
    """Weights with which the constraints that hold a feasible point balance without f, if f is held by no multipliers.

    Three things are asked: no multipliers of moderate size balance the gradient of f; there are weights, the largest
    1, with which the gradients of the active rows and bounds add up to 0; and along the direction in which f falls to
    first order, and along each of its few parameters alone, and along
    some between, no point that satisfies the constraints is lower. None
    where one of them does not hold.
    """
    active = active_set(problem, kkt)
    if problem.sparse or not kkt.seen.finite or not len(active.rows):
        return None
    unit = np.eye(problem.n)
    columns = np.vstack([kkt.seen.J[active.rows], unit[active.lower], -unit[active.upper]]).T
    equal = int(np.sum(active.rows < problem.equalities))
    direction = _unheld(columns, equal, kkt.seen.g)
    weights = None if direction is None else _null_weights(columns, equal)
    if direction is None or weights is None:
        return None
    ways = [direction, *(np.sign(direction[j]) * unit[j] for j in np.flatnonzero(np.abs(direction) > 1e-6)[:FEW])]
    sides = direction + np.random.default_rng(0).choice([-1.0, 1.0], (SIDES, problem.n)) / problem.n**0.5
    ways += [side / np.linalg.norm(side) for side in sides if np.any(side)]
    if any(_leaves(problem, kkt.seen, way) for way in ways):
        return None
    y, lower, upper = np.zeros(problem.rows), np.zeros(problem.n), np.zeros(problem.n)
    count, low = len(active.rows), len(active.lower)
    y[active.rows], lower[active.lower] = weights[:count], weights[count : count + low]
    upper[active.upper] = weights[count + low :]
    return Lagrange(y, lower, upper)


def _unheld(columns: Array, equal: int, gradient: Array) -> Array | None:
    """The direction in which f falls though the constraints are kept to first order; None where multipliers hold f."""
    size = max(1.0, float(np.abs(gradient).max(initial=0.0)))
    most = MODERATE * size / np.maximum(1.0, np.abs(columns).max(axis=0))
    least = np.where(np.arange(columns.shape[1]) < equal, -most, 0.0)
    found = scipy.optimize.lsq_linear(columns, gradient, (least, most), method="bvls", tol=1e-12)
    rest = gradient - columns @ found.x
    return None if float(np.abs(rest).max()) < 1e-3 * size else -rest / float(np.linalg.norm(rest))


def _null_weights(columns: Array, equal: int) -> Array | None:
    """Weights w of the columns with columns w = 0, w >= 0 beyond the first `equal`, the largest 1."""
    weights, count = None, columns.shape[1]
    if equal:
        _, singular, basis = np.linalg.svd(columns[:, :equal])
        if len(singular) < equal or singular[-1] <= 1e-9:
            weights = np.concatenate([basis[-1], np.zeros(count - equal)])
    if weights is None and count > equal:
        total = np.concatenate([np.zeros(equal), np.ones(count - equal)])
        ends = [(None, None)] * equal + [(0.0, None)] * (count - equal)
        both, band = np.vstack([columns, -columns]), np.full(2 * len(columns), 1e-9)
        found = scipy.optimize.linprog(np.zeros(count), both, band, total[None], [1.0], bounds=ends)
        weights = found.x if found.status == 0 else None
    return None if weights is None else weights / np.abs(weights).max()


def _leaves(problem: Constrained, seen: Seen, direction: Array) -> bool:
    """Whether a feasible point near the direction is lower, by a good part of what first order promises."""
    falls = -float(seen.g @ direction)
    if falls <= 0:
        return False
    for t in (0.1, 1e-2):
        far = t * max(1.0, float(np.linalg.norm(seen.x)))
        other = restored(problem, problem.bounds.project(seen.x + far * direction))
        if other is None or other.violation > 1e-9:
            continue
        if problem.values(other.x)[0] < seen.f - 0.3 * far * falls:
            return True
    return False
