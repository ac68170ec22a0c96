"""The committed result of benchmarks/taylor.py keeps its promise, and a small run agrees with it."""

import json
from pathlib import Path

from benchmarks import taylor

RESULT = Path(taylor.__file__).with_name("results") / "taylor.json"


def test_the_committed_result_keeps_the_promise():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = record["results"]
    assert [row["order"] for row in rows] == list(range(2, 11))
    assert taylor.holds(rows)
    assert {"jet", "nested"} <= set(rows[4]) and rows[4]["order"] == 6
    assert record["agreement_at_order_6"] < 1e-12
    assert record["coverage"]["qed"] > record["coverage"]["jet"] > 0


def test_a_small_run():
    (row,) = taylor.measure([3], 3, size=16, layers=2, batch=8)
    assert 0 < row["qed"]["flops"] <= row["limit"]
    assert row["qed"]["flops"] < row["jet"]["flops"]
