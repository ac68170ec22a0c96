"""The committed result of benchmarks/enclosure.py keeps its promise and is what the README says; a small run."""

import json
from pathlib import Path

from benchmarks import enclosure

RESULT = Path(enclosure.__file__).with_name("results") / "enclosure.json"


def test_the_committed_result_keeps_the_promise_and_is_told():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = record["seconds"]
    assert record["size"] == 100_000 and set(rows) == set(enclosure.operations(2))
    assert enclosure.holds(rows)
    readme = (RESULT.parents[1] / "README.md").read_text(encoding="utf-8")
    told = ", ".join(f"{name} {enclosure.ratio(row):.1f}" for name, row in rows.items())
    assert told in readme


def test_a_small_run():
    rows = enclosure.measure(50)
    assert set(rows) == set(enclosure.operations(2))
    assert all(row["intervals"] >= 0 and row["balls"] >= 0 for row in rows.values())


def test_the_promise_can_be_broken():
    enough = {name: {"intervals": 1.0, "balls": least} for name, least in enclosure.PROMISED.items()}
    assert enclosure.holds(enough)
    assert not any(enclosure.holds({**enough, name: {"intervals": 2.0, "balls": 1.0}}) for name in enough)
