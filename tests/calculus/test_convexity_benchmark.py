"""The committed result of benchmarks/convexity.py is sound and is what the README says; a small run counts."""

import json
from pathlib import Path

from benchmarks import convexity
from benchmarks.convexity import CASES

RESULT = Path(convexity.__file__).with_name("results") / "convexity.json"


def test_the_committed_result_is_sound_and_told_as_it_is():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    assert convexity.sound(record)
    assert set(record["results"]) == set(CASES)
    assert record["summary"] == convexity.summary(record["results"])
    for row in record["side_by_side"]:
        assert row["linear"] == ["PROVED", "convex"] and row["hidden"][0] == "REFUTED"
        assert 0 <= row["constant"] <= row["smallest_eigenvalue_of_2XX/n"] * (1 + 1e-6) + 1e-6
    told = f"{convexity.rightly(record)} of {len(record['results'])} are decided rightly"
    readme = (RESULT.parents[1] / "README.md").read_text(encoding="utf-8")
    assert told in readme
    assert convexity.holds(record) or told + ", not yet 92 %" in readme


def test_a_small_run():
    names = ["rules/exp_of_affine", "rules/cube_on_both_sides", "rules/affine_map"]
    rows = {
        name: {
            "label": CASES[name].label,
            "qed": convexity.by_qed(CASES[name]),
            "cvxpy": {"as_written": "unknown", "by_hand": "convex", "seconds": 0.01},
        }
        for name in names
    }
    told = convexity.summary(rows)
    assert told["qed"] == {"right": 3} and told["functions"] == 3
    assert told["cvxpy_as_written"] == {"unknown": 3}
    assert told["cvxpy_by_hand_too"] == {"right": 1, "wrong": 1, "weaker": 1}


def test_the_linear_model_and_the_network_side_by_side():
    (row,) = convexity.side_by_side(draws=1)
    assert row["linear"] == ["PROVED", "convex"] and row["hidden"][0] == "REFUTED"


def test_a_false_verdict_breaks_the_promise():
    row = {"standing": "PROVED", "shape": "convex", "worth": "wrong", "seconds": 1.0, "checked": True}
    results = {"one": {"label": "nonconvex", "qed": row, "cvxpy": {"as_written": "unknown", "seconds": 0.1}}}
    record = {"results": results, "summary": convexity.summary(results), "side_by_side": []}
    assert not convexity.holds(record)
