"""`qed.check_gradient` gives every second case of the corpus its verdict and its place, every twelfth in both dtypes.

The others take float64 and float32 by turns; benchmarks/gradient_checks.py asks all, and all in both.

No right gradient may be refuted, and every fault must be found at the line of its call and of its rule. What is
answered otherwise for an understood reason stands in ACCEPTED with that reason, and must go on being answered so.
"""

import pytest

import qed
from tests.calculus.gradient_corpus.case import CASES, precision
from tests.calculus.gradient_corpus.everything import FILES
from tests.calculus.gradient_corpus.judge import complaints

ACCEPTED: dict[tuple[str, str], str] = {}
"""(case, dtype) -> why it is answered otherwise."""

QUICK = {
    "sign_of_tanh",
    "one_per_mille",
    "wrong_above_two_reached_in_a_loop",
    "in_the_branch_taken",
    "stop_gradient_that_matters",
    "inside_a_while_loop",
    "callback_with_a_wrong_rule",
    "rule_is_right_where_the_body_has_no_digits",
    "logsumexp_by_hand_with_stop_gradient",
    "custom_rule_at_its_own_kink",
    "rule_that_divides_by_zero",
    "declared_straight_through_rounding",
    "clipping_recognised_without_a_word",
    "in_the_branch_not_taken",
    "second_derivative_forgotten",
    "cholesky_of_a_symmetric_matrix",
}
"""Those that run with every test, one or two of a class; the others are slow together."""


def parameters():
    for k, (name, case) in enumerate(CASES.items()):
        both = k % 12 == 0 or name in QUICK or any(name == accepted for accepted, _ in ACCEPTED)
        if not both and k % 4 > 1:
            continue
        turn = k % len(case.dtypes)
        for dtype in case.dtypes if both else case.dtypes[turn : turn + 1]:
            quick = name in QUICK and dtype == "float64"
            marks = [] if quick else [pytest.mark.slow]
            if (name, dtype) in ACCEPTED:
                marks.append(pytest.mark.xfail(strict=True, reason=ACCEPTED[name, dtype]))
            yield pytest.param(case, dtype, id=f"{name}-{dtype}", marks=marks)


@pytest.mark.parametrize(("case", "dtype"), list(parameters()))
def test_verdict_and_place(case, dtype):
    with precision(dtype):
        fun, _ = case.make()
        x, args = case.at(dtype)
        answer = qed.check_gradient(fun, x, *args, order=case.order)
        found = list(complaints(case, answer))
    assert not found, f"{case.kind}: {'; '.join(found)}\n{answer}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kind == "second"])
def test_a_fault_of_second_order_is_no_fault_of_first_order(name):
    case = CASES[name]
    with precision("float64"):
        answer = qed.check_gradient(case.make()[0], *case.at("float64")[:1], *case.at("float64")[1])
    assert answer.value.verdict == "agrees"


def test_what_is_accepted_exists():
    assert len(FILES) == 10
    assert {name for name, _ in ACCEPTED} <= set(CASES)
    assert set(CASES) >= QUICK
