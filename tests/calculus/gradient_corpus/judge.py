"""What is wrong with an answer of `qed.check_gradient` on a case, in words; nothing, if it is right.

A fault must be given the right word, at the line of the call and at the rule's own line, with loop step, branch and
coordinate where there are any; and nothing else may be blamed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.calculus.gradient_corpus.case import Case

BLAMED = {"wrong": "disagrees", "second": "disagrees", "latent": "latent"}
"""The verdict that the culprits of a fault have."""


def complaints(case: Case, answer: Any) -> Iterator[str]:
    """What the answer says otherwise than the label."""
    check = answer.value
    if str(check.verdict) not in case.verdicts:
        yield f"verdict {check.verdict}, not {' or '.join(case.verdicts)}"
        return
    if str(check.verdict) == "disagrees" and not answer.refuted:
        yield f"disagrees, and the standing is {answer.standing}"
    if case.kind == "correct" and str(check.verdict) == "agrees" and check.culprits:
        yield f"agrees, and blames {check.culprits}"
    if case.kind in BLAMED and str(check.verdict) == BLAMED[case.kind]:
        yield from misplaced(case, check)


def misplaced(case: Case, check: Any) -> Iterator[str]:
    """What is said of the place of a fault and is not so."""
    blamed = [c for c in check.culprits if str(c.verdict) == BLAMED[case.kind]]
    if not blamed:
        yield "no culprit"
    for culprit in blamed:
        yield from misread(case, culprit)


def misread(case: Case, culprit: Any) -> Iterator[str]:
    """What one culprit says and is not so."""
    rules, calls = case.lines
    if culprit.span is None or culprit.span.file != case.file or culprit.span.line not in calls:
        yield f"called at {culprit.span}, not line {sorted(calls)}"
    if rules and (culprit.rule_span is None or culprit.rule_span.line not in rules):
        yield f"rule at {culprit.rule_span}, not line {sorted(rules)}"
    if case.loop_steps is not None and steps(culprit) != case.loop_steps:
        yield f"loop step {culprit.step}, not {case.loop_steps}"
    if case.branch is not None and culprit.branch != case.branch:
        yield f"branch {culprit.branch}, not {case.branch}"
    if case.coordinate is not None and culprit.coordinate != (case.coordinate,):
        yield f"coordinate {culprit.coordinate}, not {case.coordinate}"
    if culprit.expected is None or culprit.found is None or culprit.expected == culprit.found:
        yield f"expected {culprit.expected}, found {culprit.found}: these do not differ"


def steps(culprit: Any) -> tuple[int, ...]:
    """The loop steps, outermost first."""
    if culprit.step is None:
        return ()
    return culprit.step if isinstance(culprit.step, tuple) else (culprit.step,)


def located(case: Case, check: Any) -> bool:
    """Whether the fault is found at its call and at its rule."""
    blamed = [c for c in check.culprits if str(c.verdict) == BLAMED.get(case.kind)]
    return bool(blamed) and not any("line" in words for culprit in blamed for words in misread(case, culprit))
