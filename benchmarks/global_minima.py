"""Global minima of the usual test functions, certified, beside SCIP where pyscipopt is installed.

`python -m benchmarks.global_minima [NAME ...]` prints for each function the certified enclosure of its minimum, how
many boxes were enclosed, and SCIP's optimum (absolute gap and feasibility 1e-6). Without names it writes
benchmarks/results/global_minima.json, with versions and seed. SCIP minimises the same text, written with its own
functions; its optimum is no bound, and `outside` says how far it lies from the certified enclosure, and on which side:
a value below the enclosure is taken nowhere. Seconds are those of the run; `verify` is the share of the
certificate's verification in those of qed, and `ratio` says how often SCIP's time qed took.
"""

# pyright: reportOptionalMemberAccess=false, reportMissingImports=false

from __future__ import annotations

import json
import math
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import qed

SEED = 0
TOL = 1e-6
BUDGET = 300.0
A3 = np.array([[3.0, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
ALPHA = [1.0, 1.2, 3.0, 3.2]
C = [[4, 4, 4, 4], [1, 1, 1, 1], [8, 8, 8, 8], [6, 6, 6, 6], [3, 7, 3, 7], [2, 9, 2, 9], [5, 5, 3, 3], [8, 1, 8, 1],
     [6, 2, 6, 2], [7, 3.6, 7, 3.6]]  # fmt: skip
BETA = [0.1, 0.2, 0.2, 0.4, 0.4, 0.6, 0.3, 0.7, 0.5, 0.5]


def camel(x, m):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2


def goldstein_price(x, m):
    a, b = x[0], x[1]
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    return first * (30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2))


def himmelblau(x, m):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def rosenbrock(x, m):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(m.size - 1))


def levy(x, m):
    w = [1 + (x[i] - 1) / 4 for i in range(m.size)]
    inner = sum((v - 1) ** 2 * (1 + 10 * m.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return m.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + m.sin(2 * math.pi * w[-1]) ** 2)


def rastrigin(x, m):
    return sum(10 + x[i] ** 2 - 10 * m.cos(2 * math.pi * x[i]) for i in range(m.size))


def hartmann(a, p):
    def fun(x, m):
        rows = zip(ALPHA, a.tolist(), p.tolist(), strict=True)
        return -sum(
            w * m.exp(-sum(u * (x[i] - v) ** 2 for i, (u, v) in enumerate(zip(r, s, strict=True)))) for w, r, s in rows
        )

    return fun


def shekel(x, m):
    rows = zip(C, BETA, strict=True)
    return -sum(1 / (sum((x[i] - c) ** 2 for i, c in enumerate(row)) + b) for row, b in rows)


PROBLEMS = {
    "camel": (camel, [-3, -2], [3, 2]),
    "himmelblau": (himmelblau, [-5, -5], [5, 5]),
    "goldstein-price": (goldstein_price, [-2, -2], [2, 2]),
    "rosenbrock 2": (rosenbrock, [-5] * 2, [10] * 2),
    "rosenbrock 4": (rosenbrock, [-5] * 4, [10] * 4),
    "levy 2": (levy, [-10] * 2, [10] * 2),
    "rastrigin 2": (rastrigin, [-5.12] * 2, [5.12] * 2),
    "hartmann 3": (hartmann(A3, P3), [0] * 3, [1] * 3),
    "hartmann 6": (hartmann(A6, P6), [0] * 6, [1] * 6),
    "shekel": (shekel, [0] * 4, [10] * 4),
}


class Functions:
    """The elementary functions of one library, and how many variables there are."""

    def __init__(self, size, library):
        self.size = size
        self.sin, self.cos, self.exp = library.sin, library.cos, library.exp


def certified(name):
    """What qed.minimize_globally finds, and that its certificate verifies once more."""
    fun, lower, upper = PROBLEMS[name]
    functions = Functions(len(lower), jnp)
    box = np.array(lower, float), np.array(upper, float)
    with jax.enable_x64(True):
        start = time.perf_counter()
        answer = qed.minimize_globally(lambda x: fun(x, functions), box, tol=TOL, budget=BUDGET, seed=SEED)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        checked = answer.proved and answer.check()
        verifying = time.perf_counter() - start
    value = answer.value
    return {
        "standing": str(answer.standing),
        "checked": bool(checked),
        "lower": value.lower,
        "upper": value.upper,
        "minimizers": len(value.minimizers),
        "exactly_one": all(m.exactly_one for m in value.minimizers),
        "boxes": value.boxes,
        "nodes": len(answer.certificate.tree),
        "seconds": seconds,
        "verify": verifying / seconds,
    }


def by_scip(name, limit=60):
    """SCIP's optimum, dual bound and nodes; None where pyscipopt is absent, the reason where SCIP cannot take it."""
    try:
        import pyscipopt
    except ModuleNotFoundError:
        return None
    fun, lower, upper = PROBLEMS[name]
    model = pyscipopt.Model()
    model.hideOutput()
    for parameter, number in (("limits/time", limit), ("limits/absgap", TOL), ("numerics/feastol", TOL)):
        model.setParam(parameter, number)
    x = [model.addVar(f"x{i}", lb=a, ub=b) for i, (a, b) in enumerate(zip(lower, upper, strict=True))]
    least = model.addVar("least", lb=None)
    model.addCons(fun(x, Functions(len(lower), pyscipopt)) <= least)
    model.setObjective(least)
    start = time.perf_counter()
    model.optimize()
    return {
        "status": model.getStatus(),
        "optimum": float(model.getObjVal()) if model.getNSols() else None,
        "dual_bound": float(model.getDualbound()),
        "nodes": int(model.getNTotalNodes()),
        "seconds": time.perf_counter() - start,
    }


def outside(number, lower, upper):
    """How far a number lies above (positive) or below (negative) an interval; 0 inside.

    >>> outside(-1.5, -1.0, 0.0), outside(-0.5, -1.0, 0.0), outside(0.25, -1.0, 0.0)
    (-0.5, 0.0, 0.25)
    """
    return min(number - lower, 0.0) + max(number - upper, 0.0)


def row(name):
    found, scip = certified(name), by_scip(name)
    if scip is not None:
        scip["ratio"] = found["seconds"] / scip["seconds"]
        if scip["optimum"] is not None:
            scip["outside"] = outside(scip["optimum"], found["lower"], found["upper"])
    return {"qed": found, "scip": scip}


def certified_to(found, tol=TOL):
    """Whether a minimum is enclosed to the tolerance, proved, and verified again."""
    width = found["upper"] - found["lower"]
    return found["standing"] == "PROVED" and found["checked"] and 0 <= width <= 2 * tol


def holds(rows):
    """The promise: every minimum is certified."""
    return set(rows) == set(PROBLEMS) and all(certified_to(row["qed"]) for row in rows.values())


def summary(rows):
    """How many are certified, and where SCIP's optimum lies."""
    optima = [r["scip"] for r in rows.values() if r["scip"] and r["scip"]["optimum"] is not None]
    return {
        "functions": len(rows),
        "certified": sum(certified_to(r["qed"]) for r in rows.values()),
        "boxes": sum(r["qed"]["boxes"] for r in rows.values()),
        "scip_finished": sum(
            r["scip"] is not None and r["scip"]["status"] in ("optimal", "gaplimit") for r in rows.values()
        ),
        "scip_nodes": sum(r["scip"]["nodes"] for r in rows.values() if r["scip"]),
        "scip_below": sum(scip["outside"] < 0 for scip in optima),
        "scip_above": sum(scip["outside"] > 0 for scip in optima),
    }


def main(names):
    rows = {}
    for name in names or PROBLEMS:
        rows[name] = row(name)
        print(name, json.dumps(rows[name]), flush=True)
    print(json.dumps(summary(rows)))
    if not names:
        versions = {}
        for package in ("qed", "jax", "numpy", "python-flint", "pyscipopt"):
            try:
                versions[package] = version(package)
            except PackageNotFoundError:
                versions[package] = None
        head = {"seed": SEED, "tol": TOL, "shared": True, "python": platform.python_version(), "versions": versions}
        path = Path(__file__).parent / "results" / "global_minima.json"
        result = {**head, "summary": summary(rows), "rows": rows}
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
