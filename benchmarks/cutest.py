"""Unconstrained and bounded problems of CUTEst (sif2jax, n <= 1000): who solves how many, in how many calls.

Every solver gets the same compiled value and gradient (and Hessian, where it takes one) in float64, and every point is
judged alike: *solved* is a projected gradient of at most 1e-6 max(1, that of the start) and a value within 1e-6 of the
best that any solver found (relative to its size, if above 1). The listed optimal values are not used: some are wrong.
Counted: calls of the value with its gradient, and of Hessians or products. A verdict of qed that says minimum where the
judge sees none, or none where the judge sees a solution, is a wrong claim, listed by name. Every solver has the same
CPU time; qed and trust-exact are timed cold, with what their functions take to compile. The problems not named in
TUNING were not looked at while the methods were made.

    python -m benchmarks.cutest                   the table; writes benchmarks/results/cutest.json as it goes, and goes
                                                  on where that was interrupted
    python -m benchmarks.cutest --only ROSENBR    the problems named, nothing written
    python -m benchmarks.cutest --tuning          the problems open for tuning, nothing written

The promise: at least 96 % of the unconstrained and 90 % of the bounded problems are solved; no wrong claim.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

import qed
from benchmarks.sparsity import problems
from qed.errors import QedError

RESULT = Path(__file__).with_name("results") / "cutest.json"
LARGEST, SECONDS, STEPS, TOL = 1000, 60.0, 3000, 1e-6
"""Parameters, CPU seconds a solver has on a problem (of SciPy's, compilation left out), iterations, gradient."""
SCIPY = ("L-BFGS-B", "BFGS", "trust-exact", "Newton-CG")
COLD = ("qed", "trust-exact")
"""What is timed with its compilation; SciPy's share value, gradient and Hessian."""
TUNING = """AKIVA ALLINITU ARGLINA ARGLINB ARGLINC ARGTRIGLS BARD BEALE BENNETT5LS BIGGS5 BOX2 BOX3 BOXBODLS BQPGASIM
BRANIN BROWNBS BROWNDEN CAMEL6 CHNROSNB CHNRSNBM CHWIRUT2LS CLUSTERLS COOLHANSLS CUBE DANIWOODLS DENSCHNA DENSCHNB
DENSCHNC DENSCHND DENSCHNF DEVGLA1 DEVGLA1B DEVGLA2 DEVGLA2B DGOSPEC DIAGIQB DIAGIQE DIAGNQB DIAGNQE DIAGPQE DIAGPQT
DIXMAANA1 DMN15102LS DMN15103LS EGGCRATEB ELATVIDU EXP2 EXP2B EXPFIT FLETCHCR GAUSS1LS GAUSS2LS GAUSS3LS GENROSE
GROWTHLS HADAMALS HAHN1LS HATFLDB HATFLDC HATFLDD HATFLDE HATFLDFL HEART6LS HEART8LS HELIX HILBERTA HIMMELBCLS HIMMELBH
HS1 HS110 HS2 HS25 HS3MOD HS45 HS5 HUMPS INTEQNELS JENSMP JUDGE JUDGEB KOEBHELB KOWOSB LANCZOS1LS LANCZOS2LS LEVYMONT
LEVYMONT5 LEVYMONT6 LEVYMONT7 LEVYMONT8 LEVYMONT9 LSC1LS LSC2LS LUKSAN12LS LUKSAN13LS LUKSAN14LS LUKSAN16LS LUKSAN21LS
MARATOSB MEXHAT MGH09LS MGH10LS MISRA1ALS MISRA1BLS MISRA1CLS NELSONLS PALMER1 PALMER1A PALMER1C PALMER2 PALMER2A
PALMER2B PALMER2C PALMER2E PALMER3 PALMER3B PALMER3E PALMER4 PALMER4C PALMER4E PALMER5B PALMER5C PALMER5D PALMER6C
PALMER6E PALMER7E PALMER8A PALMER8C PALMER8E PENALTY3 PFIT1LS PFIT3LS POWERSUM PRICE4B QING RAT42LS RAT43LS ROSENBR
ROSZMAN1LS S308 SISSER SNAIL SPIN2LS TRIGON1B VANDANMSLS VESUVIOLS VESUVIOULS VIBRBEAM""".split()


class Late(Exception):
    """A solver used up its time."""


def _late(*_: Any) -> None:
    raise Late


class Problem:
    """A problem as value, gradient and Hessian of a vector, counted."""

    def __init__(self, name: str, problem: Any) -> None:
        self.name, self.x0 = name, jnp.asarray(ravel_pytree(problem.y0)[0], jnp.float64)
        rebuild = ravel_pytree(problem.y0)[1]
        self.fun: Callable[..., Any] = lambda x: problem.objective(rebuild(x), problem.args)
        sides = getattr(problem, "bounds", None)
        if callable(sides):
            sides = sides()
        self.bounds = None if sides is None else tuple(np.asarray(ravel_pytree(side)[0], float) for side in sides)
        self._value, self._hessian = jax.jit(jax.value_and_grad(self.fun)), jax.jit(jax.hessian(self.fun))
        self.counts = {"values": 0, "hessians": 0}

    def value(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """f and g."""
        self.counts["values"] += 1
        f, g = self._value(jnp.asarray(x))
        return float(f), np.asarray(g)

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """H."""
        self.counts["hessians"] += 1
        return np.asarray(self._hessian(jnp.asarray(x)))

    def slope(self, x: np.ndarray, g: np.ndarray) -> float:
        """The largest part of the projected gradient."""
        step = x - g if self.bounds is None else np.clip(x - g, *self.bounds)
        return float(np.abs(step - x).max())


def by_scipy(problem: Problem, method: str) -> tuple[np.ndarray, Any]:
    """One of SciPy's, with the tolerance of the judge and no test on the decrease."""
    options: dict[str, Any] = {"maxiter": STEPS}
    if method == "L-BFGS-B":
        options |= {"ftol": 0.0, "gtol": TOL, "maxfun": 10 * STEPS}
    elif method != "Newton-CG":
        options |= {"gtol": TOL}
    bounds = None if problem.bounds is None else list(zip(*problem.bounds, strict=True))
    hess = problem.hessian if method in ("trust-exact", "Newton-CG") else None
    found = scipy.optimize.minimize(
        problem.value, np.asarray(problem.x0), jac=True, hess=hess, method=method, bounds=bounds, options=options
    )
    return found.x, bool(found.success)


def by_optax(problem: Problem) -> tuple[np.ndarray, Any]:
    """optax.lbfgs in the loop of its documentation, stopped by the gradient."""
    import optax

    rule, x = optax.lbfgs(), problem.x0
    both = optax.value_and_grad_from_state(problem.fun)

    @jax.jit
    def step(x: Any, state: Any) -> Any:
        f, g = both(x, state=state)
        move, state = rule.update(g, state, x, value=f, grad=g, value_fn=problem.fun)
        return optax.apply_updates(x, move), state, jnp.abs(g).max()

    state, size = rule.init(x), np.inf
    for _ in range(STEPS):
        x, state, size = step(x, state)
        if not float(size) > TOL:
            break
    problem.counts["values"] = int(optax.tree.get(state, "count")) if hasattr(optax, "tree") else 0
    return np.asarray(x), bool(size <= TOL)


def by_qed(problem: Problem) -> tuple[np.ndarray, Any]:
    """qed's default method."""
    answer = qed.minimize(problem.fun, problem.x0, bounds=problem.bounds, tol=TOL)
    problem.counts.update({k: v for k, v in answer.counts.items() if k in problem.counts})
    return np.asarray(answer.x), str(answer.reason)


def row(name: str, raw: Any) -> dict[str, Any]:
    """What every solver does on one problem."""
    problem, began = Problem(name, raw), time.process_time()
    problem.value(np.asarray(problem.x0))
    if problem.bounds is None:
        problem.hessian(np.asarray(problem.x0))
    compiling = time.process_time() - began
    solvers: dict[str, Callable[..., Any]] = {"qed": by_qed}
    for method in SCIPY if problem.bounds is None else SCIPY[:1]:
        solvers[method] = lambda p, m=method: by_scipy(p, m)
    if problem.bounds is None:
        solvers["optax"] = by_optax
    found: dict[str, Any] = {}
    for solver, solve in solvers.items():
        problem.counts = {"values": 0, "hessians": 0}
        began = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            x, says = solve(problem)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except (Late, QedError, ValueError, FloatingPointError, ArithmeticError) as error:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            found[solver] = {"error": f"{type(error).__name__}: {error}"[:120], "f": np.inf, "g": np.inf, "says": None}
            continue
        seconds, counts = time.process_time() - began, dict(problem.counts)
        seconds += compiling if solver == "trust-exact" else 0.0
        f, g = problem.value(x)
        found[solver] = {"f": f, "g": problem.slope(x, g), "says": says, "seconds": seconds, **counts}
    return judged(problem, found)


def judged(problem: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """The rows with what is solved; the best value is that of all solvers on this problem."""
    start = problem.slope(np.asarray(problem.x0), problem.value(np.asarray(problem.x0))[1])
    best = min((each["f"] for each in found.values() if np.isfinite(each["f"])), default=np.inf)
    for each in found.values():
        each["stationary"] = bool(each["g"] <= TOL * max(1.0, start))
        each["solved"] = each["stationary"] and bool(each["f"] - best <= TOL * max(1.0, abs(best)))
    says = found["qed"]["says"]
    wrong = (says == "minimum" and not found["qed"]["stationary"]) or (
        says in ("not_stationary", "gradient_wrong", "kink", "saddle", "budget_spent") and found["qed"]["solved"]
    )
    return {"n": int(problem.x0.size), "bounded": problem.bounds is not None, "wrong_claim": wrong, "solvers": found}


def summary(rows: dict[str, Any]) -> dict[str, Any]:
    """Solved by each solver, of the problems it was run on: all, and those that were not open for tuning."""
    table: dict[str, Any] = {}
    for part, chosen in (("all", rows), ("unseen", {k: r for k, r in rows.items() if k not in TUNING})):
        table[part] = {}
        for bounded in (False, True):
            some = [r for r in chosen.values() if r["bounded"] == bounded]
            names = sorted({name for r in some for name in r["solvers"]})
            table[part]["bounded" if bounded else "unconstrained"] = {
                name: {
                    "solved": sum(r["solvers"][name]["solved"] for r in some if name in r["solvers"]),
                    "of": sum(name in r["solvers"] for r in some),
                }
                for name in names
            }
    table["wrong claims"] = [name for name, r in rows.items() if r["wrong_claim"]]
    solved = [r["solvers"] for r in rows.values() if r["solvers"]["qed"]["solved"]]
    table["solved and undecided"] = sum(each["qed"]["says"] == "undecided" for each in solved)
    table["fewest evaluations"] = sum(
        each["qed"]["values"] <= min((v["values"] for v in each.values() if v["solved"]), default=np.inf)
        for each in solved
    )
    both = [r["solvers"] for r in rows.values() if "trust-exact" in r["solvers"]]
    for name in COLD:
        times = [each[name]["seconds"] for each in both if all("seconds" in each[cold] for cold in COLD)]
        table[f"median cold seconds, {name}"] = round(statistics.median(times), 3) if times else None
    return table


def main() -> None:
    """Run and print; write where everything was run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--afresh", action="store_true", help="do not go on from the file")
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    signal.signal(signal.SIGVTALRM, _late)
    only = tuple(TUNING) if given.tuning else tuple(given.only)
    versions = {name: version(name) for name in ("jax", "scipy", "optax", "sif2jax")}
    rows: dict[str, Any] = {}
    if not only and not given.afresh and RESULT.exists():
        before = json.loads(RESULT.read_text(encoding="utf-8"))
        rows = before["rows"] if before["versions"] == versions else {}
    for name, raw in problems(only, mixed=True):
        if name in rows or not 1 <= sum(int(np.size(leaf)) for leaf in jax.tree.leaves(raw.y0)) <= LARGEST:
            continue
        try:
            rows[name] = row(name, raw)
        except NotImplementedError as error:  # the package lacks the problem's data
            print(name, "left out:", error)
            continue
        cells = (
            f"{k} {'-+'[v['solved']]}{v.get('values', 0)}/{v.get('hessians', 0)} f={v['f']:.9g} g={v['g']:.1g}"
            for k, v in rows[name]["solvers"].items()
        )
        print(name, rows[name]["n"], rows[name]["solvers"]["qed"]["says"], "|", "  ".join(cells), flush=True)
        jax.clear_caches()
        if not only:
            data = {"versions": versions, "seconds": SECONDS, "summary": summary(rows), "rows": rows}
            RESULT.write_text(json.dumps(data, indent=1, default=float) + "\n", encoding="utf-8")
    print(json.dumps(summary(rows), indent=1))
    sys.exit(0)


if __name__ == "__main__":
    main()
