"""Constrained problems of CUTEst (sif2jax, n <= 200): who solves how many, and who claims success without it.

Every solver gets exact derivatives in float64, and every point is judged alike, from x alone, by a judge that shares
no code with qed (`benchmarks.constrained_problems`). *Solved* is a point with residuals of at most 1e-6 and a value
within 1e-6 of the best that any solver found (relative to its size, if above 1), both without what violations buy to
first order, |y_i| violation_i: a violation of 1e-8 buys 0.2 % of f in a degenerate linear program. *False* is a claim
of success at a point that is none. A problem is *verified* where the best value is the published one, to 1e-4. Where
no solver reaches the published value as the problem is written and one does with the sign of g turned, it is turned
for all of them. qed's claim is a minimum (or flat minimum) that is MEASURED or PROVED; *own* is the residual with a
solver's own multipliers.

A solver has `SECONDS` of processor time for a problem. What is done is kept in a file, line by line, so that a run that
is stopped goes on where it was; a solver that does not stop by itself ends its process, and the next one goes on.

    python -m benchmarks.constrained                    the table; writes benchmarks/results/constrained.json
    python -m benchmarks.constrained --again qed        the rows of qed once more, the others as they are kept
    python -m benchmarks.constrained --by qed           one solver alone, the others later or as they are kept
    python -m benchmarks.constrained --only HS71 HS13   the problems named, nothing written
    python -m benchmarks.constrained --tuning 20        the first 20 of those open for tuning, nothing written
    python -m benchmarks.constrained --sparse 1000      the sparse beside the dense route, kept beside the table

The promise: at least 95 % of the verified problems are solved by qed, no false success, its own multipliers at all that
it solves, at least 70 % of them PROVED; at most 8 evaluations in the median, and sparse problems of 1,000 variables at
least 16 times as fast as by dense matrices in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.constrained_problems import SECONDS, TOL, TUNING, TURNED, Late, Problem, listed
from benchmarks.constrained_solvers import solvers
from qed.errors import QedError
from qed.optimization.constrained import derivatives, uno
from qed.optimization.constrained.problem import constrained

RESULT = Path(__file__).with_name("results") / "constrained.json"
KEPT = Path(__file__).parent.parent / "build" / "constrained.jsonl"
DENSE = 2000
"""With more variables the dense route, a matrix of n^2 numbers for each step, is not run."""
COMPILING = "compiling"
"""What stands for a solver where the derivatives of a problem are compiled."""
Done = dict[tuple[str, bool, str], dict[str, Any]]


def done(path: Path) -> Done:
    """What is kept: of each problem, as written or turned, and solver; one begun and not ended took too long."""
    found: Done = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        one = json.loads(line)
        key = (one.pop("problem"), one.pop("turned"), one.pop("solver"))
        found[key] = {"error": "did not stop in time", **_nothing()} if one.get("begun") else one
    return found


def _nothing() -> dict[str, Any]:
    return {"residual": None, "f": None, "claims": False, "calls": 0, "seconds": SECONDS}


def attempt(problem: Problem, name: str) -> dict[str, Any]:
    """What one solver does on one problem, within its time."""

    def late(*_: Any) -> None:
        raise Late

    problem.calls, problem._last = 0, (None, None)
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(began + 3 * SECONDS), resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, late)
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)
        found = solvers()[name](problem)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except (Late, QedError, ValueError, ArithmeticError, RuntimeError, TypeError, np.linalg.LinAlgError) as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        words = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return {"error": words, **_nothing(), "seconds": round(time.process_time() - began, 3)}
    seconds = round(time.process_time() - began, 3)
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    x = np.clip(found.x, problem.low, problem.high)
    residual, f, bought = problem.judge(x)
    own = None if found.own is None else problem.judge(x, found.own)[0]
    numbers = {"residual": residual, "f": f, "bought": bought, "own": own, "calls": found.calls, "seconds": seconds}
    told = {k: v if v is None or np.isfinite(v) else None for k, v in numbers.items()}
    return {**told, "claims": found.claims, **found.words}


def work(names: list[str] | None, path: Path, by: list[str]) -> None:
    """Do what is not kept yet, line by line; turned where nobody reaches the published value as written."""
    given = listed(names)
    quick = [name for name in by if name != "trust-constr"]
    for chosen in (quick, [name for name in by if name == "trust-constr"]):  # the slowest at the end
        pass_over(given, chosen, path)


def compiled(name: str, given: Any, turned: bool, path: Path) -> Problem | None:
    """The problem, its derivatives compiled; None where an earlier worker came to its end over it."""
    key = {"problem": name, "turned": turned, "solver": COMPILING}
    if done(path).get((name, turned, COMPILING), {}).get("error"):
        return None
    with path.open("a") as file:
        file.write(json.dumps({**key, "begun": True}) + "\n")
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + 2 * SECONDS), resource.RLIM_INFINITY))
    problem = Problem(name, given, turned)
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with path.open("a") as file:
        file.write(json.dumps(key) + "\n")
    return problem


def pass_over(given: dict[str, Any], chosen: list[str], path: Path) -> None:
    """Let some of the solvers do what is not kept yet."""
    for name, one in given.items():
        for turned in (name in TURNED, True):
            known = {key[2] for key in done(path) if key[:2] == (name, turned)}
            todo = [solver for solver in chosen if solver not in known]
            problem = compiled(name, one, turned, path) if todo else None
            todo = [] if problem is None else todo
            for solver in todo:
                assert problem is not None
                head = {"problem": name, "turned": turned, "solver": solver}
                with path.open("a") as file:
                    file.write(json.dumps({**head, "begun": True}) + "\n")
                found = attempt(problem, solver)
                about = {"n": len(problem.x0), "m": problem.m, "published": problem.published}
                with path.open("a") as file:
                    file.write(json.dumps({**head, **found, **about}) + "\n")
                way = "turned" if turned else ""
                print(name, way, solver, found["residual"], found["f"], found["seconds"], flush=True)
            if turned or not _differs(done(path), name, one):
                break


def _best(rows: dict[str, dict[str, Any]]) -> float | None:
    values = [_worth(one) for one in rows.values() if one["residual"] is not None and one["residual"] <= TOL]
    return min(values, default=None)


def _worth(one: dict[str, Any]) -> float:
    """The value of a point without what its violations of the constraints buy."""
    return one["f"] + (one.get("bought") or 0.0)


def _near(best: float | None, published: float | None) -> bool:
    return best is not None and published is not None and abs(best - published) <= 1e-4 * max(1.0, abs(published))


def _of(kept: Done, name: str, turned: bool) -> dict[str, dict[str, Any]]:
    return {key[2]: one for key, one in kept.items() if key[:2] == (name, turned) and key[2] != COMPILING}


def _differs(kept: Done, name: str, given: Any) -> bool:
    """Whether a value is published, there are inequalities, and nobody reaches it as the problem is written."""
    published = given.expected_objective_value
    has = given.constraint(given.y0)[1] is not None
    return has and published is not None and not _near(_best(_of(kept, name, False)), float(published))


def table(kept: Done) -> dict[str, Any]:
    """A row for each problem: turned where that is listed, or where only so the published value is reached."""
    found = {}
    for name in sorted({key[0] for key in kept if key[2] != COMPILING}):
        ways = {turned: _of(kept, name, turned) for turned in (False, True)}
        published = next(one.get("published") for way in ways.values() for one in way.values() if "published" in one)
        turned = not ways[False] or _near(_best(ways[True]), published)
        by = ways[turned]
        best = _best(by)
        for one in by.values():
            holds = one["residual"] is not None and one["residual"] <= TOL
            one["solved"] = bool(holds and best is not None and _worth(one) <= best + 1e-6 * max(1.0, abs(best)))
            one["false"] = bool(one["claims"] and not holds)
        sizes = [{k: one.pop(k) for k in ("n", "m", "published") if k in one} for one in by.values()]
        about = {"turned": turned, "best": best, "verified": _near(best, published)}
        found[name] = {**max(sizes, key=len), **about, "by": by}
    return found


def summary(rows: dict[str, Any], late: list[str]) -> dict[str, Any]:
    """Counts for each solver, over the problems that anyone solves, and over those that are verified."""
    solvable = {name: one for name, one in rows.items() if one["best"] is not None}
    verified = {name: one for name, one in solvable.items() if one["verified"]}
    told: dict[str, Any] = {
        "problems": len(rows),
        "not compiled in time": late,
        "solved by anyone": len(solvable),
        "verified": len(verified),
    }
    for name in solvers():
        mine = {key: one["by"][name] for key, one in solvable.items() if name in one["by"]}
        solved = {key: one for key, one in mine.items() if one["solved"]}
        counts = defaultdict(int)
        for one in solved.values():
            counts["claimed"] += one["claims"]
            counts["own multipliers"] += one.get("own") is not None and one["own"] <= TOL
            counts["proved"] += one.get("certificate") in ("KKT point", "convex optimum")
        told[name] = {
            "solved": len(solved), "of": len(mine),
            "verified solved": sum(key in verified for key in solved),
            "of verified": sum(key in verified for key in mine),
            "of the solved": dict(counts),
            "median calls": float(np.median([one["calls"] for one in solved.values()])) if solved else None,
            "false": [key for key, one in rows.items() if one["by"].get(name, {}).get("false")],
            "not solved": [key for key in mine if key not in solved],
        }  # fmt: skip
    return told


def sparse(n: int) -> dict[str, Any]:
    """LUKVLE1 (Luksan and Vlcek): seconds of preparation and solution, sparse and dense, in this run."""

    def f(x: Any) -> Any:
        return jnp.sum(100 * (x[:-1] ** 2 - x[1:]) ** 2 + (x[:-1] - 1) ** 2)

    def h(x: Any) -> Any:
        a, b, c = x[:-2], x[1:-1], x[2:]
        return 3 * b**3 + 2 * c - 5 + jnp.sin(b - c) * jnp.sin(b + c) + 4 * b - a * jnp.exp(a - b) - 3

    x0 = jnp.where(jnp.arange(n) % 2 == 0, -1.2, 1.0)
    engine, small, told = "uno-ipm" if uno.available() else "trust-constr", derivatives.SMALL, {}
    for route in ("sparse", "dense") if n <= DENSE else ("sparse",):
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
    if "dense" in told:
        told["dense / sparse"] = round(told["dense"]["solution"] / told["sparse"]["solution"], 1)
    return told


def supervised(names: list[str] | None, path: Path, by: list[str]) -> None:
    """Run worker after worker until one comes to the end; each that dies has used up the time of one solver."""
    command = [sys.executable, "-m", "benchmarks.constrained", "--work", str(path)]
    command += ["--by", *by, *(["--only", *names] if names is not None else [])]
    size = -1
    while subprocess.run(command, check=False).returncode != 0:
        size, before = path.stat().st_size if path.exists() else 0, size
        if size == before:
            msg = "a worker ended without beginning anything"
            raise SystemExit(msg)


def main() -> None:
    """Run and print; write the result of a whole run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tuning", type=int)
    parser.add_argument("--sparse", type=int)
    parser.add_argument("--by", nargs="*", default=list(solvers()), help="the solvers that run")
    parser.add_argument("--again", nargs="*", default=[], help="solvers whose kept rows are dropped first")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the file of what is done")
    parser.add_argument("--report", action="store_true", help="write the result of what is kept, and run nothing")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if options.sparse:
        print(json.dumps(told := sparse(options.sparse), indent=1))
        written = json.loads(RESULT.read_text())
        written["sparse"] = written.get("sparse", {}) | {str(options.sparse): told}
        RESULT.write_text(json.dumps(written, indent=1) + "\n")
        return
    names = options.only or (TUNING[: options.tuning] if options.tuning else None)
    if options.work:
        work(names, options.work, options.by)
        return
    options.kept.parent.mkdir(exist_ok=True)
    if options.again:
        lines = options.kept.read_text().splitlines()
        kept = [
            line for line in lines
            if (one := json.loads(line))["solver"] not in options.again or (names and one["problem"] not in names)
        ]  # fmt: skip
        options.kept.write_text("".join(line + "\n" for line in kept))
    if not options.report:
        supervised(names, options.kept, options.by)
    rows = {name: one for name, one in table(done(options.kept)).items() if names is None or name in names}
    rows = {name: one for name, one in rows.items() if "qed" in one["by"]}
    late = [name for (name, _, solver), one in done(options.kept).items() if solver == COMPILING and one.get("error")]
    told = summary(rows, late)
    print(json.dumps(told, indent=1))
    if names is None:
        packages = ("jax", "scipy", "numpy", "sif2jax", *(p for p in ("unopy", "ipyopt") if find_spec(p)))
        versions = {package: version(package) for package in packages}
        kept = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        beside = {key: kept[key] for key in ("sparse",) if key in kept}
        whole = {"versions": versions, "summary": told, **beside, "rows": rows}
        RESULT.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
