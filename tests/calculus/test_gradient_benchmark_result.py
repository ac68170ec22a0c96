"""The committed result of benchmarks/gradient_checks.py keeps what it promises."""

import json
import math

import pytest

from benchmarks.gradient_checks import CHECKERS, FAULTS, RESULT
from tests.calculus.gradient_corpus.case import CASES, DTYPES, KINDS


@pytest.fixture(scope="module")
def record():
    return json.loads(RESULT.read_text(encoding="utf-8"))


def test_the_committed_result_is_of_this_corpus(record):
    assert record["cases"] == {
        d: {k: sum(c.kind == k and d in c.dtypes for c in CASES.values()) for k in KINDS} for d in DTYPES
    }
    assert set(record["summary"]) == set(CHECKERS), "every competitor was installed"
    assert {"python", "jax", "jaxlib", "numpy", "chex", "torch"} <= set(record["versions"])
    assert record["seed"] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_fault_is_found_and_nothing_right_is_called_wrong(record, dtype):
    told, cases = record["summary"]["qed"][dtype], record["cases"][dtype]
    assert told["wrong"]["flagged"] == told["wrong"]["located"] == told["wrong"]["run"] == cases["wrong"]
    assert told["latent"]["right word"] == told["latent"]["located"] == cases["latent"]
    for kind in ("correct", "kink", "nonfinite", "surrogate"):
        assert told[kind]["flagged"] == 0
        assert told[kind]["right word"] == told[kind]["run"] == cases[kind]
    assert record["summary"]["qed order 2"][dtype]["second"]["located"] == cases["second"]
    assert all(by[dtype][kind]["errors"] == 0 for by in map(record["summary"].get, ("qed",)) for kind in KINDS)


def test_no_other_checker_locates_anything(record):
    others = (by for name, by in record["summary"].items() if not name.startswith("qed"))
    assert not any(by[dtype][kind]["located"] for by in others for dtype in DTYPES for kind in FAULTS)


def test_a_check_compiles_at_most_ten_times_and_does_not_evaluate_by_the_parameter(record):
    for n, cost in record["costs"]["qed"].items():
        assert cost["compiled"] <= 10 * record["costs"]["jax.grad"][n]["compiled"]
        assert cost["entered"] <= math.log2(cost["parameters"]) < record["costs"]["torch slow"][n]["entered"]


def test_the_page_says_what_the_result_says(record):
    page = RESULT.parents[1].joinpath("README.md").read_text(encoding="utf-8")
    told = record["summary"]["qed"]
    wide, narrow = (told[d] for d in DTYPES)
    assert {wide["wrong"]["located"], narrow["wrong"]["located"]} == {wide["wrong"]["run"]}
    compiled = {cost["compiled"] for cost in record["costs"]["qed"].values()}
    assert len(compiled) == 1
    for part in (
        f"{wide['wrong']['located']} of {wide['wrong']['run']} wrong rules",
        f"{wide['latent']['located']} of {wide['latent']['run']} latent ones",
        f"none of the {wide['correct']['run']} (float64) and {narrow['correct']['run']} (float32) right ones",
        f"{compiled.pop()} compilations",
    ):
        assert part in page
