"""Iterations by SciPy, which is always there: SLSQP, and the trust-region interior point.

SLSQP (Kraft, *A software package for sequential quadratic programming*, 1988) takes exact gradients and keeps a dense
quasi-Newton matrix; it gives no multipliers of bounds. The interior point of `trust-constr` (Byrd, Hribar and Nocedal,
*An interior point algorithm for large-scale nonlinear programming*, SIAM J. Optim. 9, 1999) takes the exact Hessian,
sparse matrices too. Multipliers are recovered from the point afterwards.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy

from qed.optimization.constrained.engine import Callbacks, Outcome, Said
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
AWAY = 1e20
"""A run whose value is below -AWAY is taken for one that has no end."""


def slsqp(problem: Constrained, start: Array, most: int) -> Outcome:
    """Iterate by SLSQP from a start, at most so many times."""
    asked, first = Callbacks(problem), problem.equalities
    free = problem.free
    groups = []
    for kind, rows in (("eq", np.arange(first)), ("ineq", np.arange(first, problem.rows))):
        kept = rows[free[rows]]
        if len(kept):
            groups.append({"type": kind, "fun": _rows_of(asked, kept), "jac": _slopes_of(asked, kept)})
    return _run(
        "slsqp", problem, start, asked, method="SLSQP", constraints=groups, jac=lambda x: asked.first(x)[0],
        options={"maxiter": most, "ftol": 1e-14},
    )  # fmt: skip


def trust_constr(problem: Constrained, start: Array, most: int) -> Outcome:
    """Iterate by the interior point of trust-constr from a start, at most so many times."""
    asked, m = Callbacks(problem), problem.rows
    upper = np.where(np.arange(m) < problem.equalities, 0.0, np.inf)
    nothing = np.zeros(m)
    constrain: Any = scipy.optimize.NonlinearConstraint
    constraint = constrain(
        lambda x: asked.values(x)[1], np.zeros(m), upper, jac=lambda x: asked.first(x)[1],
        hess=lambda x, v: problem.hessian(x, -v, 0.0),
    )  # fmt: skip
    return _run(
        "trust-constr", problem, start, asked, method="trust-constr", constraints=[constraint],
        jac=lambda x: asked.first(x)[0], hess=lambda x: problem.hessian(x, nothing),
        options={"maxiter": most, "gtol": 1e-10, "xtol": 1e-12, "barrier_tol": 1e-10},
    )  # fmt: skip


def _rows_of(asked: Callbacks, rows: Array) -> Any:
    return lambda x: asked.values(x)[1][rows]


def _slopes_of(asked: Callbacks, rows: Array) -> Any:
    def slopes(x: Array) -> Array:
        found = asked.first(x)[1][rows]
        return found.toarray() if hasattr(found, "toarray") else found

    return slopes


def _run(engine: str, problem: Constrained, start: Array, asked: Callbacks, **how: Any) -> Outcome:
    bounded: Any = scipy.optimize.Bounds
    box = bounded(problem.bounds.lower, problem.bounds.upper)
    last = [np.array(start)]

    def value(x: Array) -> float:
        f = asked.values(x)[0]
        if np.isfinite(f):
            last[0] = np.array(x)
        return f if np.isfinite(f) else 1e200  # a wall: the search steps back from it

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = scipy.optimize.minimize(value, start, bounds=None if problem.bounds.open else box, **how)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError, RuntimeError) as error:
            return Outcome(engine, problem.bounds.project(last[0]), None, Said.FAILED, str(error), 0, asked.outside)
    x = problem.bounds.project(np.asarray(found.x, np.float64))
    words = str(found.message)
    status = int(found.get("status", -1))  # where all bounds are equal, SciPy returns no more than the point
    good, limit = (status == 0, status == 9) if engine == "slsqp" else (status in (1, 2), status == 0)
    far = float(found.fun) < -AWAY
    said = Said.CONVERGED if good else Said.UNBOUNDED if far else Said.LIMIT if limit else Said.FAILED
    x = x if np.all(np.isfinite(x)) else problem.bounds.project(last[0])
    return Outcome(engine, x, None, said, words, int(found.get("nit", 0)), asked.outside)
