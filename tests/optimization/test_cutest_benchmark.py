"""The committed result of benchmarks/cutest.py is what the README says; how points and claims are judged."""

import json
from pathlib import Path

import pytest

from benchmarks import cutest

KINDS = ("unconstrained", "bounded")
RESULT = Path(cutest.__file__).with_name("results") / "cutest.json"


def test_the_committed_result_is_told():
    told = json.loads(RESULT.read_text(encoding="utf-8"))["summary"]
    readme = " ".join((RESULT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    wrong = told["wrong claims of qed"]
    assert f"the judge refutes: {len(wrong)} of {told['problems']}" in readme
    assert all(f"{name}: {why}" in readme for name, why in wrong.items())
    assert f"{told['problems']} problems" in readme
    for kind in KINDS:
        for name, one in told[kind]["by"].items():
            assert f"{name} {one['solved']} of {one['of']}" in readme, (kind, name)
    assert f"{told['solved and undecided']} of the solved are left undecided" in readme
    cold = told["cold, qed / trust-exact"]
    assert (
        f"cold it takes {cold['median of the ratios']:.1f} times trust-exact's processor time in the median" in readme
    )
    alone = cold["median of the ratios, of the search alone"]
    assert f"without the verdict on the point, which trust-exact does not give, {alone:.2f} times" in readme
    apart = json.loads(RESULT.read_text(encoding="utf-8"))["withheld"]
    solved = [apart[kind]["by"]["qed"]["solved"] for kind in KINDS]
    assert (
        "Of the withheld ones qed solves {} of {} and {} of {}".format(
            solved[0], apart[KINDS[0]]["problems"], solved[1], apart[KINDS[1]]["problems"]
        )
        in readme
    )
    fewest = [told[kind]["by"]["qed"]["share within tau times the fewest values"]["1"] for kind in KINDS]
    assert "fewest evaluations on {:.0%} of the unconstrained and {:.0%} of the bounded".format(*fewest) in readme


def test_the_problems_for_tuning_and_the_withheld_ones_stand_apart(monkeypatch):
    monkeypatch.setattr(cutest, "offered", lambda: frozenset({"CLIFF", "ROSENBR"}))
    assert "ROSENBR" in cutest.TUNING
    mine, withheld = cutest.parted({"CLIFF": 1, "ROSENBR": 2, "BRKMCC": 3})
    assert (mine, withheld) == ({"CLIFF": 1}, {"BRKMCC": 3})


def point(f, g=0.0, claims=True, **more):
    return {"n": 2, "bounded": False, "f": f, "g": g, "start": 1.0, "claims": claims, "values": 5, "hessians": 0,
            "products": 0, "seconds": 1.0, "compiling": 0.0, **more}  # fmt: skip


def test_solved_is_low_and_flat_and_success_where_neither_holds_is_wrong():
    rows = cutest.judged(
        {"A": {"qed": point(1.0, says="minimum"), "BFGS": point(1.0, 1e-3), "optax": point(2.0, 1.0),
               "Ipopt": {"error": "Late", "claims": False, "seconds": 1.0}}}
    )  # fmt: skip
    by = rows["A"]["by"]
    assert rows["A"]["best"] == 1.0
    assert [by[name]["solved"] for name in ("qed", "BFGS", "optax", "Ipopt")] == [True, False, False, False]
    assert [bool(by[name]["wrong"]) for name in ("qed", "BFGS", "optax", "Ipopt")] == [False, False, True, False]


@pytest.mark.parametrize(
    ("one", "wrong"),
    [
        (point(1.0, says="minimum"), ""),
        (point(1.0, 1e-3, says="minimum"), "a minimum with a slope"),
        (point(1.0, says="minimum", least=-1.0, size=10.0), "a minimum with negative curvature"),
        (point(1.0, says="minimum", least=-1e-9, size=10.0), ""),
        (point(2.0, says="minimum"), ""),  # another local minimum is one
        (point(2.0, says="minimum", **{"global": True}), "global, and not the lowest"),
        (point(1.0, says="saddle"), "saddle where it is solved"),
        (point(2.0, says="saddle"), ""),
        (point(1.0, says="undecided"), ""),
    ],
)
def test_what_refutes_a_claim(one, wrong):
    rows = cutest.judged({"A": {"qed": one, "BFGS": point(1.0)}})
    assert rows["A"]["by"]["qed"]["wrong"] == wrong


def test_a_solver_that_did_not_end_is_kept_as_late(tmp_path):
    path = tmp_path / "kept.jsonl"
    cutest.keep(path, "A", "qed", {"begun": True})
    cutest.keep(path, "A", "qed", point(1.0, says="minimum"))
    cutest.keep(path, "A", "BFGS", {"begun": True})
    found = cutest.done(path)["A"]
    assert found["qed"]["f"] == 1.0 and found["BFGS"]["error"] == "did not stop in time"
