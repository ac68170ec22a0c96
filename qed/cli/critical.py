"""``qed critical FILE.py:FUNCTION --at NAME``: is the point a minimum, a maximum, a saddle, or not critical."""

from __future__ import annotations

from qed.cli.question import Args, AsJson, At, Strict, Target, Unfold, ask, find_subject


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    strict: Strict = False,
) -> None:
    """What is the point: a minimum, a maximum, a saddle, degenerate, or no critical point at all."""
    subject = find_subject(target, at, args)
    import qed

    ask(lambda: qed.critical_point(subject.fun, subject.x, *subject.args), as_json, unfold, strict)
