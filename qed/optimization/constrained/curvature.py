"""The least curvature of the Lagrangian along the directions that the active constraints leave free.

A KKT point is a strict local minimum if d'H d > 0 for all d with J_s d = 0, J_s the rows that hold strictly (positive
multiplier), and none if d'H d < 0 for some d with J_A d = 0, J_A all active rows. Reference: Nocedal and Wright,
*Numerical Optimization*, 2006, theorems 12.5 and 12.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from qed.optimization.cone import Least, least_on_cone
from qed.optimization.constrained.polish import KKT, active_set
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import row_scales

Array = np.ndarray
FEW = 150
"""Up to how many parameters it is asked by a linear program whether f rises along all that the constraints allow."""
LEAST = 1e-5
"""A multiplier in units of the slope of f that is larger is taken for one above 0."""


@dataclass(frozen=True, eq=False)
class Curvature:
    """The least curvature.

    Args:
        lowest: along directions that keep all active rows, `vector` the direction; +inf where there is none.
        strict: along directions that keep the strictly active rows; +inf where there is none, NaN if not asked.
        size: of the Hessian, below whose rounding a curvature is zero; of its parts, where they cancel.
        dimension: of the space of directions that keep all active rows.
        residual: of the KKT conditions.
    """

    lowest: float
    strict: float
    vector: Array
    size: float
    dimension: int
    residual: float = 0.0

    @property
    def zero(self) -> float:
        """Up to which size a curvature may be rounding, or come of multipliers that are as far off as the residual."""
        return max(1e-9, 2 * self.residual) * max(self.size, 1e-300)


def curvature(problem: Constrained, kkt: KKT) -> Curvature:
    """The least curvature at a KKT point, among the directions that its active constraints leave."""
    active, y = active_set(problem, kkt), kkt.multipliers
    free = np.setdiff1d(np.arange(problem.n), np.concatenate([active.lower, active.upper]))
    H = problem.hessian(kkt.seen.x, y.y)
    size, residual = _size(problem, kkt, H), kkt.residuals.largest
    if problem.sparse:
        return replace(_sparse(problem, kkt, active.rows, free, H), size=size, residual=residual)
    lowest, vector, dimension = _least(H, kkt.seen.J[active.rows], free)
    weak = 1e-7 * max(1.0, float(np.abs(kkt.seen.g).max(initial=0.0)))
    forces = y.y * row_scales(kkt.seen)
    rows = active.rows[(active.rows < problem.equalities) | (forces[active.rows] > weak)]
    held = np.concatenate([active.lower[y.lower[active.lower] > weak], active.upper[y.upper[active.upper] > weak]])
    fixed = np.flatnonzero(problem.bounds.lower == problem.bounds.upper)
    loose = np.setdiff1d(np.arange(problem.n), np.concatenate([held, fixed]))
    if len(rows) == len(active.rows) and len(loose) == len(free):
        strict = lowest
    else:
        strict, _, _ = _least(H, kkt.seen.J[rows], loose)
    return Curvature(lowest, strict, vector, size, dimension, residual)


def _size(problem: Constrained, kkt: KKT, H: Any) -> float:
    """The largest entry of the Hessian of the Lagrangian, and of those of f and of y'c, which may cancel in it."""
    parts = [H]
    if np.any(kkt.multipliers.y):
        own = problem.derivatives.second(kkt.seen.x, np.zeros(problem.rows), 1.0)
        parts += [own, own - H]
    return float(max(abs(part).max() if min(part.shape) else 0.0 for part in parts))


def on_the_cone(problem: Constrained, kkt: KKT, zero: float) -> Least | None:
    """The least curvature along the directions that the constraints allow, those with no force to one side only.

    None where they are too many.
    """
    if problem.sparse:
        return None
    active, y = active_set(problem, kkt), kkt.multipliers
    weak = 1e-7 * max(1.0, float(np.abs(kkt.seen.g).max(initial=0.0)))
    unit, fixed = np.eye(problem.n), np.flatnonzero(problem.bounds.lower == problem.bounds.upper)
    forces = y.y * row_scales(kkt.seen)
    held = (active.rows < problem.equalities) | (forces[active.rows] > weak)
    low, high = (np.setdiff1d(side, fixed) for side in (active.lower, active.upper))
    strict_low, strict_high = y.lower[low] > weak, y.upper[high] > weak
    equal = [kkt.seen.J[active.rows[held]], unit[low[strict_low]], unit[high[strict_high]], unit[fixed]]
    above = [kkt.seen.J[active.rows[~held]], unit[low[~strict_low]], -unit[high[~strict_high]]]
    return least_on_cone(problem.hessian(kkt.seen.x, y.y), np.vstack(equal), np.vstack(above), zero)


def falls(problem: Constrained, kkt: KKT) -> float | None:
    """The largest curvature along all that the constraints allow, where it is negative: a strict local maximum.

    No inequality and no bound may push: along a step that leaves it f rises. Those that hold the point with no force
    are left out, so that the Lagrangian is f - y'h, and bends down on the null space of all rows of h.
    """
    active, y = active_set(problem, kkt), kkt.multipliers
    fixed = np.flatnonzero(problem.bounds.lower == problem.bounds.upper)
    rows, weak = active.rows[active.rows < problem.equalities], 1e-7 * max(1.0, float(np.abs(kkt.seen.g).max()))
    forces, inequalities = y.y * row_scales(kkt.seen), active.rows[active.rows >= problem.equalities]
    pushing = (
        forces[inequalities], y.lower[np.setdiff1d(active.lower, fixed)],
        y.upper[np.setdiff1d(active.upper, fixed)],
    )  # fmt: skip
    if any((np.abs(part) > weak).any() for part in pushing):
        return None
    H, free = -problem.hessian(kkt.seen.x, y.y), np.setdiff1d(np.arange(problem.n), fixed)
    if problem.sparse:
        found = _sparse(problem, kkt, rows, free, H)
    else:
        lowest, vector, dimension = _least(H, kkt.seen.J[rows], free)
        found = Curvature(lowest, lowest, vector, _size(problem, kkt, H), dimension, kkt.residuals.largest)
    return -found.lowest if found.zero < found.lowest < np.inf else None


def rises(problem: Constrained, kkt: KKT) -> bool:
    """Whether f rises to first order along every direction but 0 that the active constraints allow to first order.

    Such a point is a strict local minimum, whichever of its multipliers are told. The directions d with A d >= 0 (= 0
    for equalities) and g'd <= 0 are 0 alone if and only if there are multipliers of A that balance g, those of
    inequalities above 0, and A has rank n (strict complementarity of linear programs: Goldman and Tucker, 1956). One
    linear program finds those whose least is the largest.
    """
    if problem.sparse or problem.n > FEW:
        return False
    active, unit = active_set(problem, kkt), np.eye(problem.n)
    rows = np.vstack([kkt.seen.J[active.rows], unit[active.lower], -unit[active.upper]])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    g = kkt.seen.g / max(float(np.linalg.norm(kkt.seen.g)), 1e-300)
    fixed = np.flatnonzero(problem.bounds.lower == problem.bounds.upper)
    equal = np.concatenate(
        [active.rows < problem.equalities, np.isin(active.lower, fixed), np.isin(active.upper, fixed)]
    )
    if np.linalg.matrix_rank(rows, tol=1e-8) < problem.n:
        return False
    signed = np.flatnonzero(~equal)  # y_i >= t for these, the largest t <= 1
    above = np.hstack([-np.eye(len(rows))[signed], np.ones((len(signed), 1))])
    balance = np.hstack([rows.T, np.zeros((problem.n, 1))])
    found = scipy.optimize.linprog(
        np.append(np.zeros(len(rows)), -1.0), np.vstack([above, balance, -balance]),
        np.concatenate([np.zeros(len(signed)), g + 1e-9, 1e-9 - g]),
        bounds=[*((None, None) if e else (0.0, None) for e in equal), (0.0, 1.0)],
    )  # fmt: skip
    return found.status == 0 and bool(found.x[-1] > LEAST)


def _least(H: Array, J: Array, free: Array) -> tuple[float, Array, int]:
    vector = np.zeros(len(H))
    if not len(free):
        return np.inf, vector, 0
    basis = scipy.linalg.null_space(J[:, free], rcond=1e-10) if len(J) else np.eye(len(free))
    if not basis.shape[1]:
        return np.inf, vector, 0
    values, vectors = scipy.linalg.eigh(basis.T @ H[np.ix_(free, free)] @ basis)
    vector[free] = basis @ vectors[:, 0]
    return float(values[0]), vector, basis.shape[1]


def _sparse(problem: Constrained, kkt: KKT, rows: Array, free: Array, H: Any) -> Curvature:
    """By Lanczos on P H P + s (I - P), P the projection onto the null space; s lifts what is projected away."""
    vector = np.zeros(problem.n)
    part = scipy.sparse.csr_array(H)[free][:, free]
    size = float(abs(part).max()) if part.nnz else 0.0
    lift = float(abs(part).sum(axis=1).max()) + 1e-300 if part.nnz else 1.0
    J = scipy.sparse.csr_array(kkt.seen.J)[rows][:, free]
    dimension = len(free) - len(rows)
    if not len(free) or dimension <= 0:
        return Curvature(np.inf, np.inf, vector, size, 0)
    try:
        gram = (
            scipy.sparse.linalg.splu((J @ J.T + 1e-12 * scipy.sparse.eye_array(len(rows))).tocsc())
            if len(rows)
            else None
        )

        def project(v: Array) -> Array:
            return v if gram is None else v - J.T @ gram.solve(J @ v)

        def product(v: Array) -> Array:
            inside = project(v)
            return project(part @ inside) + lift * (v - inside)

        linalg: Any = scipy.sparse.linalg
        operator = linalg.LinearOperator((len(free), len(free)), matvec=product, dtype=np.float64)
        begin = np.random.default_rng(0).standard_normal(len(free))
        values, vectors = linalg.eigsh(operator, k=1, which="SA", tol=1e-4, maxiter=500, v0=begin)
    except (RuntimeError, scipy.sparse.linalg.ArpackError):
        return Curvature(np.nan, np.nan, vector, size, dimension)
    vector[free] = project(vectors[:, 0])
    return Curvature(float(values[0]), float(values[0]), vector, size, dimension)
