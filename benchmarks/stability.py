"""What `qed.stabilize` repairs, beside Herbie's published figures, PyTensor, XLA, and repairs by clipping.

Four tables judged in balls (tests/numerics/scoring.py) at points that qed did not choose, and one of costs:

hamming   the 28 FPCores of FPBench's hamming-ch3 in float64: Herbie's measure, the average over inputs drawn uniformly
          from the floating-point numbers that meet the precondition, of log2(1 + ulps between result and truth), at
          most 64; and the processor seconds from the function to its rewritten graph. Published, from the logs of
          Herbie's repository of 2017: 37.7 -> 2.4 bits on average, 16 to 234 s a case.
pytensor  one expression for each entry of PyTensor's stabilising rewritings and six beside it, in float32: bits lost
          at the worst point, in value and gradient, by JAX eager, by XLA (jit), by PyTensor (fast_run, value and
          gradient each alone, where installed) and by qed.
ranum     the patterns of the defects that GRIST found and RANUM repaired, as written, as repaired by clipping the
          operator's input, and by qed.
corpus    the corpus of tests/numerics/corpus_stability*.py in float32 and float64, by group: how many values and
          gradients are broken (over 6 bits lost somewhere), how many of them fixed (at most 3 bits everywhere), what
          is worse, which controls changed (and where only the derivative that JAX gives them did).
          Its files `*_held` were unknown to those who wrote the first rewritings; some of their cases
          have been named to them since.
longer    what longer numbers cost where they are used: processor time of compiling value and gradient, and of a call,
          with and without, for three functions. No promise.

    python -m benchmarks.stability [--only hamming,pytensor,ranum,corpus,longer]

writes benchmarks/results/stability.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import qed
from benchmarks.stability_cases import DEFECTS, HAMMING, PYTENSOR, Core, Defect, Jax, Rule
from qed.domains.ball import precision
from tests.numerics import scoring
from tests.numerics.corpus_stability import CONTROLS, HELD, UNSTABLE
from tests.numerics.scoring import Stability

RESULT = Path(__file__).with_name("results") / "stability.json"
SEED = 0
POINTS = 256
HERBIE = {"before": 37.7, "after": 2.4, "seconds": [16, 234]}
"""The published run on the same 28 cases (bits of 64; seconds a case)."""

Fun = Callable[..., Any]


# --- Hamming's chapter ---------------------------------------------------------------------------------------------


def drawn(core: Core, count: int, seed: int) -> list[np.ndarray]:
    """Inputs drawn uniformly from the bit patterns of the finite float64 that meet the precondition."""
    rng = np.random.default_rng([seed, *core.name.encode()])
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < count:
        bits = rng.integers(0, 2**64, size=(4 * count, core.arity), dtype=np.uint64)
        points = bits.view(np.float64)
        points = points[np.all(np.isfinite(points) & (np.abs(points) >= np.finfo(float).tiny), axis=1)]
        kept.append(points[np.asarray(core.holds(*points.T)) & np.ones(len(points), bool)])
    return list(np.concatenate(kept)[:count])


def exact(core: Core, points: Sequence[np.ndarray]) -> np.ndarray:
    """The true values, rounded to float64; NaN where there is none, or none that is finite."""
    case = Stability(core.name, "hamming", core.exact or core.fun, tuple(tuple(p) for p in points))
    found = []
    for truth in scoring.truths(case, "float64", gradients=False):
        with precision(200):
            value = math.nan if truth.value is None else float(truth.value.mid())
        found.append(value if math.isfinite(value) else math.nan)
    return np.array(found)


def ordinal(x: np.ndarray) -> np.ndarray:
    """The number of a float64 among all of them, in order; both zeros have one."""
    bits = np.asarray(x, np.float64).view(np.int64).astype(object)
    return np.where(bits < 0, -(bits + 2**63), bits)


def bits_of_error(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Herbie's measure: log2(1 + how many numbers lie between result and truth), 64 for NaN."""
    distance = np.abs(ordinal(np.where(np.isnan(found), 0.0, found)) - ordinal(true))
    bits = np.array([math.log2(1 + int(d)) for d in distance])
    return np.where(np.isnan(found), 64.0, np.minimum(bits, 64.0))


def hamming(cores: Sequence[Core] = HAMMING, count: int = POINTS) -> list[dict[str, Any]]:
    """Average bits of error of each case as written and as rewritten, and the processor seconds of rewriting."""
    rows = []
    with jax.enable_x64(True):
        for core in cores:
            points = drawn(core, count, SEED)
            true = exact(core, points)
            known = ~np.isnan(true)
            columns = [jnp.asarray(column) for column in np.array(points)[known].T]
            start = time.process_time()
            stable = qed.stabilize(core.fun)
            jax.make_jaxpr(stable)(*(column[0] for column in columns))
            seconds = time.process_time() - start
            row = {"name": core.name, "points": int(known.sum()), "seconds": seconds}
            for name, fun in (("before", core.fun), ("after", stable)):
                found = np.asarray(jax.jit(jax.vmap(fun))(*columns))
                row[name] = float(np.mean(bits_of_error(found, true[known])))
            rows.append(row)
    return rows


# --- PyTensor's list -----------------------------------------------------------------------------------------------


def pytensor_function(rule: Rule, point: Any) -> Callable[[Any], tuple[Any, Any]] | None:
    """(x) -> value and gradient by PyTensor, compiled in its mode fast_run; None where it is not installed."""
    try:
        pytensor: Any = importlib.import_module("pytensor")
        pt: Any = importlib.import_module("pytensor.tensor")
    except ImportError:
        return None

    class Symbols:
        """The same names for PyTensor."""

        exp, log, log1p, expm1, sqrt, cos = pt.exp, pt.log, pt.log1p, pt.expm1, pt.sqrt, pt.cos
        sum, prod, mean, sigmoid, erf, erfc, switch = pt.sum, pt.prod, pt.mean, pt.sigmoid, pt.erf, pt.erfc, pt.switch
        softmax, log_softmax = staticmethod(pt.special.softmax), staticmethod(pt.special.log_softmax)

    with pytensor.config.change_flags(floatX="float32"):
        x = pt.TensorType("float32", shape=(None,) * np.ndim(point))("x")
        value = rule.fun(Symbols, x)
        mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_run")
        both = [pytensor.function([x], y, mode=mode) for y in (value, pytensor.grad(value, x))]
    return lambda point: (both[0](point), both[1](point))


def pytensor_list(rules: Sequence[Rule] = PYTENSOR) -> list[dict[str, Any]]:
    """Bits lost at the worst point by every system, [value, gradient]."""
    rows = []
    for rule in rules:

        def fun(x: Any, rule: Rule = rule) -> Any:
            return rule.fun(Jax, x)

        case = Stability(rule.name, "pytensor", fun, tuple((point,) for point in rule.points))
        true = scoring.truths(case, "float32")
        row: dict[str, Any] = {"name": rule.name, "jax": _worst(scoring.losses(fun, case, "float32", true, jit=False))}
        row["xla"] = _worst(scoring.losses(fun, case, "float32", true))
        row["qed"] = _worst(scoring.losses(qed.stabilize(fun), case, "float32", true))
        theirs = pytensor_function(rule, rule.points[0])
        if theirs is not None:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                results = [theirs(np.asarray(point, np.float32)) for point in rule.points]
            found = [(np.asarray(v), (np.asarray(g),)) for v, g in results]
            row["pytensor"] = _worst(scoring.lost(found, "float32", true))
        rows.append(row)
    return rows


def _worst(loss: scoring.Loss) -> list[float]:
    return [loss.worst("value"), loss.worst("gradient")]


# --- RANUM's defects -----------------------------------------------------------------------------------------------


def ranum(defects: Sequence[Defect] = DEFECTS) -> list[dict[str, Any]]:
    """Bits lost at the worst point as written, as clipped, and as rewritten by qed, [value, gradient]."""
    rows = []
    for defect in defects:
        case = Stability(defect.name, "ranum", defect.fun, tuple((point,) for point in defect.points))
        true = scoring.truths(case, "float32")
        row: dict[str, Any] = {"name": defect.name, "operator": defect.operator}
        for name, fun in (
            ("written", defect.fun),
            ("clipped", defect.clipped),
            ("qed", qed.stabilize(defect.fun)),
        ):
            row[name] = _worst(scoring.losses(fun, case, "float32", true))
        rows.append(row)
    return rows


# --- the corpus ----------------------------------------------------------------------------------------------------


def corpus(names: Sequence[str] | None = None, dtypes: Sequence[str] = ("float32", "float64")) -> dict[str, Any]:
    """Counts by half, dtype and group, with the names of what is left broken, worse, or changed."""
    counts: dict[str, Any] = {}
    worse, changed, slopes = [], [], []
    for name, case in {**UNSTABLE, **CONTROLS}.items():
        if names is not None and name not in names:
            continue
        half = "held" if name in HELD else "shown"
        for dtype in dtypes:
            stable = qed.stabilize(case.fun)
            same = scoring.same_bits(case, dtype, stable) if name in CONTROLS else (False, False)
            if name in CONTROLS:
                changed += [] if same[0] else [f"{name} {dtype}"]
                slopes += [] if same[1] else [f"{name} {dtype}"]
            if all(same):
                continue
            verdict = scoring.verdict(case, dtype, stable, scoring.truths(case, dtype))
            for what in ("value", "gradient"):
                worse += [f"{name} {dtype} {what}"] if verdict.worse(what) else []
                if name in CONTROLS:
                    continue
                row = counts.setdefault(half, {}).setdefault(dtype, {}).setdefault(what, {})
                row = row.setdefault(case.group, {"broken": 0, "fixed": 0, "left": []})
                if verdict.broken(what):
                    row["broken"] += 1
                    row["fixed"] += verdict.fixed(what)
                    row["left"] += [] if verdict.fixed(what) else [name]
    sizes = {"unstable": len(UNSTABLE), "held": len(HELD & set(UNSTABLE)), "controls": len(CONTROLS)}
    controls = {"controls changed": changed, "gradients of controls changed": slopes}
    return {"sizes": sizes, "counts": counts, "worse": worse, **controls}


def total(counts: dict[str, Any], half: str, dtypes: Sequence[str], what: str) -> tuple[int, int]:
    """(fixed, broken) over all groups."""
    rows = [row for dtype in dtypes for row in counts[half][dtype][what].values()]
    return sum(row["fixed"] for row in rows), sum(row["broken"] for row in rows)


# --- what longer numbers cost --------------------------------------------------------------------------------------


def gram(x: Any, y: Any) -> Any:
    """|x|^2 |y|^2 - (x.y)^2."""
    return jnp.dot(x, x) * jnp.dot(y, y) - jnp.dot(x, y) ** 2


def determinant(x: Any) -> Any:
    """That of a matrix of two rows."""
    return x[0] * x[3] - x[1] * x[2]


def jensen(x: Any) -> Any:
    """What the mean of an exponential is above the exponential of the mean."""
    return jnp.mean(jnp.exp(x)) - jnp.exp(jnp.mean(x))


COSTS: tuple[tuple[Fun, str, tuple[list[float], ...]], ...] = (
    (determinant, "float32", ([1.0, 2.0, 2.001, 4.002],)),
    (gram, "float64", ([1.0, 2.0, 3.0], [1.0, 2.0, 3.001])),
    (jensen, "float64", ([1.0 + 1e-3 * k for k in range(50)],)),
)
"""A function that float64 mends in float32, and two that 288 bits mend in float64, the last one of 50 numbers."""


def longer(cases: Sequence[tuple[Fun, str, tuple[list[float], ...]]] = COSTS, calls: int = 200) -> list[dict[str, Any]]:
    """Processor seconds of compiling value and gradient and of a call, as written and with longer numbers."""
    rows = []
    for fun, dtype, point in cases:
        with jax.enable_x64(dtype == "float64"):
            args = [jnp.asarray(np.asarray(a, dtype)) for a in point]
            stable = qed.stabilize(fun)
            jax.make_jaxpr(jax.value_and_grad(stable))(*args)
            row: dict[str, Any] = {"name": fun.__name__, "dtype": dtype}
            row["used"] = any("in 288 bits" in r.after or "in float64" in r.after for r in _told(stable, args))
            for name, one in (("written", fun), ("stable", stable)):
                row[name] = _costs(jax.jit(jax.value_and_grad(one)), args, calls)
        row["ratios"] = [b / a for a, b in zip(row["written"], row["stable"], strict=True)]
        rows.append(row)
    return rows


def _told(stable: Any, args: Sequence[Any]) -> Sequence[Any]:
    found = stable.rewrites(*args).value
    return found.rewrites if found is not None else ()


def _costs(jitted: Any, args: Sequence[Any], calls: int) -> list[float]:
    """[seconds of compiling, seconds of a call], of the processor; nothing is taken from a cache."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    start = time.process_time()
    compiled = jitted.lower(*args).compile()
    compiling = time.process_time() - start
    jax.config.update("jax_enable_compilation_cache", before)
    jax.block_until_ready(compiled(*args))
    start = time.process_time()
    for _ in range(calls):
        jax.block_until_ready(compiled(*args))
    return [compiling, (time.process_time() - start) / calls]


# --- the report ----------------------------------------------------------------------------------------------------


def report(record: dict[str, Any]) -> None:
    """Print the tables of a record."""
    if rows := record.get("hamming"):
        for row in rows:
            print(f"{row['name']:26}{row['before']:8.1f}{row['after']:8.1f}{row['seconds']:8.2f} s")
        means = [statistics.mean(row[key] for row in rows) for key in ("before", "after")]
        print(f"{'average':26}{means[0]:8.1f}{means[1]:8.1f}   published: Herbie 37.7 -> 2.4\n")
    for table, systems in (("pytensor", ("jax", "xla", "pytensor", "qed")), ("ranum", ("written", "clipped", "qed"))):
        for row in record.get(table, ()):
            cells = (f"{s} {row[s][0]:4.1f} {row[s][1]:4.1f}" for s in systems if s in row)
            print(f"{row['name']:42}", "   ".join(cells))
        print()
    for row in record.get("longer", ()):
        compiling, calling = row["ratios"]
        print(f"{row['name']:20}{row['dtype']:9} compiling x {compiling:.1f}, a call x {calling:.1f}")
    if found := record.get("corpus"):
        for half, by_dtype in found["counts"].items():
            for dtype in by_dtype:
                for what in ("value", "gradient"):
                    fixed, broken = total(found["counts"], half, [dtype], what)
                    print(f"{half:6} {dtype} {what:9} {fixed} of {broken} fixed")
        for what in ("worse", "controls changed", "gradients of controls changed"):
            print(f"{what}:", *found[what])


def versions() -> dict[str, str]:
    """The versions of what was compared."""
    found = {"python": platform.python_version()}
    for name in ("jax", "jaxlib", "numpy", "python-flint", "pytensor"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    """Run the tables and write the result."""
    parser = argparse.ArgumentParser(description="What qed.stabilize repairs.")
    parser.add_argument("--only", default="hamming,pytensor,ranum,longer,corpus")
    only = parser.parse_args().only.split(",")
    tables = {"hamming": hamming, "pytensor": pytensor_list, "ranum": ranum, "longer": longer, "corpus": corpus}
    record: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    record |= {"benchmark": "stability", "seed": SEED, "points": POINTS, "herbie": HERBIE, "versions": versions()}
    for name in only:
        record[name] = tables[name]()
        report({name: record[name]})
        RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
