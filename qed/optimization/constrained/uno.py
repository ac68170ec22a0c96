"""Iterations by Uno: sequential quadratic programming with a filter, and a primal-dual interior point.

Uno (Vanaret and Leyffer, *Implementing a unified solver for nonlinearly constrained optimization*, 2024; the package
`unopy`, MIT) takes exact sparse derivatives and steps back where a value is not finite. Its sign of the multipliers is
set to ours, L = f - y'c; the multiplier of an upper bound, which it gives as a number <= 0, is turned.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from typing import Any

import numpy as np

from qed.optimization.constrained.engine import Callbacks, Outcome, Said
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import Lagrange

Array = np.ndarray
NONE = 1e20
"""What is no bound to Uno."""
FINE, COARSE = 1e-9, 1e-6
"""Tolerances: without more ado, and where Newton's method goes on from the point (`...polish`)."""
MOST, LEFT = 1e3, 1 / 3
"""Multipliers at the start that are larger, or leave a larger part of the slope of f, are not taken."""
PRESETS = {"uno-sqp": "filtersqp", "uno-ipm": "ipopt"}


def available() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec("unopy") is not None


def solve(
    problem: Constrained, start: Array, most: int, engine: str, seconds: float = 300.0, tolerance: float = FINE
) -> Outcome:
    """Iterate from a start.

    Args:
        problem: what to solve.
        start: a vector within the bounds.
        most: iterations.
        engine: 'uno-sqp' or 'uno-ipm'.
        seconds: an upper limit that no problem of ordinary size meets.
        tolerance: for its residuals.
    """
    unopy = importlib.import_module("unopy")
    asked = Callbacks(problem)
    model = _model(unopy, problem, asked, start)
    if engine == "uno-sqp" and problem.equalities and not problem.sparse:
        model.set_initial_dual_iterate(start_multipliers(problem, start).tolist())
    solver = unopy.UnoSolver()
    solver.set_preset(PRESETS[engine])
    solver.set_option("logger", "SILENT")
    solver.set_option("print_solution", False)
    solver.set_option("max_iterations", int(most))
    solver.set_option("time_limit", float(seconds))
    solver.set_option("primal_tolerance", tolerance)
    solver.set_option("dual_tolerance", tolerance)
    try:
        found = solver.optimize(model)
    except (RuntimeError, ValueError, MemoryError, IndexError) as error:
        return Outcome(engine, start, None, Said.FAILED, str(error), 0, asked.outside)
    words = f"{found.optimization_status.name}, {found.solution_status.name}"
    x = problem.bounds.project(np.array(found.primal_solution, np.float64))
    multipliers = Lagrange(
        np.array(found.constraint_dual_solution, np.float64)[: problem.rows],
        np.maximum(0.0, np.array(found.lower_bound_dual_solution, np.float64)),
        np.maximum(0.0, -np.array(found.upper_bound_dual_solution, np.float64)) + 0.0,
    )
    return Outcome(engine, x, multipliers, _said(words), words, int(found.number_iterations), asked.outside)


def _said(words: str) -> Said:
    if "UNBOUNDED" in words or "DIVERGING" in words:
        return Said.UNBOUNDED
    if "INFEASIBLE" in words:
        return Said.INFEASIBLE
    if "LIMIT" in words:
        return Said.LIMIT
    return Said.CONVERGED if "KKT" in words else Said.FAILED


def start_multipliers(problem: Constrained, start: Array) -> Array:
    """Multipliers of the equalities that balance the slope at the start, those of the other rows 0; or all 0.

    The first step of sequential quadratic programming takes the Hessian of L = f - y'c; with y = 0 it does not see how
    the constraints bend. The least-squares solution of grad f = J'y, in the numbers that lie off their bounds, tells
    where the start is near a KKT point: where it leaves no more than `LEFT` of the slope (Waechter and Biegler,
    Mathematical Programming 106, 2006, section 3.6; Nocedal and Wright, 2006, section 18.3).

    Example:
        >>> import jax.numpy as jnp
        >>> from qed.optimization.constrained.problem import constrained
        >>> problem = constrained(lambda x: x @ x, jnp.array([1.0, 1.0]), (), lambda x: x[0] + x[1] - 2, None, None)
        >>> start_multipliers(problem, problem.start).round(9).tolist()
        [2.0]
    """
    g, J = problem.first(start)
    rows, found = np.arange(problem.equalities), np.zeros(problem.rows)
    off = (start > problem.bounds.lower) & (start < problem.bounds.upper)
    across, slope = J[np.ix_(rows, np.flatnonzero(off))].T, g[off]
    if not (np.all(np.isfinite(slope)) and np.all(np.isfinite(across))):
        return found
    with contextlib.suppress(np.linalg.LinAlgError):
        fit = np.linalg.lstsq(across, slope)[0]
        left = float(np.linalg.norm(slope - across @ fit))
        if np.abs(fit).max(initial=0.0) <= MOST and left <= LEFT * float(np.linalg.norm(slope)):
            found[rows] = fit
    return found


def _model(unopy: Any, problem: Constrained, asked: Callbacks, start: Array) -> Any:
    n, m, first = problem.n, problem.rows, problem.equalities
    low = np.maximum(problem.bounds.lower, -NONE)
    high = np.minimum(problem.bounds.upper, NONE)
    model = unopy.Model(unopy.PROBLEM_NONLINEAR, n, low.tolist(), high.tolist(), unopy.ZERO_BASED_INDEXING)
    rows, columns = _places(asked.first(start)[1], (m, n))

    def gradient(x: Array, out: Array) -> None:
        out[:] = asked.first(x)[0]

    def constraints(x: Array, out: Array) -> None:
        out[:] = asked.values(x)[1]

    def jacobian(x: Array, out: Array) -> None:
        out[:] = _entries(asked.first(x)[1], rows, columns)

    generic = 1.0 + np.arange(m) / max(m, 1)
    h_rows, h_columns = _places(problem.hessian(start, generic), (n, n))
    lower = h_rows >= h_columns
    h_rows, h_columns = h_rows[lower], h_columns[lower]

    def hessian(x: Array, weight: float, y: Array, out: Array) -> None:
        out[:] = _entries(problem.hessian(x, y, weight), h_rows, h_columns)

    model.set_objective(unopy.MINIMIZE, lambda x: asked.values(x)[0], gradient)
    ends = np.where(np.arange(m) < first, 0.0, NONE)
    model.set_constraints(
        m, constraints, [0.0] * m, ends.tolist(), len(rows), rows.tolist(), columns.tolist(), jacobian
    )
    model.set_lagrangian_sign_convention(unopy.MULTIPLIER_NEGATIVE)
    model.set_lagrangian_hessian(len(h_rows), unopy.LOWER_TRIANGLE, h_rows.tolist(), h_columns.tolist(), hessian)
    model.set_initial_primal_iterate(start.tolist())
    return model


def _places(matrix: Any, shape: tuple[int, int]) -> tuple[Array, Array]:
    if hasattr(matrix, "indptr"):
        return np.repeat(np.arange(shape[0]), np.diff(matrix.indptr)), np.array(matrix.indices)
    rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    return rows, columns


def _entries(matrix: Any, rows: Array, columns: Array) -> Array:
    return np.ravel(np.asarray(matrix[rows, columns]))
