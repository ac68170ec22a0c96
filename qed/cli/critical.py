"""``qed critical FILE.py:FUNCTION --at NAME``: is the point a minimum, a maximum, a saddle, or not critical."""

from __future__ import annotations

from typing import Any

from qed.cli.question import Args, AsJson, At, Quiet, Strict, Target, Unfold, ask, find_subject


def command(
    target: Target,
    at: At = None,
    args: Args = None,
    as_json: AsJson = False,
    unfold: Unfold = False,
    quiet: Quiet = False,
    strict: Strict = False,
) -> None:
    """What is the point: a minimum, a maximum, a saddle, degenerate, or no critical point at all."""
    subject = find_subject(target, at, args)
    import qed
    from qed.cli.progress import Reporter

    with Reporter(quiet=quiet) as reporter:

        def question() -> Any:
            return qed.critical_point(subject.fun, subject.x, *subject.args, progress=reporter.follow)

        ask(question, as_json, unfold, strict)
