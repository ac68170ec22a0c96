"""The committed result of benchmarks/constrained.py is what the README says; how a table is made of what is kept."""

import json
from pathlib import Path

import jax
import numpy as np

from benchmarks import constrained
from benchmarks.constrained_problems import Problem

RESULT = Path(constrained.__file__).with_name("results") / "constrained.json"


def test_the_committed_result_is_told():
    told = json.loads(RESULT.read_text(encoding="utf-8"))["summary"]
    readme = " ".join((RESULT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    ours = told["qed"]
    assert ours["false"] == []
    assert ours["of the solved"]["own multipliers"] == ours["solved"]
    assert ours["verified solved"] >= 0.95 * told["verified"] and ours["of"] == told["solved by anyone"]
    assert f"{ours['verified solved']} of the {told['verified']}" in readme
    assert ours["of the solved"]["proved"] >= 0.7 * ours["solved"]
    assert f"all {told['problems']} problems" in readme
    asked = [name for name in ("qed", "uno-ipm", "uno-sqp", "ipopt", "SLSQP", "trust-constr") if told[name]["of"]]
    assert len(asked) >= 5
    for name in asked:
        one = told[name]
        assert f"{name} {one['solved']} of {one['of']} (false {len(one['false'])})" in readme, name
    assert f"{ours['of the solved']['proved']} of them as PROVED KKT points" in readme
    assert f"{ours['median calls']:g} evaluations in the median" in readme


def test_the_sparse_route_is_told():
    told = json.loads(RESULT.read_text(encoding="utf-8"))["sparse"]["1000"]
    readme = " ".join((RESULT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    assert told["dense / sparse"] >= 16 and told["sparse"]["preparation"] < 3
    assert f"{told['dense / sparse']} times as long with dense matrices" in readme
    assert f"{told['sparse']['preparation']} s of preparation" in readme


def row(f, residual=0.0, bought=0.0, claims=True):
    return {"f": f, "residual": residual, "bought": bought, "claims": claims, "calls": 1, "seconds": 0.1}


def test_what_violations_buy_is_not_better_and_a_claim_without_a_point_is_false():
    kept = {
        ("A", False, "qed"): {**row(1.0), "published": 1.0, "n": 2, "m": 1},
        ("A", False, "ipopt"): row(0.9, 1e-7, 0.1),
        ("A", False, "SLSQP"): row(0.5, 1e-3),
    }
    one = constrained.table(kept)["A"]
    assert one["best"] == 1.0 and one["verified"] and not one["turned"]
    assert [one["by"][name]["solved"] for name in ("qed", "ipopt", "SLSQP")] == [True, True, False]
    assert [one["by"][name]["false"] for name in ("qed", "ipopt", "SLSQP")] == [False, False, True]


def test_a_problem_is_turned_only_where_that_reaches_the_published_value():
    written = {("A", False, "qed"): {**row(5.0), "published": 1.0}, ("B", False, "qed"): {**row(5.0), "published": 1.0}}
    turned = {("A", True, "qed"): {**row(1.0), "published": 1.0}, ("B", True, "qed"): {**row(2.0), "published": 1.0}}
    found = constrained.table({**written, **turned})
    assert [found[name]["turned"] for name in "AB"] == [True, False]
    assert [found[name]["best"] for name in "AB"] == [1.0, 5.0]


def test_a_solver_that_did_not_end_is_kept_as_late(tmp_path):
    path = tmp_path / "kept.jsonl"
    lines = [
        {"problem": "A", "turned": False, "solver": "qed", "begun": True},
        {"problem": "A", "turned": False, "solver": "qed", **row(1.0)},
        {"problem": "A", "turned": False, "solver": "ipopt", "begun": True},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = constrained.done(path)
    assert found["A", False, "qed"]["f"] == 1.0
    assert found["A", False, "ipopt"]["residual"] is None


class Square:
    """min |x|^2 with x0 + x1 = 2."""

    y0, args, bounds, expected_objective_value = np.zeros(2), None, None, 2.0

    def objective(self, y, args):
        return y @ y

    def constraint(self, y):
        return y[0] + y[1] - 2, None


def test_the_judge_asks_the_conditions_of_kkt():
    with jax.enable_x64(True):
        problem = Problem("square", Square())
        residual, f, bought = problem.judge(np.ones(2))
        assert residual < 1e-12 and f == 2.0 and bought < 1e-12
        assert problem.judge(np.ones(2), (np.array([2.0]), np.zeros(2), np.zeros(2)))[0] < 1e-12
        assert problem.judge(np.ones(2), (np.array([1.0]), np.zeros(2), np.zeros(2)))[0] > 0.1
        residual, f, bought = problem.judge(np.ones(2) - 1e-4)
        assert 1e-5 < residual < 1e-3 and abs(f + bought - 2.0) < 1e-6
