"""``qed enclose FILE.py:FUNCTION --box LOWER,UPPER``: between which numbers the function stays on a box."""

from __future__ import annotations

from qed.cli.box import InBox, Like, Lower, Upper, find_on_box
from qed.cli.question import Args, AsJson, Strict, Target, Unfold, ask


def command(
    target: Target,
    box: InBox = None,
    lower: Lower = None,
    upper: Upper = None,
    at: Like = None,
    args: Args = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """Between which numbers does the function stay on a box."""
    subject, found = find_on_box(target, args, box, lower, upper, at)
    import qed

    ask(lambda: qed.enclose(subject.fun, found, *subject.args), as_json, unfold, strict)
