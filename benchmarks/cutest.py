"""Unconstrained and bounded problems of CUTEst (sif2jax, n <= 1000): who solves how many, in how many calls.

Every solver gets the same exact derivatives in float64, and every point is judged alike, by a judge that shares no code
with qed: *solved* is a projected gradient of at most 1e-6 max(1, that of the start) and a value within 1e-6 of the best
that any solver found (relative to its size, if above 1). The listed optimal values are not used: some are wrong.
Counted: calls of the value with its gradient, Hessians, and their products. *Wrong* is a claim of qed that the judge
refutes: a minimum with a slope, with a clearly negative eigenvalue of the Hessian, or called the global one above the
best value known; a failure where the point is solved. *Wrong* of another solver is a claim of success at a point with
a slope above the test and a value above the best.

SciPy's and Ipopt's methods have `SECONDS` of processor time for a problem, their functions compiled before; qed, optax
and optimistix, which compile for themselves, twice that. Cold is qed's time beside that of trust-exact with what its
value, gradient and Hessian take to compile, each from empty caches; qed's search is also told without the verdict,
of which trust-exact has none. What is done is kept in a file, line by line, so
that a run that is stopped goes on where it was; a solver that does not stop by itself ends its process, and the next
one goes on. The problems that nobody looked at come first; the table is made of those that every solver did.

    python -m benchmarks.cutest                    the table; writes benchmarks/results/cutest.json
    python -m benchmarks.cutest --by qed           one solver alone, the others later or as they are kept
    python -m benchmarks.cutest --again qed        the rows of qed once more, the others as they are kept
    python -m benchmarks.cutest --only ROSENBR     the problems named, nothing written
    python -m benchmarks.cutest --report           the result of what is kept; nothing runs

Aimed at: at least 96 % of the unconstrained and 90 % of the bounded problems are solved; no wrong claim; at most 5 % of
the solved without a verdict; a cold time of at most trust-exact's. What is reached, the README says.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.cutest_problems import LATER, TOL, TUNING, Problem, listed, offered
from benchmarks.cutest_solvers import Found, solvers

RESULT = Path(__file__).with_name("results") / "cutest.json"
KEPT = Path(__file__).parent.parent / "build" / "cutest.jsonl"
SECONDS = 10.0
"""Processor time for a problem, compilation left out; with it, twice that."""
COLD = ("qed", "trust-exact")
"""What is timed with its compilation, from empty caches."""
TAU = (1, 2, 4, 10)
"""The abscissae of the performance profiles."""
FAILURES = (
    "not_stationary",
    "gradient_wrong",
    "stop_gradient",
    "kink",
    "saddle",
    "maximum",
    "budget_spent",
    "nonfinite",
)
Rows = dict[str, dict[str, dict[str, Any]]]


class Late(BaseException):
    """A solver used up its time; no program that catches its own failures catches this."""


def done(path: Path) -> Rows:
    """What is kept, of each problem and solver; one begun and not ended took too long."""
    found: Rows = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        one = json.loads(line)
        row = {"error": "did not stop in time", "claims": False, "seconds": SECONDS} if one.pop("begun", False) else one
        found.setdefault(one.pop("problem"), {})[one.pop("solver")] = row
    return found


def keep(path: Path, problem: str, solver: str, row: dict[str, Any]) -> None:
    """Append a line."""
    with path.open("a") as file:
        file.write(json.dumps({"problem": problem, "solver": solver, **row}, default=float) + "\n")


def timed(solve: Callable[[Problem], Found], problem: Problem, limit: float) -> tuple[Found | None, str, float]:
    """Where the solver ends within a time, or the words of its failure; and its processor time."""

    def late(*_: Any) -> None:
        raise Late

    problem.counts = dict.fromkeys(problem.counts, 0)
    began = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(began + 3 * limit), resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, late)
    found, words = None, ""
    try:
        signal.setitimer(signal.ITIMER_PROF, limit, 1.0)
        found = solve(problem)
    except (Exception, Late) as error:  # whatever a solver does, the others go on
        words = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    signal.setitimer(signal.ITIMER_PROF, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return found, words, round(time.process_time() - began, 3)


def attempt(problem: Problem, solver: str) -> dict[str, Any]:
    """What one solver does on one problem."""
    solve, needs, _ = solvers()[solver]
    if solver in COLD:
        jax.clear_caches()
        problem.compiling.clear()
    problem.compile(*needs)
    compiling = sum(problem.compiling[name] for name in needs)
    found, words, seconds = timed(solve, problem, SECONDS if needs else 2 * SECONDS)
    row = {"n": len(problem.x0), "bounded": problem.bounds is not None, "seconds": seconds, "compiling": compiling}
    if found is None:
        return {**row, "error": words, "claims": False}
    counts = dict(problem.counts)
    problem.compile("value")
    if solver in COLD and problem.bounds is None:
        problem.compile("hessian")
    start = problem.slope(problem.x0, problem.value(problem.x0)[1])
    told = {k: v if np.isfinite(v) else None for k, v in problem.judge(found.x).items()}
    return {**row, **counts, **told, "start": start, "claims": found.claims, "says": found.says, **found.more}


def work(names: list[str] | None, path: Path, by: list[str], first: int | None, backwards: bool) -> None:
    """Do what is not kept yet, line by line: qed on all problems, then the others; what was not looked at first."""
    given = list(listed(names))
    unseen = [(name, raw) for name, raw in given if name not in TUNING and name not in LATER]
    seen = [(name, raw) for name, raw in given if name in TUNING or name in LATER]
    for some in (unseen[:first], seen if first is None else []):
        for chosen in (["qed"], [name for name in by if name != "qed"]):
            for name, raw in reversed(some) if backwards else some:
                on_one(name, raw, [one for one in chosen if one in by], path)


def on_one(name: str, raw: Any, by: list[str], path: Path) -> None:
    """Let some of the solvers do one problem, those that have not."""
    kept = done(path).get(name, {})
    todo = [one for one in by if one not in kept]
    if not todo:
        return
    problem = Problem(name, raw)
    for solver in todo:
        if problem.bounds is not None and not solvers()[solver][2]:
            continue
        keep(path, name, solver, {"begun": True})
        row = attempt(problem, solver)
        keep(path, name, solver, row)
        told = (row.get(key) for key in ("says", "f", "g", "values", "hessians", "seconds", "error"))
        print(name, row["n"], solver, *told, flush=True)
    jax.clear_caches()


def whole(by: dict[str, Any]) -> bool:
    """Whether every solver that takes the problem was run on it."""
    bounded = next((one["bounded"] for one in by.values() if "bounded" in one), False)
    return all(name in by for name, (_, _, takes) in solvers().items() if takes or not bounded)


def judged(rows: Rows) -> dict[str, Any]:
    """The rows with what is solved and which claim is wrong; the best value is that of all solvers on a problem."""
    told: dict[str, Any] = {}
    for name, by in rows.items():
        best = min((one["f"] for one in by.values() if one.get("f") is not None), default=None)
        for one in by.values():
            known = one.get("f") is not None and one.get("g") is not None and best is not None
            low = known and one["f"] - best <= TOL * max(1.0, abs(best))
            flat = known and one["g"] <= TOL * max(1.0, one["start"])
            one["solved"] = bool(low and flat)
            one["wrong"] = bool(one["claims"] and not flat and not low)
        if "qed" in by:
            by["qed"]["wrong"] = refuted(by["qed"], best)
        first = next(one for one in by.values() if "n" in one)
        told[name] = {"n": first["n"], "bounded": first["bounded"], "best": best, "by": by}
    return told


def refuted(one: dict[str, Any], best: float | None) -> str:
    """Why qed's claim on a point is wrong; empty where it is not."""
    says = one.get("says")
    if one.get("f") is None or one.get("g") is None or best is None:
        return ""
    if says in FAILURES:
        return f"{says} where it is solved" if one["solved"] else ""
    if says not in ("minimum", "flat_minimum"):
        return ""
    if one["g"] > TOL * max(1.0, one["start"]):
        return "a minimum with a slope"
    if one.get("least") is not None and one["least"] < -1e-6 * max(one["size"], 1e-300):
        return "a minimum with negative curvature"
    above = one["f"] - best > TOL * max(1.0, abs(best))
    return "global, and not the lowest" if one.get("global") and above else ""


def parted(rows: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of the problems in the package's lists, without those for tuning, and of those that it withholds."""
    mine = {name: one for name, one in rows.items() if name in offered() and name not in TUNING}
    return mine, {name: one for name, one in rows.items() if name not in offered()}


def summary(rows: dict[str, Any]) -> dict[str, Any]:
    """Solved by each solver, all and those unseen; profiles of evaluations; what is claimed, and the cold time."""
    told: dict[str, Any] = {"problems": len(rows)}
    for kind, bounded in (("unconstrained", False), ("bounded", True)):
        some = {name: one for name, one in rows.items() if one["bounded"] == bounded}
        unseen = [one for name, one in some.items() if name not in TUNING and name not in LATER]
        told[kind] = {
            "problems": len(some),
            "unseen": len(unseen),
            "by": {name: counted(name, list(some.values()), unseen) for name in solvers() if _ran(name, some)},
            "not solved by qed": [name for name, one in some.items() if not one["by"]["qed"]["solved"]],
        }
    ours = {name: one["by"]["qed"] for name, one in rows.items()}
    solved = [one for one in ours.values() if one["solved"]]
    told["wrong claims of qed"] = {name: one["wrong"] for name, one in ours.items() if one["wrong"]}
    told["verdicts on the solved"] = dict(Counter(f"{one['says']}, {one['standing']}" for one in solved))
    told["solved and undecided"] = sum(one["says"] == "undecided" for one in solved)
    both = [[one["by"].get(name, {}) for name in COLD] for one in rows.values() if not one["bounded"]]
    both = [pair for pair in both if all("f" in one for one in pair)]
    if both:
        times = [[one["seconds"] + one["compiling"] for one in pair] for pair in both]
        searches = [(mine - one["verdict"]) / other for (mine, other), (one, _) in zip(times, both, strict=True)]
        told["cold, qed / trust-exact"] = {
            "problems": len(times),
            "median of the ratios": round(statistics.median(mine / other for mine, other in times), 3),
            "median of the ratios, of the search alone": round(statistics.median(searches), 3),
            "ratio of the medians": round(
                statistics.median(mine for mine, _ in times) / statistics.median(other for _, other in times), 3
            ),
        }
    return told


def _ran(name: str, some: dict[str, Any]) -> bool:
    return any(name in one["by"] for one in some.values())


def counted(name: str, some: list[dict[str, Any]], unseen: list[dict[str, Any]]) -> dict[str, Any]:
    """One solver's counts over the problems that it was run on."""
    mine = [one for one in some if name in one["by"]]
    solved = [one["by"][name] for one in mine if one["by"][name]["solved"]]
    fewest = [_fewest(one) for one in mine]
    ratios = [
        one["by"][name]["values"] / least if one["by"][name]["solved"] and least else np.inf
        for one, least in zip(mine, fewest, strict=True)
    ]
    return {
        "solved": len(solved),
        "of": len(mine),
        "unseen solved": sum(one["by"][name]["solved"] for one in unseen if name in one["by"]),
        "unseen": sum(name in one["by"] for one in unseen),
        "share within tau times the fewest values": {
            str(tau): round(sum(ratio <= tau for ratio in ratios) / max(len(mine), 1), 3) for tau in TAU
        },
        "median values": statistics.median(one["values"] for one in solved) if solved else None,
        "median hessians": statistics.median(one["hessians"] for one in solved) if solved else None,
        "median products": statistics.median(one["products"] for one in solved) if solved else None,
        "claims where solved": sum(one["claims"] for one in solved),
        "wrong": sum(bool(one["by"][name]["wrong"]) for one in mine),
        "out of time": sum("error" in one["by"][name] for one in mine),
    }


def _fewest(one: dict[str, Any]) -> int | None:
    return min((each["values"] for each in one["by"].values() if each["solved"]), default=None)


def supervised(names: list[str] | None, path: Path, by: list[str], more: list[str]) -> None:
    """Run worker after worker until one comes to the end; each that dies has used up the time of one solver."""
    command = [sys.executable, "-m", "benchmarks.cutest", "--work", str(path), *more, "--by", *by]
    command += ["--only", *names] if names is not None else []
    size = -1
    while subprocess.run(command, check=False).returncode != 0:
        size, before = path.stat().st_size if path.exists() else 0, size
        if size == before:
            msg = "a worker ended without beginning anything"
            raise SystemExit(msg)


def versions() -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for package in ("jax", "scipy", "numpy", "sif2jax", "optax", "optimistix", "cyipopt-wheels", "cyipopt"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Run and print; write the result of a whole run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--tuning", action="store_true", help="the problems open for tuning, nothing written")
    parser.add_argument("--by", nargs="*", default=list(solvers()), help="the solvers that run")
    parser.add_argument("--first", type=int, help="so many of the unseen problems alone, in an order drawn by a hash")
    parser.add_argument("--backwards", action="store_true", help="from the last one, beside another run of this file")
    parser.add_argument("--again", nargs="*", default=[], help="solvers whose kept rows are dropped first")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the file of what is done")
    parser.add_argument("--report", action="store_true", help="write the result of what is kept, and run nothing")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    names = given.only or (TUNING if given.tuning else None)
    if given.work:
        work(names, given.work, given.by, given.first, given.backwards)
        return
    given.kept.parent.mkdir(exist_ok=True)
    if given.again:
        lines = [(line, json.loads(line)) for line in given.kept.read_text().splitlines()]
        stay = [
            line for line, one in lines if one["solver"] not in given.again or (names and one["problem"] not in names)
        ]
        given.kept.write_text("".join(line + "\n" for line in stay))
    if not given.report:
        more = [] if given.first is None else ["--first", str(given.first)]
        supervised(names, given.kept, given.by, [*more, *(["--backwards"] if given.backwards else [])])
    chosen = {name: by for name, by in done(given.kept).items() if names is None or name in names}
    rows = judged({name: by for name, by in chosen.items() if whole(by) or (names and "qed" in by)})
    if names is not None:
        print(json.dumps(summary(rows), indent=1))
        return
    listed_ones, others = parted(rows)
    told = {**summary(listed_ones), "begun, not by all": sorted(set(chosen) - set(rows))}
    aside = summary(others) if others else {}
    print(json.dumps({"listed": told, "withheld": aside}, indent=1))
    content = {"versions": versions(), "seconds": SECONDS, "summary": told, "withheld": aside, "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
