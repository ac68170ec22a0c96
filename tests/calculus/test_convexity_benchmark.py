"""A small run of benchmarks/convexity.py counts what it says."""

from benchmarks import convexity
from tests.calculus.corpus_shapes_all import CASES


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
