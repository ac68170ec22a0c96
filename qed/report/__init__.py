"""An answer on the screen, in a notebook, and as data.

    value.py     a value in a few characters, and the one-line repr
    glossary.py  the terms explained where they first appear
    screen.py    what is shown and in which order, without any layout; text and HTML both lay out this
    text.py      the terminal      html.py   the notebook      json.py   the schema "qed/answer/1"

Nothing here computes: a renderer shows what the answer holds. `Answer` finds these functions through
qed/_lazy.py.
"""

from __future__ import annotations

from typing import Any

from qed.answer import Answer
from qed.findings import Level
from qed.standing import Standing

__all__ = ["exit_code"]


def exit_code(answer: Answer[Any], strict: bool = False) -> int:
    """The exit code of a command that prints this answer.

    0 where nothing of level warning or error was found, 1 where something was; with `strict`, 3 where there
    is no finding because everything is UNKNOWN. (2 is for questions that could not be asked; then there is
    no answer.)

    >>> from qed.findings import Finding
    >>> exit_code(Answer("the loss is finite", "REFUTED", findings=[Finding("QED201", "inf in 3 rows")]))
    1
    >>> exit_code(Answer("below the limit", "REFUTED", findings=[Finding("QED402", "2.01 times")]))
    0
    """
    answers = list(answer.walk())
    if any(finding.level is not Level.NOTE for each in answers for finding in each.findings):
        return 1
    parts = answers[1:] or answers
    return 3 if strict and all(part.standing is Standing.UNKNOWN for part in parts) else 0
