"""How far a point and its multipliers are from the conditions of Karush, Kuhn and Tucker, whoever found them.

With L = f - y'c - z_l'(x - lower) - z_u'(upper - x) a KKT point has grad L = 0, c = 0 or c >= 0, no negative
multiplier, and multiplier times slack = 0. The residuals are scaled so that they mean the same in any units:

    stationarity     |grad f - J'y - z_l + z_u|_inf / max(1, |grad f|_inf)
    feasibility      max_i violation_i / max(1, |row i of J|_inf)
    complementarity  max |multiplier * slack| / max(1, |f|, |grad f|_inf)
    sign             the most negative multiplier of an inequality / max(1, |grad f|_inf)

Multipliers that nobody gives are recovered from x alone: the nonnegative least squares solution of
[J' I -I; diag(slack)] (y, z_l, z_u) = (grad f, 0), inactive rows left out.
Reference: Nocedal and Wright, *Numerical Optimization*, 2006, theorem 12.1; Andreani, Haeser and Martinez, *On
sequential optimality conditions for smooth constrained optimization*, Optimization 60, 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
import scipy.sparse

from qed.optimization.constrained.problem import Constrained, Seen

Array = np.ndarray
SOLVED = 1e-6
"""A point whose residuals are no larger is a KKT point."""
NEAR = 1e-2
"""A row with more slack than this, relative to its slope, is inactive for sure."""


@dataclass(frozen=True, eq=False)
class Lagrange:
    """Multipliers as vectors: y for the rows of h and g, `lower` and `upper` (>= 0) for the bounds."""

    y: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Residuals:
    """The scaled residuals of the KKT conditions at a point, see the head of this file.

    `row` is the name of the row (or bound) that is violated most, '' where none is.
    """

    stationarity: float
    feasibility: float
    complementarity: float
    sign: float
    row: str = ""

    @property
    def largest(self) -> float:
        """The largest of them; NaN where one is."""
        return float(np.max([self.stationarity, self.feasibility, self.complementarity, self.sign]))

    def hold(self, tol: float = SOLVED) -> bool:
        """Whether none is larger than tol."""
        return self.largest <= tol


def row_scales(seen: Seen) -> Array:
    """max(1, the largest entry) of each row of the Jacobian; of a row that is tiny everywhere, its own unit for 1."""
    if hasattr(seen.J, "nnz"):
        largest = abs(scipy.sparse.csr_array(seen.J)).max(axis=1)
        return np.maximum(seen.units, np.ravel(largest.toarray() if hasattr(largest, "toarray") else largest))
    return np.maximum(seen.units, np.abs(seen.J).max(axis=1, initial=0.0))


def violations(problem: Constrained, seen: Seen) -> tuple[Array, Array]:
    """How much each row, and each bound of a parameter, is violated; unscaled."""
    first = problem.equalities
    rows = np.concatenate([np.abs(seen.c[:first]), np.maximum(0.0, -seen.c[first:]) + 0.0])
    outside = np.maximum(0.0, np.maximum(problem.bounds.lower - seen.x, seen.x - problem.bounds.upper))
    return rows, outside


def residuals(problem: Constrained, seen: Seen, found: Lagrange) -> Residuals:
    """The residuals of a point with multipliers.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.optimization.constrained.problem import constrained
        >>> problem = constrained(lambda x: x @ x, jnp.array([1.0, 1.0]), (), lambda x: x[0] + x[1] - 2, None, None)
        >>> here, zero = problem.at(problem.start), np.zeros(2)
        >>> residuals(problem, here, Lagrange(np.array([2.0]), zero, zero)).hold()
        True
        >>> residuals(problem, here, Lagrange(np.array([-2.0]), zero, zero)).stationarity
        2.0
    """
    if not seen.finite:
        return Residuals(np.nan, np.nan, np.nan, np.nan)
    slope = float(np.abs(seen.g).max(initial=0.0))
    stationarity = np.abs(seen.g - seen.J.T @ found.y - found.lower + found.upper).max(initial=0.0) / max(1.0, slope)
    rows, outside = violations(problem, seen)
    scaled = np.concatenate([rows / row_scales(seen), outside])
    worst = int(np.argmax(scaled)) if len(scaled) else 0
    row = (*problem.names, *problem.parameters)[worst] if scaled[worst] > 0 else ""
    first = problem.equalities
    low, high = (np.where(np.isfinite(s), s, 0.0) for s in slacks(problem, seen.x))
    products = np.concatenate([found.y[first:] * seen.c[first:], found.lower * low, found.upper * high])
    held = np.concatenate([found.lower[np.isinf(problem.bounds.lower)], found.upper[np.isinf(problem.bounds.upper)]])
    size = max(1.0, abs(seen.f), slope)
    negative = -np.concatenate([found.y[first:], found.lower, found.upper]).min(initial=0.0) + 0.0
    complementarity = max(np.abs(products).max(initial=0.0), np.abs(held).max(initial=0.0)) / size
    return Residuals(
        float(stationarity), float(scaled[worst]), float(complementarity), float(negative / max(1.0, slope)), row
    )


def slacks(problem: Constrained, x: Array) -> tuple[Array, Array]:
    """x - lower and upper - x, infinite where nothing bounds."""
    return x - problem.bounds.lower, problem.bounds.upper - x


def recovered(problem: Constrained, seen: Seen) -> Lagrange:
    """Multipliers from the point alone, by nonnegative least squares.

    Where they are not unique this is one choice among them. A row that does not depend on x gets 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.optimization.constrained.problem import constrained
        >>> problem = constrained(lambda x: x @ x, jnp.array([1.0, 1.0]), (), None, lambda x: x[0] + x[1] - 2, None)
        >>> recovered(problem, problem.at(problem.start)).y.round(9).tolist()
        [2.0]
    """
    n, m, first = problem.n, problem.rows, problem.equalities
    scales = row_scales(seen)
    low, high = slacks(problem, seen.x)
    near_rows = np.flatnonzero((np.arange(m) < first) | (seen.c <= NEAR * scales))
    most = max(60, 3 * n)
    inequalities = near_rows[near_rows >= first]
    if len(inequalities) > most:
        inequalities = inequalities[np.argsort(seen.c[inequalities] / scales[inequalities])[:most]]
    rows = np.concatenate([np.arange(first), inequalities]).astype(int)
    at_low, at_high = np.flatnonzero(low <= NEAR), np.flatnonzero(high <= NEAR)
    slack = np.concatenate([np.where(rows < first, 0.0, seen.c[rows]), low[at_low], high[at_high]])
    unit = scipy.sparse.csc_array(scipy.sparse.eye_array(n))
    across = scipy.sparse.hstack([scipy.sparse.csc_array(seen.J[rows].T), unit[:, at_low], -unit[:, at_high]])
    matrix: Any = scipy.sparse.vstack([across, scipy.sparse.diags_array(slack)]).tocsc()
    y, zl, zu = np.zeros(m), np.zeros(n), np.zeros(n)
    if not matrix.shape[1]:
        return Lagrange(y, zl, zu)
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
    norms[norms == 0] = 1.0
    matrix = matrix @ scipy.sparse.diags_array(1 / norms)
    least = np.where(np.arange(matrix.shape[1]) < np.sum(rows < first), -np.inf, 0.0)
    right = np.concatenate([seen.g, np.zeros(len(slack))])
    dense = matrix.shape[1] <= 1500 and n <= 1500
    solved = scipy.optimize.lsq_linear(
        matrix.toarray() if dense else matrix, right, (least, np.inf), method="bvls" if dense else "trf",
        tol=1e-13, max_iter=300,
    )  # fmt: skip
    values = solved.x / norms
    y[rows] = values[: len(rows)]
    zl[at_low] = values[len(rows) : len(rows) + len(at_low)]
    zu[at_high] = values[len(rows) + len(at_low) :]
    return Lagrange(y, zl, zu)
