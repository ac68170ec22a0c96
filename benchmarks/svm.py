"""Support vector machines: time to a duality gap, beside liblinear and libsvm through scikit-learn, in the same run.

    python -m benchmarks.svm [--small] [--only linear|rbf] [--data made --prices 1]

Every solver's planes are judged by one formula for the gap: (P - D) / P, with the best offset where it is free.
liblinear gives no multipliers, so that its planes are judged by (P - P*) / P*, which is in its favour: P* is proved by
qed's gap of 1e-9. A solver's tolerance is lowered, from its default on, until the judgement is met; the time is that of
the first fit that meets it, in seconds of the process, the best of three (one where a fit takes over 5 s). None where
no tolerance on the ladder meets it within 60 seconds. One thread: OPENBLAS_NUM_THREADS=1 is set before NumPy loads.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import contextlib
import json
import platform
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.svm
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.preprocessing import StandardScaler

import qed
from qed.optimization.svm.kernel import Kernel, judged

INTEL: Any = None
"""The machine of scikit-learn-intelex, on one thread, where it is installed."""
with contextlib.suppress(ImportError):
    from daal4py import daalinit
    from sklearnex.svm import SVC as INTEL

    daalinit(1)

RESULT = Path(__file__).parent / "results" / "svm.json"
GAPS = (1e-3, 1e-6)
LADDER = (1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
PATIENCE = 60.0


def breast_cancer(small: bool) -> tuple[Any, np.ndarray]:
    rows, labels = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(rows), labels


def digits(small: bool) -> tuple[Any, np.ndarray]:
    rows, labels = load_digits(return_X_y=True)
    return rows / 16.0, (labels >= 5).astype(int)


def classification(n: int, d: int) -> Callable[[bool], tuple[Any, np.ndarray]]:
    def made(small: bool) -> tuple[Any, np.ndarray]:
        rows, labels = make_classification(n // 20 if small else n, d, n_informative=20, random_state=0)
        return StandardScaler().fit_transform(rows), labels

    return made


def text_like(small: bool) -> tuple[Any, np.ndarray]:
    """Sparse rows with more features than rows, frequencies falling like 1/rank, scaled to length 1."""
    rng = np.random.default_rng(0)
    n, d = (500, 3000) if small else (5000, 30000)
    rank = 1.0 / np.arange(1, d + 1)
    column = rng.choice(d, size=n * 80, p=rank / rank.sum())
    row = np.repeat(np.arange(n), 80)
    counts = sparse.csr_matrix((np.ones(n * 80), (row, column)), shape=(n, d))
    rows = sparse.csr_matrix(counts.multiply(1.0 / np.sqrt(counts.multiply(counts).sum(axis=1))))
    score = rows @ rng.normal(size=d)
    return rows, (score + 0.3 * score.std() * rng.normal(size=n) > 0).astype(int)


LINEAR = {
    "breast cancer 569 x 30": breast_cancer,
    "digits 1797 x 64": digits,
    "made 20000 x 100": classification(20000, 100),
    "made 100000 x 50": classification(100000, 50),
    "text-like 5000 x 30000, sparse": text_like,
}
KERNEL = {
    "breast cancer 569 x 30": breast_cancer,
    "digits 1797 x 64": digits,
    "made 5000 x 100": classification(5000, 100),
}


def timed(fit: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the process, the best of three, and what was fitted."""
    best, found = np.inf, None
    for _ in range(3):
        start = time.process_time()
        found = fit()
        spent = time.process_time() - start
        best = min(best, spent)
        if spent > 5.0:
            break
    return best, found


def first_that_meets(fits: list[Callable[[], Any]], gap: float, judge: Callable[[Any], float]) -> dict[str, Any]:
    """The first fit of a ladder whose gap is met: its seconds and its gap; None where there is none."""
    reached = np.inf
    for fit in fits:
        seconds, found = timed(fit)
        reached = min(reached, judge(found))
        if reached <= gap:
            return {"seconds": seconds, "gap": reached}
        if seconds > PATIENCE / 2:
            break
    return {"seconds": None, "gap": reached}


def linear(name: str, price: float, small: bool) -> dict[str, Any]:
    rows, labels = LINEAR[name](small)
    signs = 2.0 * labels - 1.0
    least = qed.LinearSVC(C=price, tol=1e-9).fit(rows, labels)

    def primal(machine: Any) -> float:
        w, b = machine.coef_.ravel(), float(np.ravel(machine.intercept_)[0])
        hinges = np.maximum(0.0, 1.0 - signs * (rows @ w + b))
        return 0.5 * float(w @ w + b * b) + price * float(hinges.sum())

    floor = primal(least) - least.dual_gap_
    found: dict[str, Any] = {"data": name, "C": price, "machine": "linear", "floor_gap": least.relative_gap_}
    for gap in GAPS:
        ours = first_that_meets(
            [lambda tol=gap: qed.LinearSVC(C=price, tol=tol).fit(rows, labels)], gap, lambda m: m.relative_gap_
        )
        fits = [
            lambda tol=tol: sklearn.svm.LinearSVC(C=price, loss="hinge", tol=tol, max_iter=1000, random_state=0).fit(
                rows, labels
            )
            for tol in LADDER
        ]
        theirs = first_that_meets(fits, gap, lambda m: (primal(m) - floor) / floor)
        found[f"{gap:g}"] = {"qed": ours, "liblinear": theirs}
    return found


def with_kernel(name: str, price: float, small: bool) -> dict[str, Any]:
    rows, labels = KERNEL[name](small)
    signs, prices = 2.0 * labels - 1.0, np.full(len(labels), price)
    gram = qed.SVC(C=price).fit(rows, labels)._gram
    matrix = gram(rows, rows)
    kernel = Kernel(lambda at, others: matrix[np.ix_(at, others)], len(labels))

    def judge(machine: Any) -> float:
        force = np.zeros(len(labels))
        force[machine.support_] = np.abs(machine.dual_coef_[0])
        return judged(kernel, signs, prices, force).relative

    found: dict[str, Any] = {"data": name, "C": price, "machine": "rbf"}
    default, machine = timed(lambda: sklearn.svm.SVC(C=price).fit(rows, labels))
    found["libsvm, default"] = {"seconds": default, "gap": judge(machine)}
    for gap in GAPS:
        ours = first_that_meets(
            [lambda tol=gap: qed.SVC(C=price, tol=tol).fit(rows, labels)], gap, lambda m: m.relative_gap_
        )
        fits = [lambda tol=tol: sklearn.svm.SVC(C=price, tol=tol, cache_size=1000).fit(rows, labels) for tol in LADDER]
        found[f"{gap:g}"] = {"qed": ours, "libsvm": first_that_meets(fits, gap, judge)}
        if INTEL is not None:
            fits = [lambda tol=tol: INTEL(C=price, tol=tol, cache_size=1000).fit(rows, labels) for tol in LADDER]
            found[f"{gap:g}"]["intelex"] = first_that_meets(fits, gap, judge)
    return found


def ratio(case: dict[str, Any], gap: float) -> float | None:
    """The peer's seconds in parts of qed's; None where the peer does not arrive."""
    both = case[f"{gap:g}"]
    peer = both["liblinear" if case["machine"] == "linear" else "libsvm"]["seconds"]
    return None if peer is None else peer / both["qed"]["seconds"]


def beside(case: dict[str, Any], gap: float) -> str:
    """What the second peer took, where it ran."""
    both = case[f"{gap:g}"]
    if "intelex" not in both:
        return ""
    seconds = both["intelex"]["seconds"]
    return "; intelex " + ("does not arrive" if seconds is None else f"{seconds / both['qed']['seconds']:.2f} times")


def key(case: dict[str, Any]) -> tuple[str, str, float]:
    """What a case is told by."""
    return case["machine"], case["data"], case["C"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a twentieth of the rows, nothing is written")
    parser.add_argument("--only", choices=["linear", "rbf"], help="these machines; the rest stays as it is written")
    parser.add_argument("--data", default="", help="what the names of the data begin with")
    parser.add_argument("--prices", type=float, nargs="*", default=[1.0, 100.0])
    options = parser.parse_args()
    small, kinds = options.small, [options.only] if options.only else ["linear", "rbf"]
    warnings.simplefilter("ignore")
    cases = []
    for kind in kinds:
        machine, names = {"linear": (linear, LINEAR), "rbf": (with_kernel, KERNEL)}[kind]
        for name in (name for name in names if name.startswith(options.data)):
            for price in options.prices:
                case = machine(name, price, small)
                cases.append(case)
                for gap in GAPS:
                    both = case[f"{gap:g}"]
                    times = ratio(case, gap)
                    peer = "the peer does not arrive" if times is None else f"the peer takes {times:.2f} times as long"
                    ours = both["qed"]["seconds"]
                    where = f"{case['machine']:6} {name:32} C {price:5g} gap {gap:g}"
                    print(f"{where}: {ours:.3f} s; {peer}{beside(case, gap)}", flush=True)
    if not small:
        versions = {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}
        with contextlib.suppress(PackageNotFoundError):
            versions["scikit-learn-intelex"] = version("scikit-learn-intelex")
        versions["python"] = platform.python_version()
        written = json.loads(RESULT.read_text())["cases"] if RESULT.exists() else []
        new = {key(case): case for case in cases}
        cases = sorted(({key(case): case for case in written} | new).values(), key=lambda case: case["machine"])
        RESULT.write_text(json.dumps({"versions": versions, "seed": 0, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
