"""Time and memory of `qed why` beside the user's own training, both in cold processes, run in turn.

For each example the same loss is trained for 400 steps by the user's own script (one jitted step, driven from Python,
the way the examples do it) and diagnosed by ``qed why``. Each is a new process that imports everything and compiles
everything; the two take turns, so that what else the machine does falls on both. Reported are medians and their ratio;
only the ratio is meant to travel between machines.

    python -m benchmarks.why            prints the table and writes benchmarks/results/why.json

The promise: at most 5 times the time and 3 times the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("results") / "why.json"
LIMITS = {"time": 5.0, "memory": 3.0}
SEED = 0

TRAIN = """
import importlib.util, sys
import jax
spec = importlib.util.spec_from_file_location("train", sys.argv[1])
train = importlib.util.module_from_spec(spec)
spec.loader.exec_module(train)
rate, w = float(sys.argv[2]), train.w

@jax.jit
def step(w):
    loss, gradient = jax.value_and_grad(train.loss)(w)
    return loss, jax.tree.map(lambda weight, slope: weight - rate * slope, w, gradient)

losses = []
for _ in range(400):
    loss, w = step(w)
    losses.append(float(loss))
print(losses[0], losses[-1])
"""

EXAMPLES = {
    "wine": (0.1, ["--names", "names"]),
    "digits": (2.0, []),
    "logistic": (0.3, ["--names", "names"]),
}


def measured(command: list[str], codes: tuple[int, ...]) -> tuple[float, float]:
    """(seconds, peak MiB) of one process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    begun = time.perf_counter()
    child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in codes:
        message = f"{' '.join(command)} ended with {child.returncode}"
        raise RuntimeError(message)
    return seconds, _mebibytes(usage)


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def compare(name: str, repeats: int) -> dict[str, object]:
    """Both processes in turn, `repeats` times each, after one uncounted import that fills the file cache."""
    rate, more = EXAMPLES[name]
    path = f"examples/{name}/train.py"
    own = [sys.executable, "-c", TRAIN, path, str(rate)]
    why = [sys.executable, "-m", "qed", "why", f"{path}:loss", "--at", "w", *more, "--step", f"sgd:{rate}"]
    taken: dict[str, list[tuple[float, float]]] = {"own": [], "why": []}
    measured(own, (0,))
    for _ in range(repeats):
        taken["own"].append(measured(own, (0,)))
        taken["why"].append(measured(why, (0, 1)))
    medians = {
        who: {
            "seconds": round(statistics.median(s for s, _ in runs), 3),
            "mebibytes": round(statistics.median(m for _, m in runs), 1),
            "all_seconds": [round(s, 3) for s, _ in runs],
        }
        for who, runs in taken.items()
    }
    return {
        "step": rate,
        "own": medians["own"],
        "why": medians["why"],
        "time_ratio": round(medians["why"]["seconds"] / medians["own"]["seconds"], 2),
        "memory_ratio": round(medians["why"]["mebibytes"] / medians["own"]["mebibytes"], 2),
    }


def table(results: dict[str, dict]) -> str:
    """The results as text."""
    lines = [f"{'example':<10}{'own training':>14}{'qed why':>10}{'ratio':>8}{'memory ratio':>15}"]
    for name, r in results.items():
        own, why = f"{r['own']['seconds']:.1f} s", f"{r['why']['seconds']:.1f} s"
        lines.append(f"{name:<10}{own:>14}{why:>10}{r['time_ratio']:>8.2f}{r['memory_ratio']:>15.2f}")
    lines.append(f"{'limit':<10}{'':>24}{LIMITS['time']:>8.2f}{LIMITS['memory']:>15.2f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    results = {name: compare(name, options.repeats) for name in EXAMPLES}
    print(table(results))
    record = {
        "benchmark": "why",
        "steps": 400,
        "seed": SEED,
        "repeats": options.repeats,
        "limits": LIMITS,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("jax", "jaxlib", "numpy", "optax", "scikit-learn")},
        },
        "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "shared": True},
        "results": results,
    }
    if not options.no_write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    good = all(r["time_ratio"] <= LIMITS["time"] and r["memory_ratio"] <= LIMITS["memory"] for r in results.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
