"""`qed.convexity` beside CVXPY's rules, function by function, verdict and time.

Each function of the corpus (tests/calculus/corpus_shapes*.py) is given to qed as it is, and to CVXPY twice: literally,
primitive by primitive, and in the form that a user of CVXPY would choose where an atom exists. CVXPY's rules certify or
say that they do not know; they refute nothing. Where they certify a function that is not convex, the reason is a
convention of CVXPY's (an odd power of x includes the constraint x >= 0; log det the constraint that its argument is
symmetric) or its tolerance (1e-10 on eigenvalues), and the function as written is not what it says. Then a linear
model's mean squared error, for many data X as an argument, with its Hessian 2X'X/n, beside the same loss of a network
with one hidden layer.

    python -m benchmarks.convexity            prints the tables and writes benchmarks/results/convexity.json

The promises: no false verdict, at least 92 % decided rightly within 10 seconds each, and the linear model PROVED for
every X with the network REFUTED.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import qed
from benchmarks.convexity_by_hand import BY_HAND
from benchmarks.convexity_by_hand_held_out import BY_HAND_HELD_OUT
from benchmarks.convexity_cvxpy import NoAtom, literal, variables, verdict
from qed.domains.box import spread
from tests.calculus.corpus_shapes import Case
from tests.calculus.corpus_shapes_all import CASES
from tests.calculus.corpus_shapes_judge import judged

RESULT = Path(__file__).with_name("results") / "convexity.json"
FORMS = BY_HAND | {f"held-out {name}": form for name, form in BY_HAND_HELD_OUT.items()}
DECIDED, SECONDS = 0.92, 10.0
SEED = 0


def by_qed(case: Case) -> dict[str, Any]:
    """qed's verdict, what it is worth, its seconds and those of checking it."""
    start = time.perf_counter()
    answer = qed.convexity(case.fun, case.box, *case.args, seed=SEED)
    seconds = time.perf_counter() - start
    shape, standing = str(answer.shape), str(answer.standing)
    start = time.perf_counter()
    checked = None if answer.unknown else answer.check()
    return {
        "standing": standing,
        "shape": shape,
        "worth": judged(case, standing, shape),
        "seconds": round(seconds, 3),
        "checked": checked,
        "seconds_to_check": round(time.perf_counter() - start, 3),
    }


def by_cvxpy(name: str, case: Case) -> dict[str, Any]:
    """CVXPY's verdict on the function as written, and by hand, with the seconds of the first."""
    example, lower, upper = spread(case.box)
    start = time.perf_counter()
    try:
        as_written = verdict(literal(case.fun, example, case.args, variables(lower, upper)))
    except NoAtom as missing:
        as_written = f"no atom: {missing}"
    seconds = time.perf_counter() - start
    found: dict[str, Any] = {"as_written": as_written, "seconds": round(seconds, 3)}
    if name in FORMS:
        import cvxpy as cp

        found["by_hand"] = verdict(FORMS[name](cp, variables(lower, upper), case.args))
    return found


def examine(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """All three verdicts on each function."""
    found = {}
    for name in names:
        case = CASES[name]
        found[name] = {"label": case.label, "qed": by_qed(case), "cvxpy": by_cvxpy(name, case)}
    return found


def best(row: dict[str, Any]) -> str:
    """The better of CVXPY's two verdicts."""
    words = [row["cvxpy"]["as_written"], row["cvxpy"].get("by_hand", "unknown")]
    return next((word for word in reversed(words) if word in ("convex", "concave", "affine")), "unknown")


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Counts: how many functions each decides rightly, and how many it says something false of."""
    worth = Counter(row["qed"]["worth"] for row in rows.values())
    slow = [name for name, row in rows.items() if row["qed"]["seconds"] > SECONDS]
    written, chosen = Counter(), Counter()
    for row in rows.values():
        written[_of_cvxpy(row["label"], row["cvxpy"]["as_written"])] += 1
        chosen[_of_cvxpy(row["label"], best(row))] += 1
    ratios = [row["qed"]["seconds"] / max(row["cvxpy"]["seconds"], 1e-3) for row in rows.values()]
    held_out = Counter(row["qed"]["worth"] for name, row in rows.items() if name.startswith("held-out"))
    return {
        "functions": len(rows),
        "qed": dict(worth),
        "qed_on_the_held_out_half": dict(held_out),
        "qed_slower_than_10_s": slow,
        "cvxpy_as_written": dict(written),
        "cvxpy_by_hand_too": dict(chosen),
        "median_ratio_of_times": round(statistics.median(ratios), 1),
    }


def _of_cvxpy(label: str, word: str) -> str:
    """A verdict of CVXPY's; of what is not convex, not concave it cannot say more than unknown."""
    if word not in ("convex", "concave", "affine"):
        return "unknown"
    if word == label:
        return "right"
    return "weaker" if label == "affine" else "wrong"


def linear(w: Any, X: Any, y: Any) -> Any:
    return jnp.mean((X @ w - y) ** 2)


def hidden(w: Any, X: Any, y: Any) -> Any:
    return jnp.mean((jnp.tanh(X @ w["in"]) @ w["out"] - y) ** 2)


def side_by_side(draws: int = 20) -> list[dict[str, Any]]:
    """The mean squared error of a linear model and of a network with one hidden layer, for data of many shapes."""
    rng = np.random.default_rng(SEED)
    rows = []
    for _ in range(draws):
        n, d = int(rng.integers(2, 12)), int(rng.integers(1, 5))
        X, y = rng.standard_normal((n, d)).astype(np.float32), rng.standard_normal(n).astype(np.float32)
        line = np.full(d, -np.inf, np.float32), np.full(d, np.inf, np.float32)
        one = qed.convexity(linear, line, X, y)
        box = {"in": np.full((d, 2), -2, np.float32), "out": np.full(2, -2, np.float32)}
        two = qed.convexity(hidden, qed.Box(box, 2.0), X, y)
        gram = 2 * X.astype(float).T @ X.astype(float) / n
        rows.append(
            {
                "n": n,
                "d": d,
                "linear": [str(one.standing), str(one.shape)],
                "hidden": [str(two.standing), str(two.shape)],
                "constant": getattr(one.value, "strong", None),
                "smallest_eigenvalue_of_2XX/n": float(np.linalg.eigvalsh(gram)[0]),
            }
        )
    return rows


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The verdicts as text."""
    lines = [f"{'function':<48}{'truth':<11}{'qed':<20}{'s':>6}  {'CVXPY as written':<30}{'by hand':<10}"]
    for name, row in rows.items():
        own = f"{row['qed']['standing']} {row['qed']['shape']}"
        lines.append(
            f"{name:<48}{row['label']:<11}{own:<20}{row['qed']['seconds']:>6.2f}  "
            f"{row['cvxpy']['as_written']:<30}{row['cvxpy'].get('by_hand', ''):<10}".rstrip()
        )
    return "\n".join(lines)


def holds(record: dict[str, Any]) -> bool:
    """Whether the promises are kept."""
    return sound(record) and rightly(record) >= DECIDED * len(record["results"])


def sound(record: dict[str, Any]) -> bool:
    """Whether nothing false was said, all that was said was checked, and the two losses are told apart."""
    answers = [row["qed"] for row in record["results"].values()]
    pairs = [(row["linear"][0], row["hidden"][0]) for row in record["side_by_side"]]
    return (
        all(answer["worth"] != "wrong" for answer in answers)
        and all(answer["checked"] for answer in answers if answer["standing"] != "UNKNOWN")
        and all(pair == ("PROVED", "REFUTED") for pair in pairs)
    )


def rightly(record: dict[str, Any]) -> int:
    """How many functions are decided rightly in time."""
    answers = [row["qed"] for row in record["results"].values()]
    return sum(answer["worth"] == "right" and answer["seconds"] <= SECONDS for answer in answers)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", help="only the functions of one part: rules, hessian, trick, matrix, optax, sklearn")
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--shared", action="store_true", help="note that others used the machine at the same time")
    options = parser.parse_args()
    rows = examine([name for name in CASES if options.part in (None, name.split("/")[0])])
    record = {
        "what": "verdicts of qed.convexity beside CVXPY's rules",
        "versions": {name: version(name) for name in ("qed", "jax", "optax", "scikit-learn", "cvxpy")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "seed": SEED,
        "shared": options.shared,
        "summary": summary(rows),
        "side_by_side": side_by_side(),
        "results": rows,
    }
    print(table(rows))
    print(json.dumps(record["summary"], indent=1))
    if options.part is None and not options.no_write:
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0 if holds(record) or options.part else 1


if __name__ == "__main__":
    raise SystemExit(main())
