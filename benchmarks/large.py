"""Logistic regression on a million rows and 100 features: time to a gradient, beside scikit-learn, in the same run.

    python -m benchmarks.large [--rows 1000000] [--out FILE]

    f(w) = mean log(1 + exp(-y x'w)) + |w|^2 / (2 C rows),   C = 1, no intercept, float64

Rows are normal with columns of sizes from 1 to 0.1, labels drawn from the model. The one judge, in NumPy, is the
largest part of the gradient; the goal is `GOAL`. scikit-learn's tolerance is lowered from its default on until the
judge finds the goal met, and the time is that of the first fit that meets it; qed is asked for the goal as its
tolerance, once. The seconds are of the processor, one thread, everything counted: reading, compiling, the run, and of
qed the verdict on the point, which is also told apart. All share one copy of the data.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # before NumPy and JAX are imported
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

import qed
from benchmarks.apart import verdict_apart

RESULT = Path(__file__).parent / "results" / "large.json"
ROWS, FEATURES, GOAL = 1_000_000, 100, 1e-6
LADDER = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
PEERS = ("lbfgs", "newton-cholesky")


def data(rows: int) -> tuple[Any, Any]:
    """The rows and the labels -1 and 1, as arrays of JAX."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, FEATURES))
    x *= np.logspace(0, -1, FEATURES)
    y = np.where(rng.random(rows) < 1 / (1 + np.exp(-x @ rng.standard_normal(FEATURES))), 1.0, -1.0)
    return jnp.asarray(x), jnp.asarray(y)


def loss(w: Any, x: Any, y: Any) -> Any:
    """f."""
    return jnp.mean(jnp.logaddexp(0.0, -y * (x @ w))) + w @ w / (2 * len(y))


def judge(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """The largest part of the gradient."""
    wrong = -y / (1 + np.exp(y * (x @ w)))
    return float(np.abs((wrong @ x + w) / len(y)).max())


def timed(solve: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and its processor time."""
    began = time.process_time()
    found = solve()
    return found, time.process_time() - began


def by_qed(x: Any, y: Any) -> dict[str, Any]:
    """qed.minimize by its default method, with the time of its verdict apart."""
    jax.clear_caches()
    with verdict_apart() as spent:
        answer, seconds = timed(lambda: qed.minimize(loss, jnp.zeros(FEATURES), x, y, tol=GOAL))
    return {
        "seconds": round(seconds, 2), "verdict": round(spent[0], 2), "counts": dict(answer.counts),
        "says": str(answer.reason), "standing": str(answer.standing), "method": answer.method,
        "gradient": judge(np.asarray(answer.x), np.asarray(x), np.asarray(y)),
    }  # fmt: skip


def by_sklearn(x: np.ndarray, y: np.ndarray, solver: str) -> dict[str, Any]:
    """The first tolerance at which the goal is met; the last where none does."""
    found: dict[str, Any] = {}
    for tol in LADDER:
        model = LogisticRegression(C=1.0, fit_intercept=False, solver=solver, tol=tol, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, seconds = timed(lambda model=model: model.fit(x, y))
        found = {
            "seconds": round(seconds, 2), "tol": tol, "steps": int(np.max(model.n_iter_)),
            "gradient": judge(model.coef_.ravel(), x, y),
        }  # fmt: skip
        if found["gradient"] <= GOAL:
            break
    return found


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    x, y = data(given.rows)
    told: dict[str, Any] = {
        "versions": {name: version(name) for name in ("jax", "numpy", "scikit-learn")},
        "rows": given.rows, "features": FEATURES, "goal": GOAL, "shared": True, "by": {},
    }  # fmt: skip
    told["by"]["qed"] = by_qed(x, y)
    print("qed", told["by"]["qed"], flush=True)
    for solver in PEERS:
        told["by"][solver] = by_sklearn(np.asarray(x), np.asarray(y), solver)
        print(solver, told["by"][solver], flush=True)
    given.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
