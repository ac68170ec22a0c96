"""The committed result of benchmarks/why.py keeps its promise and says how it was made."""

import json
from pathlib import Path

RESULT = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "why.json"


def test_the_committed_result_keeps_the_promise():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    assert record["limits"] == {"time": 5.0, "memory": 3.0}
    assert set(record["results"]) == {"wine", "digits", "logistic"}
    for result in record["results"].values():
        assert 0 < result["time_ratio"] <= record["limits"]["time"]
        assert 0 < result["memory_ratio"] <= record["limits"]["memory"]
        assert len(result["why"]["all_seconds"]) == record["repeats"] >= 3


def test_it_says_with_which_versions_and_seed_it_was_made():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    assert {"python", "jax", "jaxlib", "numpy"} <= set(record["versions"])
    assert record["seed"] == 0
    assert record["steps"] == 400
