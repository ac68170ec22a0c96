"""No answer whose true error exceeds its claim; most finite ones and most infinite ones are proved."""

from pathlib import Path

import pytest

from benchmarks import integration
from benchmarks.integration import KINDS, by_qed, proved
from tests.integration.corpus import PROBLEMS
from tests.integration.questions import QUESTIONS

ROWS = [{"kind": q.kind, "name": q.name, "truth": integration.shown(q.truth)} for q in QUESTIONS]
README = Path(integration.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_there_are_questions_of_every_kind():
    assert len(PROBLEMS) >= 85 and len(QUESTIONS) >= 180
    assert {q.kind for q in QUESTIONS} == set(KINDS) and len({(q.kind, q.name) for q in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.slow
def test_no_answer_is_beyond_its_claim():
    asked = [(row, q) for row, q in zip(ROWS, QUESTIONS, strict=True) if q.kind != "many"]
    rows = [{**row, "tools": {"qed": by_qed(q)}} for row, q in asked]
    assert [row["name"] for row in rows if row["tools"]["qed"]["lie"]] == []
    finite, of_finite, infinite, of_infinite = proved(rows, many=False)
    print(finite, of_finite, infinite, of_infinite)
    assert finite >= 0.9 * of_finite and infinite >= 0.9 * of_infinite
