"""The committed result of benchmarks/svm.py reaches its gaps, and is what the README says."""

import json

import pytest

pytest.importorskip("sklearn")
from benchmarks import svm


def told():
    cases = json.loads(svm.RESULT.read_text(encoding="utf-8"))["cases"]
    readme = (svm.RESULT.parents[1] / "README.md").read_text(encoding="utf-8")
    return {svm.key(case): case for case in cases}, " ".join(readme.split())


def test_every_gap_is_reached_and_told():
    cases, readme = told()
    names = {("linear", name) for name in svm.LINEAR} | {("rbf", name) for name in svm.KERNEL}
    assert set(cases) == {(*name, price) for name in names for price in (1.0, 100.0)}
    for case in cases.values():
        for gap in svm.GAPS:
            ours = case[f"{gap:g}"]["qed"]
            assert ours["seconds"] is not None and ours["gap"] <= gap, case["data"]
    peers = [case[f"{gap:g}"] for case in cases.values() for gap in svm.GAPS]
    missed = sum((one.get("liblinear") or one.get("libsvm"))["seconds"] is None for one in peers)
    assert f"all {len(peers)} gaps; the peer misses {missed}" in readme


def test_the_ratios_are_told():
    cases, readme = told()
    linear = {key: case for key, case in cases.items() if key[0] == "linear"}
    for (_, data, price), case in linear.items():
        times = svm.ratio(case, 1e-3)
        if data.startswith("made") and price == 1.0:
            assert times is not None and times >= 20 and f"{times:.1f} times" in readme, data
        if data.startswith("text"):
            assert times is not None and f"{times:.2f} (C = {price:g})" in readme, data
    for data in svm.KERNEL:
        assert f"{svm.ratio(cases['rbf', data, 1.0], 1e-3):.2f}" in readme, data
    left = [cases["rbf", data, 100.0]["libsvm, default"]["gap"] for data in svm.KERNEL]
    assert f"{min(left):.1e} to {max(left):.1e}" in readme
