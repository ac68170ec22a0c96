"""What compiling without optimization saves and costs: the programs that `qed.calculus.compiling.quickly` makes.

    python -m benchmarks.compiling

Values with gradients, and products with the Hessian, of three functions, two of them in two sizes: each compiled from
its lowered program as `jax.jit` does and as `seldom` does, in processor time of one thread, the least of `TIMES`; and
a call of each, the least mean of `CALLS`. Compared are these two ways of one compiler; there is no promise of a time.
Writes benchmarks/results/compiling.json.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # before JAX is imported
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.compiling import seldom

RESULT = Path(__file__).parent / "results" / "compiling.json"
TIMES, CALLS = 3, 300


def chain(x: Any) -> Any:
    """Rosenbrock's function, extended."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def waves(x: Any) -> Any:
    """Sines, exponentials and logarithms, number by number."""
    return jnp.sum(jnp.sin(x) * jnp.exp(-(x**2)) + jnp.log1p(x**2))


def perceptron(x: Any) -> Any:
    """Two hidden layers of 16, 3 classes, 32 rows; the 467 parameters as one vector."""
    rng, sizes, start = np.random.default_rng(0), (8, 16, 16, 3), 0
    h, labels = jnp.asarray(rng.normal(size=(32, 8)), x.dtype), rng.integers(0, 3, 32)
    for k, (a, b) in enumerate(pairwise(sizes)):
        h = h @ x[start : start + a * b].reshape(a, b) + x[start + a * b : start + a * b + b]
        h, start = (jnp.tanh(h) if k < len(sizes) - 2 else h), start + a * b + b
    return -jnp.mean(jax.nn.log_softmax(h)[np.arange(32), labels])


FUNCTIONS = {
    "chain of 100": (chain, 100), "chain of 10,000": (chain, 10_000), "waves of 100": (waves, 100),
    "waves of 10,000": (waves, 10_000), "perceptron": (perceptron, 467),
}  # fmt: skip


def programs(fun: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """Value with gradient, and the product of the Hessian with a vector."""
    return {
        "value and gradient": lambda x, v: jax.value_and_grad(fun)(x),
        "product": lambda x, v: jax.jvp(jax.grad(fun), (x,), (v,))[1],
    }


def timed(make: Callable[[Any], Any], program: Callable[..., Any], x: Any) -> tuple[float, float]:
    """Seconds of processor time of compiling, and of a call."""
    compiling = []
    for _ in range(TIMES):
        lowered = make(lambda a, b: program(a, b)).lower(x, x)
        began = time.process_time()
        made = lowered.compile()
        compiling.append(time.process_time() - began)
    calls = []
    for _ in range(TIMES):
        began = time.process_time()
        for _ in range(CALLS):
            jax.block_until_ready(made(x, x))
        calls.append((time.process_time() - began) / CALLS)
    return min(compiling), min(calls)


def main() -> None:
    """The table."""
    seldom(lambda: 0.0)()
    rows = []
    for name, (fun, n) in FUNCTIONS.items():
        x = jnp.asarray(np.random.default_rng(1).normal(size=n) / 4, jnp.float32)
        for what, program in programs(fun).items():
            usual, quick = timed(jax.jit, program, x), timed(seldom, program, x)
            rows.append(
                {"function": name, "program": what, "compiling": round(usual[0], 4), "quickly": round(quick[0], 4),
                 "times as fast": round(usual[0] / quick[0], 2), "call": usual[1], "quickly, call": quick[1],
                 "times as long": round(quick[1] / usual[1], 2)}
            )  # fmt: skip
            print(rows[-1], flush=True)
    faster, longer = ([row[key] for row in rows] for key in ("times as fast", "times as long"))
    told = {
        "times as fast, least and most": [min(faster), max(faster)],
        "a call times as long, least and most": [min(longer), max(longer)],
        "a call longer by, at most, microseconds": round(1e6 * max(r["quickly, call"] - r["call"] for r in rows)),
    }
    versions = {name: version(name) for name in ("jax", "jaxlib", "numpy")}
    RESULT.write_text(json.dumps({"versions": versions, "summary": told, "rows": rows}, indent=1) + "\n")
    print(told)


if __name__ == "__main__":
    main()
