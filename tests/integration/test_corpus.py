"""No answer whose true error exceeds its claim; most finite ones and most infinite ones are proved."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import integration, many_integrals
from benchmarks.integration import KINDS, by_qed, holds, proved, summary
from benchmarks.integrators import Outcome
from tests.integration.corpus import PROBLEMS
from tests.integration.questions import QUESTIONS, Question

ROWS = [{"kind": q.kind, "name": q.name, "truth": integration.shown(q.truth)} for q in QUESTIONS]
README = Path(integration.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_there_are_questions_of_every_kind():
    assert len(PROBLEMS) >= 85 and len(QUESTIONS) >= 180
    assert {q.kind for q in QUESTIONS} == set(KINDS) and len({(q.kind, q.name) for q in QUESTIONS}) == len(QUESTIONS)


def test_the_committed_result_keeps_the_promise_and_is_told():
    record = json.loads(integration.RESULT.read_text(encoding="utf-8"))
    rows, total = record["rows"], summary(record["rows"])
    assert holds(rows) and not record["missing"] and total.keys() == record["summary"].keys()
    for name, figures in record["summary"].items():
        told, summed = ({**each, "seconds": 0} for each in (figures, total[name]))
        assert told == summed and abs(figures["seconds"] - total[name]["seconds"]) < 0.2  # sum adds otherwise from 3.12
    assert {(row["kind"], row["name"]) for row in rows} == {(q.kind, q.name) for q in QUESTIONS}
    finite, of_finite, infinite, of_infinite = proved(rows, many=False)
    near, of_near, *_ = proved(rows, many=True)
    assert f"{finite} of {of_finite}, {infinite} of {of_infinite} and {near} of {of_near}, and" in README
    assert f"{total['qed']['lies']} of the {total['qed']['unflagged']} answers" in README
    for name in ("quad", "tanhsinh", "cubature", "qmc_quad", "nsum", "quadax", "mpmath", "vegas"):
        assert f"{name} {total[name]['lies']} of {total[name]['unflagged']}" in README
    spent = {name: f"{total[name]['median seconds']:.2f}" for name in ("qed", "quad", "tanhsinh", "quadax")}
    told = "median {qed} seconds a question, quad {quad}, tanhsinh {tanhsinh}, quadax {quadax}".format(**spent)
    assert told in README


def test_the_committed_result_of_many_dimensions_keeps_the_promise_and_is_told():
    rows = json.loads(many_integrals.RESULT.read_text(encoding="utf-8"))["rows"]
    total, (near, of_near, *_) = summary(rows), proved(rows, many=True)
    assert many_integrals.holds(rows) and len(rows) == len(many_integrals.questions([]))
    assert (
        f"{total['qed']['lies']} of {total['qed']['unflagged']} answers beyond their claim, {near} of {of_near}"
        in README
    )
    for name in ("cubature", "qmc_quad", "vegas"):
        assert f"{name} {total[name]['lies']} of {total[name]['unflagged']}" in README


def test_the_promise_can_be_broken():
    mine = {"value": 1.0, "error": 1e-9, "off": 0.0, "flagged": False, "lie": False, "standing": "PROVED"}
    rows = [{"kind": "line", "name": "one", "truth": 1.0, "tools": {"qed": mine}}]
    assert holds(rows)
    for changed in ({"lie": True}, {"standing": "MEASURED"}, {"error": 0.1}, {"flagged": True}):
        assert not holds([{**rows[0], "tools": {"qed": {**mine, **changed}}}])


def test_a_lie_is_told_from_a_claim_that_holds():
    question = Question("line", "one", "expect", (), 1.0)
    for value, error, flagged, lie in (
        (1.0, 0.0, False, False), (1.1, 0.2, False, False), (1.1, 0.01, False, True), (1.1, 0.01, True, False),
        (math.inf, 0.0, False, True),
    ):  # fmt: skip
        assert integration.told(Outcome(value, error, flagged), question, 0.0)["lie"] is lie
    endless = Question("line", "endless", "expect", (), math.inf)
    assert integration.told(Outcome(3.0, 1e300, False), endless, 0.0)["lie"]
    assert not integration.told(Outcome(math.inf, 0.0, False), endless, 0.0)["lie"]


@pytest.mark.filterwarnings("ignore")
def test_a_small_run():
    chosen = [q for q in QUESTIONS if q.name in ("normals", "Poisson square")]
    rows = integration.measure(chosen, peers=("quad", "nsum"))
    assert holds(rows) and [set(row["tools"]) for row in rows] == [{"qed", "nsum"}, {"qed", "quad"}]


@pytest.mark.slow
def test_no_answer_is_beyond_its_claim():
    """Of every fourth question; benchmarks/integration.py asks all of them."""
    asked = [(row, q) for row, q in zip(ROWS, QUESTIONS, strict=True) if q.kind != "many"]
    rows = [{**row, "tools": {"qed": by_qed(q)}} for row, q in asked[::4]]
    assert [row["name"] for row in rows if row["tools"]["qed"]["lie"]] == []
    finite, of_finite, infinite, of_infinite = proved(rows, many=False)
    print(finite, of_finite, infinite, of_infinite)
    assert finite >= 0.9 * of_finite and infinite >= 0.9 * of_infinite
