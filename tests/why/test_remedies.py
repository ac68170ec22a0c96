"""How advice that does not help is told."""

import pytest

from qed.why.remedies import Tried
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
