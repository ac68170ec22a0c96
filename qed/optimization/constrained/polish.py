"""Newton's method on the KKT system of the active constraints: from a solver's digits to all digits.

With A the rows and bounds that hold the point, x and the multipliers of A solve the square system

    grad f - J_A' y_A = 0,   c_A = 0,      by steps   [H  -J_A'] [dx]     [grad f - J_A' y_A]
                                                     [J_A   0 ] [dy] = - [c_A              ]

with the exact Hessian H of the Lagrangian; it converges quadratically where the gradients of A are independent and H is
positive on their null space. Dependent rows take the least-squares step. A polished point is kept only where its
residuals, recomputed, are smaller. Reference: Nocedal and Wright, *Numerical Optimization*, 2006, section 18.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from qed.optimization.constrained.problem import Constrained, Seen
from qed.optimization.constrained.residuals import (
    SOLVED,
    Lagrange,
    Residuals,
    recovered,
    residuals,
    row_scales,
    slacks,
)

Array = np.ndarray

DONE = 1e-12
"""With residuals no larger, and a step that changes nothing any more, a point is left as it is."""


@dataclass(frozen=True, eq=False)
class KKT:
    """A point with multipliers and the residuals of the two."""

    seen: Seen
    multipliers: Lagrange
    residuals: Residuals


@dataclass(frozen=True, eq=False)
class Active:
    """Which rows and bounds hold a point: indices of rows, of parameters at a lower, at an upper bound."""

    rows: Array
    lower: Array
    upper: Array


def judged(problem: Constrained, seen: Seen, given: Lagrange | None) -> KKT:
    """The point with the better of two sets of multipliers: those given, and those recovered from the point."""
    kkt = None if given is None else KKT(seen, given, residuals(problem, seen, given))
    if kkt is not None and kkt.residuals.hold(1e-9):
        return kkt
    if kkt is not None and problem.sparse and kkt.residuals.feasibility > SOLVED:
        return kkt  # no KKT point, whatever its multipliers, and many are dear to recover
    if not seen.finite:
        nothing = Lagrange(np.zeros(problem.rows), np.zeros(problem.n), np.zeros(problem.n))
        return kkt if kkt is not None else KKT(seen, nothing, residuals(problem, seen, nothing))
    own = recovered(problem, seen)
    other = KKT(seen, own, residuals(problem, seen, own))
    return other if kkt is None or not kkt.residuals.largest <= other.residuals.largest else kkt


def active_set(problem: Constrained, kkt: KKT) -> Active:
    """What holds a point: where a multiplier is larger than the slack, both scaled, or there is no slack at all."""
    seen, found = kkt.seen, kkt.multipliers
    scales, size = row_scales(seen), max(1.0, float(np.abs(seen.g).max(initial=0.0)))
    slack = seen.c / scales
    rows = (np.arange(problem.rows) < problem.equalities) | (found.y * scales / size > slack) | (slack <= 1e-9)
    low, high = slacks(problem, seen.x)
    lower = (found.lower / size > low) | (low <= 1e-12)
    upper = ((found.upper / size > high) | (high <= 1e-12)) & ~lower
    return Active(np.flatnonzero(rows & problem.free), np.flatnonzero(lower), np.flatnonzero(upper))


def polished(problem: Constrained, kkt: KKT, most: int = 8) -> tuple[KKT, bool]:
    """A point with smaller residuals by Newton's method on what holds it, the same where there is none.

    Returns:
        The point, and whether the multipliers settled: at a point without multipliers they grow with every step.
    """
    best, settled = kkt, False
    if not kkt.seen.finite:
        return kkt, settled
    active = active_set(problem, kkt)
    x, y, here = snapped(problem, kkt, active), kkt.multipliers.y, kkt.seen
    for _ in range(most):
        here = here if np.array_equal(here.x, x) else problem.at(x)
        step = newton(problem, here, active, y) if here.finite else None
        if step is None:
            break
        change, size = np.abs(step[1] - y).max(initial=0.0), 1e-3 + np.abs(step[1]).max(initial=0.0)
        settled = bool(change <= 1e-5 * size)
        if best.residuals.hold(DONE) and change <= 1e-9 * size and np.all(np.abs(step[0]) <= 1e-10 * (1 + np.abs(x))):
            break
        x, y = problem.bounds.project(x + step[0]), step[1]
        here = problem.at(x)
        if not here.finite:
            break
        found = with_bounds(problem, here, y, active)
        now = KKT(here, found, residuals(problem, here, found))
        if now.residuals.largest < best.residuals.largest:
            best = now
        elif not now.residuals.largest <= 10 * best.residuals.largest:
            break
        if settled and best.residuals.largest <= 1e-13:
            break
    return best, settled


def snapped(problem: Constrained, kkt: KKT, active: Active) -> Array:
    """The point, put onto the bounds that hold it."""
    x = kkt.seen.x.copy()
    x[active.lower] = problem.bounds.lower[active.lower]
    x[active.upper] = problem.bounds.upper[active.upper]
    return x


def newton(
    problem: Constrained, here: Seen, active: Active, y: Array, *, least: bool = True
) -> tuple[Array, Array] | None:
    """The step in the parameters, and the new multipliers of all rows (0 for those that do not hold).

    With `least` dependent rows take the least-squares step; without, the system is solved as it is.
    """
    n, k = problem.n, len(active.rows)
    free = np.setdiff1d(np.arange(n), np.concatenate([active.lower, active.upper]))
    kept = np.zeros(problem.rows)
    kept[active.rows] = y[active.rows]
    H = problem.hessian(here.x, kept)
    right = -np.concatenate([here.g[free], here.c[active.rows]])
    if not np.all(np.isfinite(H.data if hasattr(H, "nnz") else H)):
        return None
    try:
        if problem.sparse:
            J = scipy.sparse.csr_array(here.J)[active.rows][:, free]
            part = scipy.sparse.csr_array(H)[free][:, free]
            tiny = scipy.sparse.eye_array(k) * 1e-11
            matrix: Any = scipy.sparse.block_array([[part, -J.T], [J, tiny]]).tocsc() if k else part.tocsc()
            solved = scipy.sparse.linalg.splu(matrix).solve(right)
        else:
            J = here.J[np.ix_(active.rows, free)]
            matrix = np.block([[H[np.ix_(free, free)], -J.T], [J, np.zeros((k, k))]])
            found: Any = scipy.linalg.lstsq(matrix, right, cond=1e-13) if least else [np.linalg.solve(matrix, right)]
            solved = found[0]
    except (RuntimeError, ValueError, np.linalg.LinAlgError):
        return None
    if not np.all(np.isfinite(solved)):
        return None
    move, new = np.zeros(n), np.zeros(problem.rows)
    move[free] = solved[: len(free)]
    new[active.rows] = solved[len(free) :]
    return move, new


def with_bounds(problem: Constrained, seen: Seen, y: Array, active: Active) -> Lagrange:
    """The multipliers of the bounds that hold: what the rows leave of the gradient."""
    rest = seen.g - seen.J.T @ y
    lower, upper = np.zeros(problem.n), np.zeros(problem.n)
    fixed = problem.bounds.lower == problem.bounds.upper
    both = active.lower[fixed[active.lower]]
    lower[active.lower] = rest[active.lower]
    upper[active.upper] = -rest[active.upper]
    lower[both], upper[both] = np.maximum(rest[both], 0.0), np.maximum(-rest[both], 0.0)
    tiny = 1e-13 * max(1.0, float(np.abs(seen.g).max(initial=0.0)))
    inequality = np.arange(problem.rows) >= problem.equalities
    y = np.where(inequality & (y < 0) & (y > -tiny), 0.0, y) + 0.0
    return Lagrange(y, *(np.where((z < 0) & (z > -tiny), 0.0, z) + 0.0 for z in (lower, upper)))
