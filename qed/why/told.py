"""What `qed why train.py` says of the script itself: its own loss, the rule that was identified, what stays unknown.

The diagnosis is one of a single evaluation of the loss (`qed.why.diagnose`); the script went through many. Where its
own curve explodes and nothing else explains it, that is the finding; where it merely ends higher than it began (as the
loss of one of two adversaries does) it is said, and is no finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qed.answer import Answer, Missing, Reason, Standing
from qed.findings import Finding, Level
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.headline import worth_knowing
from qed.why.identify import Identified, flat
from qed.why.mistakes.batch import statistics_of_the_batch
from qed.why.recorder import Recorder
from qed.why.seen import Differentiated, exploding
from qed.why.words import number, plural

if TYPE_CHECKING:
    from qed.why.script import Script

STANDS = 10
"""At so many steps a loss that is the same number stands."""

_DIGITS = frozenset({"QED202", "QED203", "QED206", "QED207", "QED208"})
"""Findings of lost digits, which explain at most why a loss stands."""


def told(
    script: Script,
    answer: Answer[Diagnosis],
    found: Identified,
    failing: Differentiated | None,
    curve: list[float],
    applied: Sequence[Answer[Any]] = (),
) -> Answer[Diagnosis]:
    """The answer, told of the script: its own curve, the identified rule, what it does with it, what stays unknown."""
    recorder = script.recorder
    at = 0 if recorder.failed is None else recorder.failed.step
    at_failure = failing is not None and answer.first_bad_step == 0 and at > 0
    answers = tuple(_at_step(part, at) if at_failure else _of_one_step(part) for part in answer.answers)
    ran = failing is None and recorder.finite
    own = [*applied, *([_ran(script, curve, bool(answer.findings), answer.arithmetic)] if ran else [])]
    own += _evaluated(recorder)
    findings = (*answer.findings, *(finding for part in own for finding in part.findings))
    missing = [m for m in answer.missing if not m.what.startswith("whether a step is stable")]
    if found.rule is None and recorder.first:
        missing.append(
            Missing(
                f"the stability limit of the script's step rule: {_unseen(found, curve)}",
                settle="name the loss and the rule: qed why FILE.py:loss --at NAME --step RULE",
            )
        )
    diagnosis = answer.value
    exploded = any(finding.code == "QED403" for part in own for finding in part.findings)
    grave = any(part.refuted for part in own)
    if diagnosis is not None and grave and diagnosis.verdict == Verdict.HEALTHY:
        diagnosis = replace(diagnosis, verdict=Verdict.DIVERGES if exploded else Verdict.MISTAKE, findings=findings)
    return replace(
        answer,
        value=diagnosis,
        standing=Standing.REFUTED if grave else answer.standing,
        answers=(*answers, *own),
        findings=findings,
        advice=(*(a for part in applied for a in part.advice), *answer.advice),
        missing=tuple(missing),
        headline=_headline(script, answer, at_failure, exploded, curve, own, found.climbs),
        meta={**answer.meta, "script_steps": recorder.steps, "ended": script.ended, "rule": str(found.rule)},
    )


def with_failure(answer: Answer[Diagnosis], at_failure: Answer[Diagnosis], step: int) -> Answer[Diagnosis]:
    """A step that is too large on the data of the first step, and the number that its growth ends in, on others."""
    born = [_at_step(part, step) for part in at_failure.answers if part.findings]
    findings = (*answer.findings, *(finding for part in born for finding in part.findings))
    words = f"The script's loss or gradient stops being finite at step {step}. {answer.headline}"
    return replace(answer, answers=(*answer.answers, *born), findings=findings, headline=words)


def _at_step(part: Answer[Any], step: int) -> Answer[Any]:
    """A claim about the start of the diagnosed run, which is a step of the script."""
    return replace(part, claim=part.claim.replace("at the start", f"at step {step} of the script"))


def _of_one_step(part: Answer[Any]) -> Answer[Any]:
    """The course of the loss, told as what it is beside a script: that of a trial run on the data of one step."""
    if not part.claim.startswith(("the loss goes from", "the loss stays at")):
        return part
    told = f"run again on the data (and key) of step 0 alone, {part.claim}"
    reasons = tuple(replace(reason, text=told) if reason.text == part.claim else reason for reason in part.reasons)
    return replace(part, claim=told, reasons=reasons)


def _ran(script: Script, curve: list[float], explained: bool, arithmetic: str) -> Answer[Any]:
    """What the script's own run showed; a finding where its loss exploded and nothing else explains it."""
    recorder = script.recorder
    text = f"the script ran {plural(recorder.steps, 'step')} until {script.ended}, all finite{_but(recorder)}"
    if recorder.donates:
        text += " (with the arguments kept that it donates: by itself it takes less memory)"
    if curve:
        text += f": loss {number(curve[0])} -> {number(curve[-1])}"
    if exploding(curve) and not explained:
        message = f"the loss goes from {number(curve[0])} to {number(curve[-1])} in the script's own run"
        reason = Reason(
            "the script was run",
            role="witness",
            text=message,
            predicted="no higher than at the start",
            observed=curve[-1],
            standing=Standing.MEASURED,
        )
        finding = Finding("QED403", message, None, {"start": curve[0], "end": curve[-1], "steps": recorder.steps})
        claim = "the loss of the script falls"
        return Answer(claim, Standing.REFUTED, reasons=(reason,), findings=(finding,), arithmetic=arithmetic)
    reason = Reason("the script was run", text=text, predicted="finite", observed="finite", standing=Standing.MEASURED)
    return Answer(text, Standing.MEASURED, reasons=(reason,), arithmetic=arithmetic)


def _evaluated(recorder: Recorder) -> list[Answer[Any]]:
    """The mistakes of what the script evaluates beside its training."""
    seen = [item for item in recorder.evaluations.values() if item is not None]
    return [answer for name, traced in seen for answer in statistics_of_the_batch(traced, name)]


def _rose(curve: list[float]) -> bool:
    """Whether a loss ends clearly above its start; one of two adversaries may."""
    return settled(curve) > curve[0] + 0.1 * abs(curve[0])


def _stands(curve: list[float]) -> bool:
    """Whether a loss is the same number, and not 0, at each of many steps."""
    return len(curve) >= STANDS and min(curve) == max(curve) != 0


def _unseen(found: Identified, curve: list[float]) -> str:
    """Why the rule is not known."""
    if _stands(curve) and "exactly 0" not in found.words:
        return f"the loss is the same at each step, and steps so small tell no rule ({found.words})"
    return found.words


def _pull(recorder: Recorder) -> str:
    """How large the gradient is where the loss stands."""
    seen = [note for call in recorder.first for note in call.seen if note.gradient is not None]
    if not seen:
        return "its gradient was not kept"
    length = float(np.linalg.norm(flat(seen[0].gradient)))
    if not length:
        return "its gradient is exactly 0: the start is a critical point"
    return f"its gradient at the first step has the norm {length:.2g}"


def settled(curve: list[float]) -> float:
    """The median loss of the last tenth."""
    return float(np.median(curve[-max(1, len(curve) // 10) :]))


def _but(recorder: Recorder) -> str:
    return f" but {plural(recorder.skipped, 'step')} that it skipped" if recorder.skipped else ""


def _headline(
    script: Script,
    answer: Answer[Diagnosis],
    at_failure: bool,
    exploded: bool,
    curve: list[float],
    own: Sequence[Answer[Any]],
    climbs: bool,
) -> str | None:
    steps, failed = script.recorder.steps, script.recorder.failed
    if at_failure and failed is not None:
        if (answer.headline or "").startswith("The script's step"):
            return answer.headline
        rest = (answer.headline or "").partition(": ")[2] or (answer.headline or "").partition(". ")[2]
        return f"The script's loss or gradient stops being finite at step {failed.step}: {rest}".strip()
    if exploded:
        ends = f"from {number(curve[0])} to {number(curve[-1])} in {plural(steps, 'step')}"
        return f"The loss of this script rises {ends}; its step rule is not one whose limit is known."
    if any(f.level != Level.NOTE for f in answer.findings) or not script.recorder.finite:
        unmoved = script.recorder.finite and _stands(curve) and all(f.code in _DIGITS for f in answer.findings)
        stands = f"Nothing moves the loss of this script: it is {number(curve[0])} at each step. " if unmoved else ""
        return f"{stands}{answer.headline or ''}" or None
    mistake = next((f for part in own for f in part.findings if f.level != Level.NOTE), None)
    if mistake is not None:
        return f"The script runs, but {mistake.message}."
    ends = f"loss {number(curve[0])} -> {number(curve[-1])}" if curve else "whose loss is not returned"
    known = worth_knowing(f for part in (*answer.answers, *own) for f in part.findings)
    every = f"all finite{_but(script.recorder)}"
    if climbs and curve and settled(curve) > curve[0]:
        return (
            f"Nothing speaks against this script: its steps go along the gradient, and it climbs ({ends}, {every}); "
            f"were this a loss, the sign of the step would be wrong.{known}"
        )
    if _stands(curve):
        return (
            f"No fault was found in this script ({plural(steps, 'step')}, {every}), but nothing moves its loss: it is "
            f"{number(curve[0])} at each step; {_pull(script.recorder)}.{known}"
        )
    if curve and _rose(curve):
        found = f"No fault was found in this script ({plural(steps, 'step')}, {every}), but it ends higher: {ends}."
        return found + known
    return f"Nothing speaks against this script: {plural(steps, 'step')}, {ends}, {every}.{known}"
