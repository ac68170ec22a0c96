"""``qed backprop FILE.py:FUNCTION --at NAME [--args NAME,NAME]``: one walk back over the tape, with every number."""

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
    """How does the gradient come about, and where is it lost: backpropagation, step by step."""
    subject = find_subject(target, at, args)
    import qed

    ask(lambda: qed.backprop(subject.fun, subject.x, *subject.args), as_json, unfold, strict)
