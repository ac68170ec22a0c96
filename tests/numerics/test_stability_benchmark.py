"""Small runs of benchmarks/stability.py, and its measure."""

import numpy as np

from benchmarks import stability
from benchmarks.stability_cases import DEFECTS, HAMMING, PYTENSOR


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
