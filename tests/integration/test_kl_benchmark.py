"""The committed result of benchmarks/kl.py keeps its promise and is what the README says; a small run."""

import json
from pathlib import Path

from benchmarks import kl

RESULT = Path(kl.__file__).with_name("results") / "kl.json"


def test_the_committed_result_keeps_the_promise_and_is_told():
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["rows"]
    assert kl.holds(rows) and {row["family"] for row in rows} == set(kl.MEMBERS)
    readme = (RESULT.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"{len(rows)} of {len(rows)} pairs, largest error {max(row['off']['qed'] for row in rows):.1e}" in readme
    theirs = [row for row in rows if row["off"]["numpyro"] is not None]
    worst, negative = max(row["off"]["numpyro"] for row in theirs), sum(row["values"]["numpyro"] < 0 for row in theirs)
    assert f"it has {len(theirs)} of the {len(rows)}, with errors up to {worst:.1e}, {negative} of them" in readme


def test_a_small_run():
    rows = kl.measure({"Normal": ((0.5, 1.5),), "Bernoulli": ((0.3,),)}, (1e-8,))
    assert len(rows) == 2 and kl.holds(rows)


def test_the_promise_can_be_broken():
    row = {"standing": "PROVED", "values": {"qed": 1.0}, "off": {"qed": 0.0}}
    assert kl.holds([row])
    assert not kl.holds([{**row, "off": {"qed": 1e-9}}])
    assert not kl.holds([{**row, "values": {"qed": -1e-17}}])
    assert not kl.holds([{**row, "standing": "MEASURED"}])
