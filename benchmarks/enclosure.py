"""Enclosures of arrays: float64 intervals rounded outward in NumPy, beside python-flint one number at a time.

`python -m benchmarks.enclosure [SIZE]` prints for each operation the processor's seconds of both, the best of several
runs in turn, and how many times as fast the intervals are; with the SIZE 100000, the default, it writes
benchmarks/results/enclosure.json with versions and seed. The balls are lists of numbers, as python-flint has no arrays
of them; a run of the faster side repeats the operation, so that the clock can tell it.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

import flint
import numpy as np

from qed import facts
from qed.domains.balls import between
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals

SEED = 0
RUNS = 7
REPEATED = {"add": 10, "mul": 10, "sum of products": 10}
"""How often one run does an operation in intervals."""
PROMISED = {"add": 3.0, "mul": 1.0, "sum of products": 5.0}
"""How many times as fast the intervals are at least."""


def operands(size):
    rng = np.random.default_rng(SEED)
    lower = rng.normal(size=(2, size))
    upper = lower + np.abs(rng.normal(size=(2, size)))
    intervals = [Intervals(a, b) for a, b in zip(lower, upper, strict=True)]
    balls = [
        [between(a, b) for a, b in zip(p.tolist(), q.tolist(), strict=True)] for p, q in zip(lower, upper, strict=True)
    ]
    return intervals, balls


def operations(size):
    (x, y), (u, v) = operands(size)
    domain = Interval()
    row, column = x.map(lambda a: a[None, :]), y.map(lambda a: a[:, None])

    def card(name):
        found = facts.card(name)
        return lambda: domain.image(found, x), lambda: [found.ball(a) for a in u]

    return {
        "add": (lambda: x + y, lambda: [a + b for a, b in zip(u, v, strict=True)]),
        "mul": (lambda: x * y, lambda: [a * b for a, b in zip(u, v, strict=True)]),
        "sum of products": (
            lambda: domain.contract(row, column),
            lambda: sum((a * b for a, b in zip(u, v, strict=True)), flint.arb(0)),
        ),
        **{name: card(name) for name in ("exp", "tanh", "sin", "erf")},
    }


def spent(function, times=1):
    """The processor's seconds of one call."""
    start = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - start) / times


def measure(size):
    rows = {}
    for name, (mine, theirs) in operations(size).items():
        times = REPEATED.get(name, 1)
        pairs = [(spent(mine, times), spent(theirs)) for _ in range(RUNS)]
        rows[name] = {"intervals": min(a for a, _ in pairs), "balls": min(b for _, b in pairs)}
    return rows


def ratio(row):
    """How many times as fast the intervals are."""
    return row["balls"] / row["intervals"]


def holds(rows):
    """The promise."""
    return all(ratio(rows[name]) >= least for name, least in PROMISED.items())


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = measure(size)
    print(f"{'operation':18}{'intervals':>12}{'python-flint':>14}{'ratio':>8}")
    for name, row in rows.items():
        print(f"{name:18}{row['intervals']:12.4f}{row['balls']:14.4f}{ratio(row):8.2f}")
    versions = {"python": platform.python_version(), "numpy": np.__version__, "python-flint": flint.__version__}
    result = {"size": size, "seed": SEED, "runs": RUNS, "shared": True, "versions": versions, "seconds": rows}
    if size == 100_000:
        (Path(__file__).parent / "results" / "enclosure.json").write_text(
            json.dumps(result, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
