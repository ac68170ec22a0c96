"""The committed result of benchmarks/large.py reaches its goal, and is what the README says."""

import json

import pytest

pytest.importorskip("sklearn")
from benchmarks import large


def test_the_goal_is_reached_and_the_ratios_are_told():
    found = json.loads(large.RESULT.read_text(encoding="utf-8"))
    readme = " ".join((large.RESULT.parents[1] / "README.md").read_text(encoding="utf-8").split())
    by = found["by"]
    assert (found["rows"], found["features"]) == (large.ROWS, large.FEATURES)
    assert set(by) == {"qed", *large.PEERS}
    assert all(one["gradient"] <= large.GOAL for one in by.values())
    ours = by["qed"]
    for peer in large.PEERS:
        whole = ours["seconds"] / by[peer]["seconds"]
        run = (ours["seconds"] - ours["verdict"]) / by[peer]["seconds"]
        assert f"{whole:.1f} times {peer}'s {by[peer]['seconds']:.1f} s ({run:.1f} without the verdict)" in readme
    assert ours["says"] == "minimum" and f"of {ours['counts']['values']} evaluations and one Hessian" in readme
    assert ours["counts"]["hessians"] == 1
    assert f"it takes {ours['seconds']:.1f} s, of which its verdict" in readme
    assert ", ".join(f"{by[name]['gradient']:.1e}" for name in ("qed", "lbfgs")) in readme


def test_the_judge_is_the_gradient_of_the_loss():
    import jax
    import numpy as np

    x, y = large.data(50)
    w = np.linspace(-1, 1, large.FEATURES)
    slope = jax.grad(large.loss)(w.astype(x.dtype), x, y)
    assert large.judge(w, np.asarray(x), np.asarray(y)) == pytest.approx(float(abs(slope).max()), rel=1e-3)
