"""How advice that does not help is told."""

from types import SimpleNamespace

import pytest

from qed.numerics.rewriting.change import Change
from qed.span import Span
from qed.why.remedies import Tried, stable_patch
from qed.why.trial import Run


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ((1.0, 0.5, 0.2), None),
        ((1.0, 5.0, 6.0), "ends higher than it began"),
        ((1.0, *(8.0, 9.0) * 20, 0.9), "its last losses lie around 8.5, higher than it began"),
    ],
    ids=["helps", "ends higher", "to and fro, and by chance below"],
)
def test_what_does_not_help_is_called_useless_by_what_it_did(losses, told):
    run = Run(losses, None, (0, ()), False, 0.1)
    what = Tried("a smaller step", run, "given").advice().what
    assert what == ("a smaller step" if told is None else f"a smaller step (useless: {told})")


def test_a_change_that_does_not_show_in_the_text_is_no_patch():
    shown = Change(Span("train.py", 3), "log(sum(exp(z)))", "logsumexp(z)", "", "")
    hidden = Change(Span("train.py", 4), "a * b + taylor_rest(c)", "a * b  + taylor_rest(c)", "", "")
    run = Run((1.0,), None, (0, ()), False, 0.1)
    case = SimpleNamespace(rewritten=SimpleNamespace(changes=[hidden, shown]))
    assert stable_patch(case, run) == "line 3: log(sum(exp(z)))  ->  logsumexp(z)"
    assert stable_patch(SimpleNamespace(rewritten=SimpleNamespace(changes=[hidden])), run) is None
