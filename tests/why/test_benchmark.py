"""The committed results of benchmarks keep their promises and say how they were made."""

import json
import re
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RESULT = BENCHMARKS / "results" / "why.json"


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


def test_the_row_about_training_says_what_the_committed_run_says():
    record = json.loads((BENCHMARKS / "results" / "training.json").read_text(encoding="utf-8"))
    rows = (BENCHMARKS / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in rows if line.startswith("| `training.py` |")]
    held = record["results"]["qed.watch"]["10 ms, convolution"]["ratio"] <= record["limit"] == 1.03
    assert held == ("of about 10 ms (held in the committed run)" in row)
    large = record["results"]["qed why transformer.py"]
    held = all(found["ratio"] <= 3 and found["memory_ratio"] <= 1.3 for found in large.values())
    assert held == ("1.3 times the memory (held in the committed run)" in row)
    assert {name: found["codes"] for name, found in large.items()} == {"forward": ["QED204"], "backward": ["QED210"]}
    assert all(found["parameters"] > 100_000_000 for found in large.values())
    numbers = [word for word in re.findall(r"\d[\d.]*", row.split("|")[2])]
    assert sorted(numbers) == ["0.1", "1.3", "10", "100", "3", "3"]  # limits and sizes, no result of a run
