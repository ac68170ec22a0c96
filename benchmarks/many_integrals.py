"""Integrals in many dimensions whose values are known: qed beside SciPy's cubature and qmc_quad, and vegas.

    python -m benchmarks.many_integrals [--qed] [dimension ...]

For each problem of tests/integration/many/problems.py, in 2 to 20 dimensions, and each tool: the answer, the claimed
error, whether the true error lies within it, and the seconds of processor time, compilation included. What counts as a
lie is said in `benchmarks.integration`, as well as what `--qed` keeps; the rules are those of `benchmarks.integrators`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax

from benchmarks.integration import measure, proved, recorded, said, written
from tests.integration.many.problems import PROBLEMS
from tests.integration.questions import Question

RESULT = Path(__file__).parent / "results" / "many_integrals.json"


def questions(dimensions: list[int]) -> list[Question]:
    """The problems in these dimensions, or all."""
    return [
        Question("many", name, one.verb, (one.fun, one.measure), one.true)
        for name, one in PROBLEMS.items()
        if not dimensions or int(name.rsplit(" ", 1)[1]) in dimensions
    ]


def holds(rows: list[dict[str, Any]]) -> bool:
    """The promise: no lie of qed, and a half-width of at most 10 % on at least 60 % of the finite ones."""
    near, of_near, *_ = proved(rows, many=True)
    return not any(row["tools"]["qed"]["lie"] for row in rows) and near >= 0.6 * of_near


def main(arguments: list[str]) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    dimensions = [int(arg) for arg in arguments if arg != "--qed"]
    known = said(RESULT) if "--qed" in arguments else None
    record = recorded(lambda: measure(questions(dimensions), known=known)) | {"peers kept": known is not None}
    if not dimensions:
        written(record, RESULT)
    print("the promise", "holds" if holds(record["rows"]) else "does not hold", proved(record["rows"], many=True))


if __name__ == "__main__":
    main(sys.argv[1:])
