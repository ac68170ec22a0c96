"""No answer whose true error exceeds its claim; most finite ones and most infinite ones are proved."""

import math

import pytest

import qed
from tests.integration.corpus import PROBLEMS


@pytest.mark.slow
def test_no_answer_is_beyond_its_claim():
    beyond, proved, infinite, unknown = [], 0, 0, []
    for name, fun, measure, truth in PROBLEMS:
        answer = qed.expect(fun, measure)
        slack = 1e-13 * max(1.0, abs(truth)) if math.isfinite(truth) else 0.0
        if not answer.lower - slack <= truth <= answer.upper + slack:
            beyond.append((name, answer.value, answer.error, truth))
        narrow = answer.proved and (truth == answer.value or answer.upper - answer.lower <= 2e-3 * max(1.0, abs(truth)))
        proved += narrow and math.isfinite(truth)
        infinite += narrow and math.isinf(truth)
        if not narrow:
            unknown.append((name, str(answer.standing)))
    print(proved, infinite, unknown)
    assert beyond == []
    count = sum(math.isinf(truth) for *_, truth in PROBLEMS)
    assert len(PROBLEMS) >= 85 and proved >= 0.9 * (len(PROBLEMS) - count) and infinite >= 0.9 * count
