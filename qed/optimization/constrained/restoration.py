"""The point nearest to satisfying the constraints: least squares of what is violated, within the bounds.

With r(x) the violations (h, and min(g, 0)), a minimum of |r|^2 / 2 that is not zero has J'w = z with w = -r and z the
push of the bounds: no direction lowers the violation, and the rows with w other than zero are those in conflict there.
Where h is affine and g concave this is a Farkas certificate for all x; elsewhere it is a statement about the
neighbourhood. Reference: Nocedal and Wright, *Numerical Optimization*, 2006, section 15.4 and lemma 12.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import scipy.sparse

from qed.optimization.constrained.engine import Callbacks
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import row_scales

Array = np.ndarray
LARGE = 60
"""Of a sparse problem, whose steps are products with its matrices, so many evaluations at most."""


@dataclass(frozen=True, eq=False)
class Restored:
    """The nearest point.

    Args:
        x: the point.
        violation: its largest scaled violation.
        weights: what each row contributes, the largest 1; `lower` and `upper` what the bounds of each parameter push
            against it.
        stationary: how far it is from being a minimum of the violation, relative.
        scales: what the rows were divided by.
    """

    x: Array
    violation: float
    weights: Array
    lower: Array
    upper: Array
    stationary: float
    scales: Array


def restored(problem: Constrained, start: Array, only: Sequence[int] | None = None, most: int = 300) -> Restored | None:
    """The nearest point from a start, to all rows or to some; None where it cannot be computed.

    Args:
        problem: the problem.
        start: a vector.
        only: the rows asked for; None for all.
        most: evaluations.
    """
    asked, first, sparse = Callbacks(problem), problem.equalities, problem.sparse
    how: dict[str, Any] = {"tr_solver": "lsmr"} if sparse else {}
    scales = row_scales(problem.at(start))
    scales = np.where(np.isfinite(scales), scales, 1.0)  # divided by an infinite slope, anything would hold
    asks = np.ones(problem.rows, bool) if only is None else np.isin(np.arange(problem.rows), only)

    def violation(x: Array) -> Array:
        c = asked.values(x)[1] / scales
        return np.where(asks, np.where(np.arange(len(c)) < first, c, np.minimum(c, 0.0)), 0.0)

    def slopes(x: Array) -> Any:
        J = asked.first(x)[1]
        weights = (asks & ((np.arange(J.shape[0]) < first) | (violation(x) < 0))) / scales
        return scipy.sparse.csr_array(scipy.sparse.diags_array(weights) @ J) if sparse else J * weights[:, None]

    box = problem.bounds
    least_squares: Any = scipy.optimize.least_squares
    fixed = box.lower == box.upper
    low, high = np.where(fixed, box.lower - 1e-13, box.lower), np.where(fixed, box.upper + 1e-13, box.upper)
    try:
        with np.errstate(invalid="ignore", divide="ignore"):  # SciPy divides 0 by 0 where no row has a slope
            found = least_squares(
                violation, np.clip(start, low, high), slopes, bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-12,
                max_nfev=min(most, LARGE) if sparse else most, **how,
            )  # fmt: skip
    except (ValueError, np.linalg.LinAlgError):
        return None
    x = box.project(found.x)
    r, J = violation(x), slopes(x)
    slope = J.T @ r
    inside = x - box.project(x - slope)
    size = max(float(np.linalg.norm(r)), 1e-300) * max(1.0, float(abs(J).max() if J.size else 0.0))
    largest = float(np.abs(r).max(initial=0.0))
    if not np.isfinite(largest):
        return None
    unit = max(largest, 1e-300)
    near = 1e-8 * (1 + np.abs(x))
    lower = np.where(x - box.lower <= near, np.maximum(slope, 0.0), 0.0) / unit
    upper = np.where(box.upper - x <= near, np.maximum(-slope, 0.0), 0.0) / unit
    away = float(np.abs(inside).max(initial=0.0)) / size
    return Restored(x, largest, -r / unit, lower, upper, away, scales)
