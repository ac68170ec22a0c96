"""Work of Taylor coefficients on a network, beside `jax.experimental.jet` and nested forward derivatives.

The network is tanh of four dense layers of 64 units on a batch of 64, the curve a line in its input. For each order k
three programs are compiled that give all derivatives of the scalar output up to k: qed's Taylor domain, `jet`, and k
nested `jax.jvp`. Reported is what XLA's own cost analysis counts, relative to the function: floating-point operations,
and the equations of the program before compilation. No time is measured. Nested derivatives are left out above
order 8, where their program has more than 10^4 equations.

The second table counts primitives: those of JAX that have a derivative, those that `jet` has a rule for, and those that
the Taylor domain follows.

    python -m benchmarks.taylor           prints the tables and writes benchmarks/results/taylor.json

The promise: at most 1.3 (k + 1) times the function's operations for k = 2..10, and fewer than both others from k = 6.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad

from qed import facts
from qed.domains.taylor import Taylor, expand
from qed.graph.jaxpr import primitive_name
from qed.graph.trace import trace

RESULT = Path(__file__).with_name("results") / "taylor.json"
SEED = 0
ORDERS = range(2, 11)
NESTED_UP_TO = 8
LIMIT = 1.3
SIZE, LAYERS, BATCH = 64, 4, 64


def network(size: int = SIZE, layers: int = LAYERS, batch: int = BATCH) -> tuple[Any, Any, Any]:
    """(function of the input, input, direction)."""
    rng = np.random.default_rng(SEED)
    weights = [jnp.asarray(rng.standard_normal((size, size)) / math.sqrt(size), jnp.float32) for _ in range(layers)]
    x, direction = (jnp.asarray(rng.standard_normal((batch, size)), jnp.float32) for _ in range(2))

    def fun(x: Any) -> Any:
        for weight in weights:
            x = jnp.tanh(x @ weight)
        return jnp.sum(x)

    return fun, x, direction


def by_qed(fun: Any, order: int) -> Any:
    """All normalised coefficients, by the Taylor domain."""

    def run(x: Any, direction: Any) -> list[Any]:
        graph = trace(fun, x).graph
        (terms,) = expand(graph, [(x, direction)], order)
        return list(terms)

    return run


def by_jet(fun: Any, order: int) -> Any:
    """All derivatives, by `jax.experimental.jet`."""
    from jax.experimental.jet import jet

    def run(x: Any, direction: Any) -> Any:
        series = [direction, *(jnp.zeros_like(x) for _ in range(order - 1))]
        return jet(fun, (x,), (series,))

    return run


def by_nesting(fun: Any, order: int) -> Any:
    """All derivatives, by nested forward mode."""

    def run(x: Any, direction: Any) -> list[Any]:
        def derivative(f: Any) -> Any:
            return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))[1]

        f = lambda t: fun(x + t * direction)  # noqa: E731
        found = [f(jnp.float32(0))]
        for _ in range(order):
            f = derivative(f)
            found.append(f(jnp.float32(0)))
        return found

    return run


def work(run: Any, *arguments: Any) -> tuple[float, int]:
    """(floating-point operations as XLA counts them, equations before compilation)."""
    lowered = jax.jit(run).lower(*arguments)
    cost = lowered.compile().cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return float(cost["flops"]), _equations(jax.make_jaxpr(run)(*arguments))


def _equations(jaxpr: Any) -> int:
    inner = getattr(jaxpr, "jaxpr", jaxpr)
    count = 0
    for eqn in inner.eqns:
        called = [p for p in eqn.params.values() if hasattr(p, "eqns") or hasattr(getattr(p, "jaxpr", None), "eqns")]
        count += sum(_equations(p) for p in called) if called else 1
    return count


def measure(orders: Any, nested_up_to: int, **sizes: int) -> list[dict[str, Any]]:
    """One row for each order."""
    fun, x, direction = network(**sizes)
    base, _ = work(fun, x)
    rows = []
    for order in orders:
        row: dict[str, Any] = {"order": order, "limit": LIMIT * (order + 1)}
        ways = {"qed": by_qed, "jet": by_jet, **({"nested": by_nesting} if order <= nested_up_to else {})}
        for name, way in ways.items():
            flops, equations = work(way(fun, order), x, direction)
            row[name] = {"flops": round(flops / base, 3), "equations": equations}
        rows.append(row)
    return rows


def agreement(order: int = 6) -> float:
    """The greatest relative difference between the three, in float64, over all coefficients up to the order."""
    with jax.enable_x64(True):
        fun, x, direction = network(8, 2, 4)
        x, direction = x.astype(jnp.float64), direction.astype(jnp.float64)
        mine = by_qed(fun, order)(x, direction)
        nested = [value / math.factorial(k) for k, value in enumerate(by_nesting(fun, order)(x, direction))]
        return max(abs(float(a - b)) / abs(float(b)) for a, b in zip(mine, nested, strict=True))


def coverage() -> dict[str, Any]:
    """How many primitives with a derivative in JAX each of the two follows, and which the Taylor domain does not."""
    from jax.experimental import jet

    differentiable = {p for p in {*ad.primitive_jvps} if ad.primitive_jvps[p] is not None}
    scope = sorted(p.name for p in differentiable if facts.classify(primitive_name(p)) is not None)
    by_name = {p.name: p for p in differentiable}
    rules = {**jet.jet_rules}
    has_jet = [name for name in scope if by_name[name] in rules]
    has_qed = [name for name in scope if Taylor.rule(primitive_name(by_name[name])) is not None]
    return {
        "with a derivative and in scope": len(scope),
        "jet": len(has_jet),
        "qed": len(has_qed),
        "not in qed": sorted(set(scope) - set(has_qed)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The results as text."""
    lines = [f"{'order':>5}{'limit':>8}{'qed':>8}{'jet':>8}{'nested':>8}   equations: qed, jet, nested"]
    for row in rows:
        cells = [f"{row[n]['flops']:.2f}" if n in row else "-" for n in ("qed", "jet", "nested")]
        counts = ", ".join(str(row[n]["equations"]) if n in row else "-" for n in ("qed", "jet", "nested"))
        lines.append(
            f"{row['order']:>5}{row['limit']:>8.1f}" + "".join(f"{cell:>8}" for cell in cells) + f"   {counts}"
        )
    return "\n".join(lines)


def holds(rows: list[dict[str, Any]]) -> bool:
    """Whether the promise of the first paragraph holds."""
    within = all(row["qed"]["flops"] <= row["limit"] for row in rows)
    late = [row for row in rows if row["order"] >= 6]
    others = [row[n]["flops"] > row["qed"]["flops"] for row in late for n in ("jet", "nested") if n in row]
    return within and all(others)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--highest", type=int, default=ORDERS[-1])
    parser.add_argument("--nested-up-to", type=int, default=NESTED_UP_TO)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        rows = measure(range(2, options.highest + 1), options.nested_up_to)
        covered = coverage()
    print(table(rows))
    print(covered)
    record = {
        "benchmark": "taylor",
        "network": {"layers": LAYERS, "units": SIZE, "batch": BATCH, "activation": "tanh", "dtype": "float32"},
        "seed": SEED,
        "limit": "1.3 (k + 1) times the function, and below jet and nested jvp from k = 6 on",
        "agreement_at_order_6": agreement(),
        "coverage": covered,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("jax", "jaxlib", "numpy")},
        },
        "results": rows,
    }
    if not options.no_write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0 if holds(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
