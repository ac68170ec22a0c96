"""Patterns and colours of sparse Hessians on CUTEst, beside asdex: counts only, no time.

Every unconstrained and bounded problem of sif2jax with 2 to LARGEST variables is read in float64. Its Hessian pattern
is judged by JAX's own Hessian products: at 3 random points the sparse Hessian times 3 random vectors has to be the
product (an entry that is missing would show in every one), and an entry that is zero at all points is one too many.
Reported for each problem: variables, entries, entries too many, products (colours) of qed, and colours of asdex for its
own pattern, where it is installed (it does not import beside JAX 0.12) and its pattern found within its means.

    python -m benchmarks.sparsity                  prints the table and writes benchmarks/results/sparsity.json
    python -m benchmarks.sparsity --minutes 10     as many as 10 minutes of processor time do, in an order by chance
    python -m benchmarks.sparsity --only ROSENBR   the problems named, nothing written

The promise: no entry is missing on any problem; at least 19 of 20 patterns are exact; the products are never more than
asdex's by more than a tenth, summed over the problems that both do.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import sys
import time
import types
import warnings
import zlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.calculus.hessian import hessian_product
from qed.calculus.sparse import TooDense, sparse_hessian
from qed.errors import QedError
from qed.graph.function import read

RESULT = Path(__file__).with_name("results") / "sparsity.json"
SEED = 0
LARGEST = 1000
PACKAGES = ("_unconstrained_minimisation", "_bounded_minimisation")
TOLERANCE = 1e-9


def problems(
    only: tuple[str, ...] = (), mixed: bool = False, packages: tuple[str, ...] = PACKAGES
) -> Iterator[tuple[str, Any]]:
    """(name, problem), module by module: importing the package as a whole makes every problem at once.

    Mixed, the modules come in an order that has nothing to do with their names, so that the first ones are a sample.
    """
    root = Path(importlib.util.find_spec("sif2jax").submodule_search_locations[0])  # type: ignore[union-attr,index]
    for name in ("sif2jax", "sif2jax.cutest", *(f"sif2jax.cutest.{package}" for package in packages)):
        stub = types.ModuleType(name)
        stub.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = stub
    found = [(package, path) for package in packages for path in sorted((root / "cutest" / package).glob("*.py"))]
    if mixed:
        found.sort(key=lambda pair: zlib.crc32(pair[1].stem.encode()))
    for package, path in found:
        if path.stem.startswith("__") or (only and not _defines(path, only)):
            continue
        try:
            module = importlib.import_module(f"sif2jax.cutest.{package}.{path.stem}")
        except (ImportError, FileNotFoundError):  # helpers that need the whole package, or data that is not shipped
            continue
        for name, kind in vars(module).items():
            own = isinstance(kind, type) and kind.__module__ == module.__name__ and hasattr(kind, "objective")
            if own and (not only or name in only):
                try:
                    yield name, kind()
                except (TypeError, NotImplementedError):  # an abstract base
                    continue


def _defines(path: Path, names: tuple[str, ...]) -> bool:
    """Whether a file has one of the classes; some files have another name than their class."""
    text = path.read_text(encoding="utf-8")
    return any(f"class {name}(" in text for name in names)


def judged(problem: Any) -> dict[str, Any]:
    """The counts of one problem."""
    x, args = problem.y0, problem.args
    function = read(lambda y: problem.objective(y, args), x)
    n = function.size
    row: dict[str, Any] = {"n": n}
    try:
        hessian = sparse_hessian(function)
    except TooDense as error:
        return {**row, "dense": str(error)}
    rng = np.random.default_rng(SEED)
    product = hessian_product(lambda p, d: function.value(p, d), equations=function.graph.count())
    seen = np.zeros(hessian.entries, bool)
    worst, points = 0.0, 0
    for spread in (0.0, 0.05, 0.3, 1.0, 0.01, 0.1):
        at = tuple(
            p + spread * rng.standard_normal(p.shape) * (1 + abs(p)) for p in map(np.asarray, function.parameters)
        )
        found = hessian([jnp.asarray(a) for a in at])
        if not np.isfinite(found.data).all():
            continue
        points += 1
        seen |= found.data != 0
        scale = max(float(abs(found).sum(axis=1).max(initial=0)), 1e-300)
        for _ in range(3):
            vector = rng.standard_normal(n)
            truth = product(tuple(map(jnp.asarray, at)), function.data, _cut(vector, function.parameters))
            truth = np.concatenate([np.asarray(part).ravel() for part in truth])
            worst = max(worst, float(np.max(abs(found @ vector - truth), initial=0)) / scale)
    return {
        **row,
        "entries": hessian.entries,
        "too_many": int((~seen).sum()),
        "products": hessian.products,
        "points": points,
        "error": worst,
        "missing": bool(worst > TOLERANCE),
        "coarse": list(hessian.pattern.dense),
    }


def _cut(vector: np.ndarray, like: Any) -> tuple[Any, ...]:
    parts, start = [], 0
    for array in like:
        parts.append(jnp.asarray(vector[start : start + array.size].reshape(array.shape)))
        start += array.size
    return tuple(parts)


def beside(problem: Any) -> dict[str, Any]:
    """Entries and colours of asdex; empty where it is not installed or does not do it."""
    try:
        import asdex
    except ImportError:
        return {}
    x, rebuild = jax.flatten_util.ravel_pytree(problem.y0)
    try:
        found = asdex.hessian_coloring(lambda y: problem.objective(rebuild(y), problem.args), x)
    except Exception as error:
        return {"asdex": f"{type(error).__name__}: {error}"[:100]}
    return {"asdex_products": int(found.num_colors), "asdex_entries": int(found.sparsity.nnz)}


def run(only: tuple[str, ...] = (), largest: int = LARGEST, minutes: float | None = None) -> dict[str, Any]:
    """All rows, by problem; with `minutes` of processor time those of a sample."""
    rows: dict[str, Any] = {}
    for name, problem in problems(only, mixed=minutes is not None):
        if minutes is not None and time.process_time() > 60 * minutes:
            break
        size = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(problem.y0))
        if not 2 <= size <= largest:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                rows[name] = {**judged(problem), **beside(problem)}
            except (QedError, NotImplementedError, TypeError) as error:
                rows[name] = {"n": size, "failed": f"{type(error).__name__}: {error}"[:200]}
        print(f"{name:12}", *(f"{key}={value}" for key, value in rows[name].items()), flush=True)
    return rows


def summary(rows: dict[str, Any]) -> dict[str, int]:
    """The figures of the promise."""
    done = [row for row in rows.values() if row.get("points")]
    both = [row for row in done if "asdex_products" in row]
    return {
        "problems": len(rows),
        "failed": sum("failed" in row for row in rows.values()),
        "judged": len(done),
        "missing": sum(row["missing"] for row in done),
        "exact": sum(row["too_many"] == 0 for row in done),
        "at most half as many products as variables": sum(2 * row["products"] <= row["n"] for row in done),
        "both": len(both),
        "products": sum(row["products"] for row in both),
        "asdex_products": sum(row["asdex_products"] for row in both),
        "fewer": sum(row["products"] < row["asdex_products"] for row in both),
        "more": sum(row["products"] > row["asdex_products"] for row in both),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--largest", type=int, default=LARGEST)
    parser.add_argument("--minutes", type=float)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows = run(tuple(options.only), options.largest, options.minutes)
    figures = summary(rows)
    print(json.dumps(figures, indent=1))
    if options.only or options.largest != LARGEST:
        return
    versions = {name: _version(name) for name in ("jax", "numpy", "scipy", "sif2jax", "asdex")}
    found = {"python": platform.python_version(), "versions": versions, "seed": SEED, "minutes": options.minutes}
    found |= {"summary": figures, "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
