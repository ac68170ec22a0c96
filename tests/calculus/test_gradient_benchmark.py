"""benchmarks/gradient_checks.py runs on few cases, and counts what it says."""

import pytest

from benchmarks.gradient_checks import (
    CHECKERS,
    costs,
    counts,
    examine,
    have,
    summary,
    table,
)
from tests.calculus.gradient_corpus.case import CASES, DTYPES

FEW = ("sign_of_tanh", "cholesky_of_a_symmetric_matrix")
ASKED = ("qed", "check_grads reverse", "torch fast")


@pytest.mark.slow
def test_it_runs_on_few_cases():
    found = examine([CASES[name] for name in FEW], ASKED)
    told = summary(found)
    assert set(told) == {name for name in ASKED if CHECKERS[name][0] is None or have(CHECKERS[name][0])}
    for dtype in DTYPES:
        assert told["qed"][dtype]["wrong"] == {
            "run": 1, "flagged": 1, "passed": 0, "errors": 0, "right word": 1, "located": 1,
        }  # fmt: skip
        assert told["qed"][dtype]["correct"]["flagged"] == 0
    assert found["check_grads reverse"]["float64"]["sign_of_tanh"] == "flagged"
    text = table({"summary": told, "rules": (1,), "costs": costs((1,))})
    assert "qed" in text and "1/1" in text


def test_an_error_is_neither_found_nor_missed():
    case = CASES["sign_of_tanh"]
    results = [(case, outcome) for outcome in ("error: TypeError", "passed", "not run")]
    assert counts(results) == {"run": 2, "flagged": 0, "passed": 1, "errors": 1, "right word": 0, "located": 0}
