"""The committed result of benchmarks/global_minima.py keeps its promise and is what the README says; a small run."""

import json
from pathlib import Path

from benchmarks import global_minima

RESULT = Path(global_minima.__file__).with_name("results") / "global_minima.json"
FAMILIAR = {"camel": -1.0316284534898774, "himmelblau": 0.0, "goldstein-price": 3.0, "rosenbrock 2": 0.0,
            "rosenbrock 4": 0.0, "levy 2": 0.0, "rastrigin 2": 0.0}  # fmt: skip


def test_the_committed_result_keeps_the_promise_and_is_told():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = record["rows"]
    assert global_minima.holds(rows)
    assert record["summary"] == global_minima.summary(rows)
    for name, minimum in FAMILIAR.items():
        assert rows[name]["qed"]["lower"] <= minimum <= rows[name]["qed"]["upper"] + 1e-14
    told = record["summary"]
    readme = (RESULT.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"{told['certified']} of {told['functions']} certified" in readme
    assert f"below it in {told['scip_below']}" in readme and f"above it in {told['scip_above']}" in readme


def test_a_small_run():
    row = global_minima.row("himmelblau")
    assert global_minima.certified_to(row["qed"])
    assert row["scip"] is None or abs(row["scip"]["optimum"]) < 1e-5


def test_a_minimum_that_is_not_proved_breaks_the_promise():
    good = {"standing": "PROVED", "checked": True, "lower": 0.0, "upper": 1e-7}
    assert global_minima.certified_to(good)
    for change in ({"standing": "UNKNOWN"}, {"checked": False}, {"upper": 1e-5}, {"upper": -1.0}):
        assert not global_minima.certified_to({**good, **change})
    assert not global_minima.holds({"camel": {"qed": good}})


def test_outside_says_on_which_side():
    assert global_minima.outside(-1.5, -1.0, 0.0) == -0.5
    assert global_minima.outside(-0.5, -1.0, 0.0) == 0.0
    assert global_minima.outside(0.25, -1.0, 0.0) == 0.25
