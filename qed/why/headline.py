"""The one plain sentence that an answer to *why* leads with, and the line above it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from qed.answer import Finding
from qed.domains.words import index_outside
from qed.findings import CODES, Level
from qed.why.case import Clock
from qed.why.finite import Cause
from qed.why.prepare import Prepared
from qed.why.stability import Judgement
from qed.why.trial import Run
from qed.why.words import number, plural, short

_PLAIN = {
    "add": "a sum",
    "sub": "a difference",
    "mul": "a product",
    "div": "a quotient",
    "pow": "a power",
    "integer_pow": "a power",
    "square": "a square",
    "reduce_sum": "a sum",
    "reduce_prod": "a product",
    "dot_general": "a matrix product",
}


def first_sentence(run: Run, cause: Cause | None, clock: Clock) -> str:
    """The cheap verdict, said before curvature and trials."""
    if run.failure is None:
        text = f"finite for {plural(run.steps, 'step')}: loss {number(run.start)} -> {number(run.losses[-1])}"
    else:
        text = _with_birth(_failure_sentence(run), cause)
    return f"{text}  ({clock.spent:.1f} s; curvature and trials follow)"


def _failure_sentence(run: Run) -> str:
    failure = run.failure
    if failure is None:
        return ""
    when = "at the start" if failure.step == 0 else f"after {plural(failure.step, 'step')}"
    if failure.where == "loss":
        return f"The loss {'is' if failure.step == 0 else 'becomes'} {failure.value} {when}."
    what = "The gradient" if failure.where == "gradient" else "The update"
    return f"{what} is not finite {when}, though the loss is."


def _born(cause: Cause) -> str:
    birth = cause.birth
    if birth is None:
        return ""
    primitive = _PLAIN.get(birth.primitive, birth.primitive)
    words = {
        "QED103": f"the derivative of {primitive} is not finite where its value is discarded",
        "QED104": f"{primitive} has no finite derivative",
        "QED201": f"{primitive} overflows" if birth.phase == "forward" else f"the adjoint of {primitive} overflows",
        "QED204": f"{primitive} makes the first nan",
        "QED205": "a division by zero" if birth.primitive == "div" else f"{primitive} is taken at its pole",
    }
    code = cause.answer.findings[0].code
    if index_outside(birth) is not None:
        words["QED204"] = "an index outside its array makes the first nan"
    place = "" if birth.span is None else f" at {short(birth.span.file)}:{birth.span.line}"
    return f": {words.get(code, CODES[code].name)}{place}."


def headline(
    run: Run,
    cause: Cause | None,
    cured: bool,
    step: Judgement | None,
    consequence: bool,
    findings: tuple[Finding, ...],
) -> str:
    """The sentence that the answer leads with.

    Args:
        run: the user's own run.
        cause: what its first non-finite number comes from, or None.
        cured: whether the stable form of the loss stays finite.
        step: the judgement of the step, or None.
        consequence: whether the non-finite number is a consequence of the step.
        findings: all findings.
    """
    code = None if step is None else step.code
    if cause is not None and cause.birth is None and consequence and code == "QED401":
        return f"{_failure_sentence(run)} The step is too large: {_times(step)}."
    if cause is not None and cause.answer.missing and cause.answer.missing[0].code == "QED020":
        lost = cause.answer.missing[0]
        return f"{_failure_sentence(run)} Where it is born is not known: qed has no rule for {lost.primitive}."
    compiled = cause is not None and any(finding.code == "QED209" for finding in cause.answer.findings)
    if cause is not None and cause.birth is None and cause.answer.unknown and not compiled:
        return f"{_failure_sentence(run)} Where it is born is not known: the replay was not finished."
    if cause is not None and cause.birth is None and cause.answer.unknown:
        return f"{_failure_sentence(run)} Evaluated equation by equation it is finite: it depends on compilation."
    if cause is not None:
        text = _failure_sentence(run)
        if consequence and code == "QED401":
            return f"{text} The step is too large: {_times(step)}."
        if consequence:
            return f"{_with_birth(text, cause)} A smaller step stays finite."
        if cured and code == "QED401":
            return f"{text} Two independent causes; the first hides the second."
        return f"{_with_birth(text, cause)} Certain: replayed."
    if code == "QED401":
        return f"The step is too large: {_times(step)}, and a smaller one ends lower."
    if code == "QED403":
        return "The run ends worse than it should; which property of the loss is to blame is not settled."
    mistake = next((finding for finding in findings if finding.level != "note"), None)
    if mistake is not None:
        return f"The run stays finite, but {mistake.message}."
    if run.steps == 0:
        rests = " The gradient there is 0: `qed critical` says what the point is." if rests_at_once(run) else ""
        return f"Loss and gradient are finite at the start.{rests}{worth_knowing(findings)}"
    fall = f"the loss goes from {number(run.start)} to {number(run.settled)}"
    text = f"Nothing speaks against this run: {fall} in {plural(run.steps, 'step')}, and all that reaches it is finite."
    return text + worth_knowing(findings)


def rests_at_once(run: Run) -> bool:
    """Whether the gradient is 0 where the run starts: it says of no direction whether the loss falls."""
    return bool(run.norms) and run.norms[0] == 0.0


def worth_knowing(findings: Iterable[Finding]) -> str:
    """What the notes say behind a sentence that finds nothing wrong; a limit that is exceeded without harm is not said.

    >>> worth_knowing([Finding("QED213", "the loss is computed in float64")])
    ' Worth knowing: the loss is computed in float64 (QED213).'
    """
    notes = [f for f in findings if f.level == Level.NOTE and f.code != "QED402"]
    if not notes:
        return ""
    more = "" if len(notes) == 1 else f"; and {plural(len(notes) - 1, 'more note')}"
    return f" Worth knowing: {notes[0].message} ({notes[0].code}{more})."


def _with_birth(sentence: str, cause: Cause | None) -> str:
    born = "" if cause is None else _born(cause)
    return sentence.removesuffix(".") + born if born else sentence


def _times(step: Judgement | None) -> str:
    steep = None if step is None else step.steep
    times = None if step is None else step.answer.meta.get("times")
    if times:
        if times < 0.95:
            return f"at {times:.2g} of the local limit the loss goes up and down"
        return f"{times:.4g} times the local limit" if times > 1.005 else "it is at the local limit all the time"
    if step is None or steep is None or not steep.limit or not math.isfinite(steep.limit):
        return "beyond what is stable along its path"
    rate = step.answer.findings[0].witness if step.answer.findings else None
    limit = (rate or {}).get("limit") or steep.limit
    used = step.answer.meta.get("rate") or 0.0
    return f"{used / limit:.4g} times the local limit" if used else "beyond the local limit"


def subject(prepared: Prepared) -> str:
    """The title line: function, file, parameters, rows, dtype."""
    parts = [f"{prepared.name}({', '.join(prepared.function.moving)})"]
    if prepared.span is not None:
        parts.append(f"{short(prepared.span.file)}:{prepared.span.line}")
    facts = [plural(prepared.size, "parameter")]
    if prepared.rows is not None:
        facts.append(f"{prepared.rows} rows")
    facts.append(prepared.dtype)
    return "   ".join([*parts, ", ".join(facts)])
