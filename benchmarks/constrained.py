"""Constrained problems of CUTEst (sif2jax, n <= 200): who solves how many, and who claims success without it.

Every solver gets exact derivatives in float64, and every point is judged alike, from x alone: multipliers by bounded
least squares, and the scaled KKT residuals (L = f - y'c; stationarity, feasibility,
complementarity each relative to the size of gradients and rows) of at most 1e-6. *Solved* is such a point with a value
within 1e-6 of the best that any solver found (relative to its size, if above 1); *false* is a claim of success at a
point that is none. The judge shares no code with qed. Of some problems the transcription has the sign of g turned; they
are listed in FLIPPED, and turned back. qed's claim is a minimum (or flat minimum) that is MEASURED or PROVED.

    python -m benchmarks.constrained                    the table; writes benchmarks/results/constrained.json
    python -m benchmarks.constrained --only HS71 HS13   the problems named, nothing written
    python -m benchmarks.constrained --tuning 20        the first 20 of those open for tuning, nothing written
    python -m benchmarks.constrained --sparse 1000      the sparse beside the dense route, nothing written

The promise: at least 95 % of the problems solved by anyone are solved by qed, no false success, at most 8 evaluations
in the median, and sparse problems of 1,000 variables at least 16 times as fast as by dense matrices in the same run.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

import qed
from qed.errors import QedError
from qed.optimization.constrained import derivatives, uno
from qed.optimization.constrained.engine import Said
from qed.optimization.constrained.problem import constrained

RESULT = Path(__file__).with_name("results") / "constrained.json"
LARGEST, TOL, SECONDS = 200, 1e-6, 60.0
FLIPPED = """CHACONN1 DIPIGRI GOFFIN HAIFAS HS102 HS103 MAKELA2 POLAK1 POLAK3 POLAK4 POLAK5 TENBARS1 ZECEVIC2 CSFI1
CSFI2 HAIFAM ZECEVIC4""".split()
TUNING = """HS6 HS7 HS8 HS9 HS11 HS12 HS13 HS15 HS16 HS17 HS18 HS19 HS20 HS21 HS23 HS24 HS26 HS27 HS29 HS30 HS31 HS33
HS34 HS35 HS37 HS39 HS40 HS41 HS43 HS44 HS46 HS47 HS49 HS51 HS52 HS53 HS55 HS56 HS60 HS61 HS62 HS63 HS66 HS68 HS71 HS72
HS73 HS76 HS77 HS79 HS80 HS81 HS83 HS86 HS87 HS88 HS89 HS90 HS93 HS96 HS98 HS100 HS102 HS103 HS104 HS105 HS106 HS108
HS112 HS113 HS268 BT1 BT3 BT6 BT10 BT11 BT12 BT13 ALSOTAME AVGASA AVGASB CB2 CB3 CHACONN1 DIPIGRI FLETCHER FLT GIGOMEZ2
GOFFIN HIMMELBC HIMMELBE LSNNODOC MADSEN MAKELA2 MARATOS MATRIX2 OET1 OET2 POLAK1 POLAK3 POLAK5 PORTFL1 SIPOW1 TENBARS4
TRO3X3 TRO4X4 ZECEVIC2 ZECEVIC3 ZECEVIC4 DUAL1 DUALC1 DEGENLPA BATCH LOOTSMA NASH BURKEHAN HIMMELBD""".split()


class Late(Exception):
    """A solver used up its time."""


class Problem:
    """A problem with functions of a vector: f, h and g, their derivatives, and the judge."""

    def __init__(self, name: str, problem: Any) -> None:
        self.name, self.x0 = name, jnp.asarray(ravel_pytree(problem.y0)[0], jnp.float64)
        rebuild, sign = ravel_pytree(problem.y0)[1], -1.0 if name in FLIPPED else 1.0
        self.f: Callable[..., Any] = lambda x: problem.objective(rebuild(x), problem.args)
        parts = problem.constraint(rebuild(self.x0))

        def rows(part: int, factor: float) -> Callable[..., Any] | None:
            if parts[part] is None or not ravel_pytree(parts[part])[0].size:
                return None
            return lambda x: factor * ravel_pytree(problem.constraint(rebuild(x))[part])[0]

        self.h, self.g = rows(0, 1.0), rows(1, sign)
        sides = problem.bounds
        if sides is None:
            self.low, self.high = (np.full(len(self.x0), s * np.inf) for s in (-1.0, 1.0))
        else:
            ends = [np.asarray(ravel_pytree(side)[0], float) for side in sides]
            self.low, self.high = (np.where(np.abs(end) >= 1e19, np.copysign(np.inf, end), end) for end in ends)
        empty = jnp.zeros(0)
        self.first = 0 if self.h is None else len(self.h(self.x0))

        def whole(x: Any) -> tuple[Any, Any]:
            h, g = (empty if part is None else part(x) for part in (self.h, self.g))
            return self.f(x), jnp.concatenate([h, g])

        def slopes(x: Any) -> Any:
            return jax.grad(self.f)(x), jax.jacrev(lambda p: whole(p)[1])(x)

        self.values, self.slopes = jax.jit(whole), jax.jit(slopes)
        self.hessian = jax.jit(jax.hessian(lambda x, y, s: s * whole(x)[0] - y @ whole(x)[1]))
        self.m = len(self.values(self.x0)[1])
        self.calls, self.until = 0, np.inf
        self._last: tuple[Any, Any] = (None, None)

    def at(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """f and c, counted once for each point; stops a solver that is late."""
        if self._last[0] is None or not np.array_equal(self._last[0], x):
            if time.process_time() > self.until:
                raise Late
            self.calls += 1
            f, c = self.values(jnp.asarray(x))
            self._last = (np.array(x), (float(f), np.asarray(c)))
        return self._last[1]

    def judge(self, x: np.ndarray) -> tuple[float, float]:
        """The largest scaled KKT residual at x, with multipliers by bounded least squares, and f."""
        f, c = self.values(jnp.asarray(x))
        g, J = (np.asarray(part) for part in self.slopes(jnp.asarray(x)))
        f, c = float(f), np.asarray(c)
        if not (np.isfinite(f) and all(np.all(np.isfinite(part)) for part in (c, g, J))):
            return np.inf, f
        scale, slope = np.maximum(1.0, np.abs(J).max(axis=1, initial=0.0)), float(np.abs(g).max())
        equal = np.arange(self.m) < self.first
        off = np.where(equal, np.abs(c), np.maximum(0.0, -c)) / scale
        out = np.maximum(0.0, np.maximum(self.low - x, x - self.high))
        near = np.flatnonzero(equal | (c <= 1e-2 * scale))
        near = near[np.argsort(np.where(equal[near], -np.inf, (c / scale)[near]))][: self.first + max(60, 3 * len(x))]
        at_low, at_high = np.flatnonzero(x - self.low <= 1e-2), np.flatnonzero(self.high - x <= 1e-2)
        unit = np.eye(len(x))
        across = np.hstack([J[near].T, unit[:, at_low], -unit[:, at_high]])
        slack = np.concatenate([np.where(equal[near], 0.0, c[near]), (x - self.low)[at_low], (self.high - x)[at_high]])
        feasibility = max(off.max(initial=0.0), out.max(initial=0.0))
        if not across.shape[1]:
            return max(feasibility, slope / max(1.0, slope)), f
        matrix = np.vstack([across, np.diag(slack)])
        norms = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
        least = np.where(np.arange(len(slack)) < np.sum(equal[near]), -np.inf, 0.0)
        right = np.concatenate([g, np.zeros(len(slack))])
        z = scipy.optimize.lsq_linear(matrix / norms, right, (least, np.inf), method="bvls", tol=1e-13).x / norms
        stationarity = np.abs(g - across @ z).max() / max(1.0, slope)
        complementarity = np.abs(z * slack).max(initial=0.0) / max(1.0, abs(f), slope)
        return float(max(feasibility, stationarity, complementarity)), f


def by_qed(problem: Problem) -> tuple[np.ndarray, bool, int]:
    """qed's default."""
    answer = qed.minimize(
        problem.f, problem.x0, equality=problem.h, inequality=problem.g, bounds=(problem.low, problem.high)
    )
    claims = not answer.unknown and str(answer.reason) in ("minimum", "flat_minimum")
    return np.asarray(answer.x), claims, int(answer.counts["values"])


def by_uno(problem: Problem, engine: str) -> tuple[np.ndarray, bool, int]:
    """Uno alone, with the same derivatives."""
    read = constrained(problem.f, problem.x0, (), problem.h, problem.g, (problem.low, problem.high))
    found = uno.solve(read, read.start, 1000, engine, SECONDS)
    return found.x, found.said is Said.CONVERGED, read.counts["values"]


def by_scipy(problem: Problem, method: str) -> tuple[np.ndarray, bool, int]:
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
    return np.asarray(found.x), bool(found.success), problem.calls


def by_ipopt(problem: Problem) -> tuple[np.ndarray, bool, int]:
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
    x, _, status = solver.solve(x0=np.clip(np.asarray(problem.x0), problem.low, problem.high))
    return np.asarray(x), status == 0, problem.calls


def solvers() -> dict[str, Callable[[Problem], tuple[np.ndarray, bool, int]]]:
    """Who runs: qed, SciPy's two, and what is installed."""
    found: dict[str, Any] = {"qed": by_qed}
    found |= {method: lambda p, m=method: by_scipy(p, m) for method in ("SLSQP", "trust-constr")}
    if uno.available():
        found |= {engine: lambda p, e=engine: by_uno(p, e) for engine in ("uno-sqp", "uno-ipm")}
    if find_spec("ipyopt") is not None:
        found["ipopt"] = by_ipopt
    return found


def row(problem: Problem) -> dict[str, Any]:
    """What every solver does on one problem."""
    found: dict[str, Any] = {}
    for name, solver in solvers().items():
        problem.calls, problem.until, problem._last = 0, time.process_time() + SECONDS, (None, None)
        began = time.process_time()
        try:
            x, claims, calls = solver(problem)
            residual, f = problem.judge(np.clip(x, problem.low, problem.high))
        except (Late, QedError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            residual, f, claims, calls = np.inf, np.nan, False, problem.calls
            found[name] = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        seconds = round(time.process_time() - began, 3)
        found.setdefault(name, {})
        found[name] |= {"residual": residual, "f": f, "claims": claims, "calls": calls, "seconds": seconds}
    values = [one["f"] for one in found.values() if one["residual"] <= TOL]
    best = min(values, default=np.nan)
    for one in found.values():
        one["solved"] = bool(one["residual"] <= TOL and one["f"] <= best + 1e-6 * max(1.0, abs(best)))
        one["false"] = bool(one["claims"] and not one["residual"] <= TOL)
    return {"n": len(problem.x0), "m": problem.m, "best": None if np.isnan(best) else best, "by": found}


def summary(rows: dict[str, Any]) -> dict[str, Any]:
    """Counts for each solver, over the problems that anyone solves."""
    solvable = [one for one in rows.values() if one["best"] is not None]
    told = {}
    for name in next(iter(rows.values()))["by"]:
        mine = [one["by"][name] for one in solvable]
        calls = [one["calls"] for one in mine if one["solved"]]
        told[name] = {
            "solved": sum(one["solved"] for one in mine), "of": len(solvable),
            "claimed and solved": sum(one["solved"] and one["claims"] for one in mine),
            "false": [key for key, one in rows.items() if one["by"][name]["false"]],
            "median calls": float(np.median(calls)) if calls else None,
        }  # fmt: skip
    return told


def problems(names: list[str] | None) -> list[Problem]:
    """Those of sif2jax with general constraints and at most 200 variables."""
    import sif2jax

    found = {type(p).__name__: p for p in sif2jax.constrained_minimisation_problems}
    found |= {type(p).__name__: p for p in sif2jax.constrained_quadratic_problems}
    chosen = sorted(found) if names is None else [name for name in names if name in found]
    kept = []
    for name in chosen:
        if name != "DEGENQPC" and ravel_pytree(found[name].y0)[0].size <= LARGEST:
            kept.append(Problem(name, found[name]))
    return kept


def sparse(n: int) -> dict[str, Any]:
    """LUKVLE1 (Luksan and Vlcek): seconds of preparation and solution, sparse and dense, in this run."""

    def f(x: Any) -> Any:
        return jnp.sum(100 * (x[:-1] ** 2 - x[1:]) ** 2 + (x[:-1] - 1) ** 2)

    def h(x: Any) -> Any:
        a, b, c = x[:-2], x[1:-1], x[2:]
        return 3 * b**3 + 2 * c - 5 + jnp.sin(b - c) * jnp.sin(b + c) + 4 * b - a * jnp.exp(a - b) - 3

    x0 = jnp.where(jnp.arange(n) % 2 == 0, -1.2, 1.0)
    engine, small, told = "uno-ipm" if uno.available() else "trust-constr", derivatives.SMALL, {}
    for route in ("sparse", "dense"):
        derivatives.SMALL = small if route == "sparse" else 10**9
        times = []
        for _ in range(2):  # the second is without compilation, as far as JAX remembers
            began = time.process_time()
            problem = constrained(f, x0, (), h, None, None)
            problem.hessian(problem.at(problem.start).x, np.ones(problem.rows))
            prepared = time.process_time()
            outcome = uno.solve(problem, problem.start, 200, engine) if engine == "uno-ipm" else None
            times.append((prepared - began, time.process_time() - prepared))
        value = None if outcome is None else problem.at(outcome.x).f
        told[route] = {"preparation": round(times[0][0], 3), "solution": round(min(t[1] for t in times), 4), "f": value}
    derivatives.SMALL = small
    told["dense / sparse"] = round(told["dense"]["solution"] / told["sparse"]["solution"], 1)
    return told


def main() -> None:
    """Run and print; write the result of a whole run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tuning", type=int)
    parser.add_argument("--sparse", type=int)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if options.sparse:
        print(json.dumps(sparse(options.sparse), indent=1))
        return
    names = options.only or (TUNING[: options.tuning] if options.tuning else None)
    rows: dict[str, Any] = {}
    for problem in problems(names):
        rows[problem.name] = row(problem)
        told = {
            k: ("+" if o["solved"] else "-") + ("!" if o["false"] else "") for k, o in rows[problem.name]["by"].items()
        }
        print(problem.name, len(problem.x0), problem.m, rows[problem.name]["best"], told, flush=True)
    told = summary(rows)
    print(json.dumps(told, indent=1))
    if names is None:
        packages = ("jax", "scipy", "numpy", "sif2jax", *(p for p in ("unopy", "ipyopt") if find_spec(p)))
        versions = {package: version(package) for package in packages}
        RESULT.write_text(json.dumps({"versions": versions, "summary": told, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
