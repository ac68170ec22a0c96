"""The committed result of benchmarks/stability.py, small runs of it, and its measure."""

import json
import statistics

import numpy as np
import pytest

from benchmarks import stability
from benchmarks.stability_cases import DEFECTS, HAMMING, PYTENSOR


@pytest.fixture(scope="module")
def record():
    return json.loads(stability.RESULT.read_text(encoding="utf-8"))


def test_hamming_in_the_committed_result(record):
    rows = record["hamming"]
    assert [row["name"] for row in rows] == [core.name for core in HAMMING]
    assert all(row["after"] < row["before"] + 0.1 and row["points"] > 60 and row["seconds"] < 1 for row in rows)
    before, after = (statistics.mean(row[key] for row in rows) for key in ("before", "after"))
    assert before > 25 and after < stability.HERBIE["after"]


def right(row, system):
    return max(row[system]) <= 3


def test_the_list_of_pytensor_in_the_committed_result(record):
    rows = record["pytensor"]
    assert [row["name"] for row in rows] == [rule.name for rule in PYTENSOR]
    counts = {system: sum(right(row, system) for row in rows) for system in ("jax", "xla", "pytensor", "qed")}
    assert counts["qed"] >= 31 > counts["pytensor"] > counts["xla"]
    assert all(right(row, "qed") for row in rows if right(row, "pytensor")), "what PyTensor does, qed does"


def test_defects_in_the_committed_result(record):
    rows = record["ranum"]
    assert [row["name"] for row in rows] == [defect.name for defect in DEFECTS]
    assert not any(right(row, "written") or right(row, "clipped") for row in rows)
    assert all(right(row, "qed") for row in rows)


def test_the_measure_counts_numbers_between():
    one = np.array([1.0, 1.0, 1.0, 1.0, -0.0, 1.0])
    other = np.array([1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53, np.nan, 0.0, -1.0])
    bits = stability.bits_of_error(other, one)
    np.testing.assert_array_equal(bits[:5], [0.0, 1.0, 1.0, 64.0, 0.0])
    assert 62.9 < bits[5] < 64


def test_inputs_meet_their_precondition_and_differ_by_case():
    for core in HAMMING:
        points = np.array(stability.drawn(core, 20, 0))
        assert points.shape == (20, core.arity)
        assert np.all(core.holds(*points.T)) and np.all(np.isfinite(points))
    first, second = (np.array(stability.drawn(core, 5, 0)) for core in (HAMMING[0], HAMMING[3]))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, np.array(stability.drawn(HAMMING[0], 5, 0)))


def test_the_tables_are_whole():
    assert len(HAMMING) == 28 and len({core.name for core in HAMMING}) == 28
    assert len({rule.name for rule in PYTENSOR}) == len(PYTENSOR) == 34
    assert {defect.operator for defect in DEFECTS} == {"log", "sqrt", "exp", "div", "log_softmax"}


def test_a_small_run():
    (row,) = stability.hamming([HAMMING[19]], 16)
    assert row["points"] > 8 and row["after"] < 1 < row["before"]
    by_name = {rule.name: rule for rule in PYTENSOR}
    (row,) = stability.pytensor_list([by_name["log(sum(exp(x)))"]])
    assert row["xla"] == row["jax"] == [24.0, 24.0] and max(row["qed"]) < 3
    (row,) = stability.ranum(DEFECTS[:1])
    assert min(row["written"]) == 24 and min(row["clipped"]) > 20 and max(row["qed"]) < 3
    found = stability.corpus(["softplus_by_hand", "logsumexp_of_library"], ["float32"])
    assert found["counts"]["shown"]["float32"]["value"]["learning"] == {"broken": 1, "fixed": 1, "left": []}
    assert not found["worse"] and not found["controls changed"]
    (row,) = stability.longer(stability.COSTS[:1], 2)
    assert row["used"] and all(row[name][0] > 0 for name in ("written", "stable"))
