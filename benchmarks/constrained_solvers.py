"""Who solves a constrained problem: qed, Uno, Ipopt and SciPy's two, each with the same exact derivatives in float64.

Every solver is a function of a problem that returns a `Found`; one that used up its time is stopped by `Late`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.optimize

import qed
from benchmarks.constrained_problems import SECONDS, Problem
from qed.optimization.constrained import uno
from qed.optimization.constrained.engine import Said
from qed.optimization.constrained.problem import constrained


@dataclass(frozen=True, eq=False)
class Found:
    """Where a solver ended.

    Args:
        x: the point.
        claims: whether it claims a minimum there.
        calls: its evaluations of f.
        own: its multipliers in our signs, (y, z_l, z_u), where it gives all of them.
        words: what else it says.
    """

    x: np.ndarray
    claims: bool
    calls: int
    own: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    words: dict[str, Any] = field(default_factory=dict)


def by_qed(problem: Problem) -> Found:
    """qed's default; it claims a minimum, or a flat one, that is MEASURED or PROVED."""
    answer = qed.minimize(
        problem.f, problem.x0, equality=problem.h, inequality=problem.g, bounds=(problem.low, problem.high)
    )
    claims = not answer.unknown and str(answer.reason) in ("minimum", "flat_minimum")
    found = answer.value.multipliers
    y = np.concatenate([np.ravel(part) for part in (found.equality, found.inequality) if part is not None])
    words = {
        "standing": str(answer.standing), "reason": str(answer.reason), "says": str(answer.headline or answer.claim),
        "open": [reason.text for reason in answer.reasons if reason.role == "open"], "engine": answer.value.method,
        "certificate": None if answer.certificate is None else answer.certificate.kind,
    }  # fmt: skip
    own = (y, np.ravel(found.lower), np.ravel(found.upper))
    return Found(np.ravel(np.asarray(answer.x)), claims, int(answer.counts["values"]), own, words)


def by_uno(problem: Problem, engine: str) -> Found:
    """Uno alone, with the same derivatives."""
    read = constrained(problem.f, problem.x0, (), problem.h, problem.g, (problem.low, problem.high))
    found = uno.solve(read, read.start, 1000, engine, SECONDS)
    own = found.multipliers
    triple = None if own is None else (own.y, own.lower, own.upper)
    return Found(found.x, found.said is Said.CONVERGED, read.counts["values"], triple, {"says": found.words})


def by_scipy(problem: Problem, method: str) -> Found:
    """One of SciPy's."""
    upper = np.where(np.arange(problem.m) < problem.first, 0.0, np.inf)
    box = scipy.optimize.Bounds(problem.low, problem.high)
    start = np.clip(np.asarray(problem.x0), problem.low, problem.high)

    def jacobian(x: np.ndarray) -> np.ndarray:
        return np.asarray(problem.slopes(jnp.asarray(x))[1])

    def gradient(x: np.ndarray) -> np.ndarray:
        return np.asarray(problem.slopes(jnp.asarray(x))[0])

    def hessian(x: np.ndarray, v: np.ndarray, s: float = 0.0) -> np.ndarray:
        return np.asarray(problem.hessian(jnp.asarray(x), jnp.asarray(-v), s))

    how: dict[str, Any]
    if method == "SLSQP":
        n = problem.first
        parts = [("eq", slice(0, n)), ("ineq", slice(n, problem.m))]
        constraints: Any = [
            {"type": kind, "fun": lambda x, k=k: problem.at(x)[1][k], "jac": lambda x, k=k: jacobian(x)[k]}
            for kind, k in parts
            if k.stop > k.start
        ]
        how = {"options": {"maxiter": 1000, "ftol": 1e-10}}
    else:
        constraints = scipy.optimize.NonlinearConstraint(
            lambda x: problem.at(x)[1], np.zeros(problem.m), upper, jac=jacobian, hess=hessian
        )
        how = {"options": {"maxiter": 3000, "gtol": 1e-8, "xtol": 1e-12}}
        how["hess"] = lambda x: hessian(x, np.zeros(problem.m), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scipy.optimize.minimize(
            lambda x: problem.at(x)[0], start, jac=gradient, method=method, bounds=box, constraints=constraints, **how
        )
    return Found(np.asarray(found.x), bool(found.success), problem.calls, None, {"says": str(found.message)})


def by_ipopt(problem: Problem) -> Found:
    """Ipopt through ipyopt."""
    import ipyopt

    n, m = len(problem.x0), problem.m
    places = tuple(np.indices((m, n)).reshape(2, -1))
    lower = np.tril_indices(n)

    def fill(out: np.ndarray, values: Any) -> np.ndarray:
        out[()] = np.ravel(np.asarray(values))
        return out

    def hessian(x: np.ndarray, y: np.ndarray, s: float, out: np.ndarray) -> np.ndarray:
        return fill(out, np.asarray(problem.hessian(jnp.asarray(x), jnp.asarray(-y), s))[lower])

    solver = ipyopt.Problem(
        n, np.maximum(problem.low, -1e20), np.minimum(problem.high, 1e20), m, np.zeros(m),
        np.where(np.arange(m) < problem.first, 0.0, 1e20), places, lower,
        lambda x: problem.at(x)[0], lambda x, out: fill(out, problem.slopes(jnp.asarray(x))[0]),
        lambda x, out: fill(out, problem.at(x)[1]), lambda x, out: fill(out, problem.slopes(jnp.asarray(x))[1]),
        hessian,
    )  # fmt: skip
    solver.set(print_level=0, sb="yes", tol=1e-8, max_cpu_time=SECONDS)
    y, low, high = np.zeros(m), np.zeros(n), np.zeros(n)
    x, _, status = solver.solve(
        x0=np.clip(np.asarray(problem.x0), problem.low, problem.high), mult_g=y, mult_x_L=low, mult_x_U=high
    )
    return Found(np.asarray(x), status == 0, problem.calls, (-y, low, high), {"says": f"status {status}"})


def solvers() -> dict[str, Callable[[Problem], Found]]:
    """Who runs: qed, SciPy's two, and what is installed."""
    found: dict[str, Any] = {"qed": by_qed}
    if uno.available():
        found |= {engine: lambda p, e=engine: by_uno(p, e) for engine in ("uno-sqp", "uno-ipm")}
    if find_spec("ipyopt") is not None:
        found["ipopt"] = by_ipopt
    return found | {method: lambda p, m=method: by_scipy(p, m) for method in ("SLSQP", "trust-constr")}
