"""`qed.why`: which questions are asked, in which order, and the one sentence that they come to.

1. Does the user's run stay finite? If not: where was the first non-finite number born (cheap: this comes first).
2. Is there a stable form of the loss, and does it cure that?
3. How steep is the loss at the start, and is the step beyond what is stable there; does a smaller step end lower?
4. What could help? Each remedy is tried from the user's start, and ranked by what happened.

Time is given out in that order; what was cut is listed as missing, with its cost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.errors import QedError
from qed.graph.size import bytes_of, in_bytes
from qed.graph.untraceable import not_differentiable
from qed.graph.walk import TooLong
from qed.progress import Progress
from qed.why.adaptive import judge_adaptive
from qed.why.case import DEFAULT_BUDGET, STEPS, Case, Clock
from qed.why.curvature import FEWEST, fits
from qed.why.demand import demand, told
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.finite import Cause, diagnose_failure
from qed.why.headline import first_sentence, headline, rests_at_once, subject
from qed.why.mistakes import look
from qed.why.mistakes.uphill import climbs
from qed.why.prepare import prepare
from qed.why.problem import Problem
from qed.why.remedies import Tried, stable_patch, try_remedies
from qed.why.safe import safe_step
from qed.why.stability import Judgement, curvature_alone, judge, rises
from qed.why.trial import Failure, Run
from qed.why.words import number, plural

FirstVerdict = Callable[[str], None]

SHOWN = 3
"""So many changes of the stable form are written out, where they are written without gaps."""


def why(
    problem: Problem, *, progress: Progress | None = None, first_verdict: FirstVerdict | None = None
) -> Answer[Diagnosis]:
    """Why does this loss become NaN, or its training diverge; or that nothing is wrong, and what was checked.

    Args:
        problem: the loss, the parameters, the data and the step rule.
        progress: called with (what, done, total) while it works.
        first_verdict: called once with the cheap verdict, before curvature and trials.

    Returns:
        An answer whose value is a `qed.Diagnosis`. Its claim is that the run stays finite and does as well as with
        a smaller step: REFUTED with witnesses, or MEASURED.

    Raises:
        QedError: where the problem cannot be run at all (codes QED000 to QED010).

    Example:
        >>> import jax.numpy as jnp
        >>> import qed
        >>> answer = qed.why(qed.Problem(lambda x: jnp.sum(x**2), at=jnp.ones(2), step=3.0))
        >>> [finding.code for finding in answer.findings][0]
        'QED401'
    """
    if problem.recording is not None:
        problem.check()
        from qed.why.recorded import explain

        return explain(problem.recording)
    if problem.train_step is not None and problem.loss is None:
        problem.check()
        from qed.why.training import why_step

        return why_step(problem, progress=progress, first_verdict=first_verdict)
    if problem.constrained:
        from qed.why.constrained import why_constrained

        return why_constrained(problem)
    clock = Clock(problem.budget or DEFAULT_BUDGET)
    prepared = prepare(problem)
    case = Case(prepared, clock, progress)
    try:
        run = case.run("given", "the run as given", steps=STEPS if prepared.rule is not None else 0)
    except (ValueError, NotImplementedError) as error:
        raise not_differentiable(error, prepared.name, prepared.span) from error
    cause = diagnose_failure(prepared, run.failure, _observer(case)) if run.failure is not None else None
    if first_verdict is not None:
        first_verdict(first_sentence(run, cause, clock))
    missing: list[Missing] = []
    climbing = climbs(case, run)
    if climbing is not None:
        return _compose(case, run, cause, None, None, [], missing, climbing=climbing)
    stable = _stable_run(case, run, cause, missing)
    step = _step_question(case, run, stable, missing)
    safe = None if step is None else safe_step(case, run)
    tried = try_remedies(case, run, stable, step) if prepared.rule is not None and clock.left > 0 else []
    if clock.left <= 0:
        missing.append(Missing("remedies that were not tried", settle="a larger --budget", cost=_cost(run)))
    return _compose(case, run, cause, stable, step, tried, missing, safe)


def why_failed(
    problem: Problem, value: float, *, since: float | None = None, progress: Progress | None = None
) -> Answer[Diagnosis]:
    """Where a loss or gradient that is known to be not finite at this point is born; nothing is run or tried.

    For models whose training is too large to be repeated.

    Args:
        problem: the loss, at the parameters and data where it fails.
        value: the loss there; finite where the gradient alone is not.
        since: when the failing step was seen, by `time.monotonic`; now where that is left out.
        progress: as in `why`.

    Raises:
        QedError: as `why`.
    """
    since = time.monotonic() if since is None else since
    prepared = prepare(problem)
    counted = demand(prepared)
    if progress is not None:
        progress(f"replaying: {in_bytes(counted['values'])} of values, at most {in_bytes(counted['kept'])} kept", 0, 0)
    case = Case(prepared, Clock(problem.budget or DEFAULT_BUDGET), progress)
    where, word = ("gradient", "non-finite") if math.isfinite(value) else ("loss", str(value))
    failure = Failure(0, where, word, prepared.parameters, prepared.data)
    run = Run((value,), failure, (0, prepared.parameters), False, 0.0)
    cause = diagnose_failure(prepared, failure, _observer(case))
    size = in_bytes(2 * bytes_of(prepared.parameters))
    missing = [
        Missing(
            f"what a stable form or another step would do: gradient and update of a trial run take {size} more",
            settle="qed why FILE.py:loss --at NAME --step RULE",
        )
    ]
    seconds = time.monotonic() - since
    answer = _compose(case, run, cause, None, None, [], missing)
    meta = {**answer.meta, "bytes": counted, "seconds_to_verdict": round(seconds, 2)}
    return replace(answer, answers=(*answer.answers, told(counted, seconds)), meta=meta)


_REPLAY = 20.0
"""Seconds that the replay may always take: where the number is born is what was asked first."""


def _observer(case: Case) -> Callable[[Any], None]:
    """Progress of the replay, and its end where it takes too long."""
    count = 0
    deadline = time.monotonic() + max(case.clock.left, _REPLAY)

    def observe(entry: Any) -> None:
        nonlocal count
        count += 1
        if count % 64:
            return
        if case.progress is not None:
            case.progress("replaying equation by equation", count, 0)
        if time.monotonic() > deadline:
            message = f"{count} equations were evaluated one by one, and it had not ended"
            raise TooLong(message)

    return observe


def _cost(run: Run) -> float:
    """Seconds that another run of that length takes: its steps, and compiling once."""
    return round(run.first + run.pace * STEPS, 1)


# --- the questions --------------------------------------------------------------------------------------------


def _stable_run(case: Case, run: Run, cause: Cause | None, missing: list[Missing]) -> Run | None:
    """The run with the stable form of the loss, where there is one and it is needed."""
    if cause is None or cause.birth is None:
        return None
    if case.clock.left <= 0:
        missing.append(Missing("whether a stable form of the loss exists", settle="a larger --budget", cost=_cost(run)))
        return None
    try:
        if case.rewritten is None:
            return None
    except QedError as error:
        missing.append(Missing("whether a stable form of the loss exists", settle=str(error), code=error.code))
        return None
    return case.run("rewritten", "the stable form", steps=STEPS if case.prepared.rule is not None else 0)


def _step_question(case: Case, run: Run, stable: Run | None, missing: list[Missing]) -> Judgement | None:
    usable = math.isfinite(run.losses[0]) and not (run.failure is not None and run.failure.step == 0)
    form, judged = (
        ("given", run) if stable is None or (stable.failure is not None and usable) else ("rewritten", stable)
    )
    if form == "given" and not usable:
        return None
    if case.clock.left <= 0:
        cost = round(run.first + 90 * run.pace, 1)  # compiling, and at most 30 products of three steps' time
        missing.append(Missing("the steepest curvature and the step limit", settle="a larger --budget", cost=cost))
        return None
    if not fits(case.prepared.size):
        takes = (
            f"{FEWEST} directions of {case.prepared.size:,} numbers take {in_bytes(8 * FEWEST * case.prepared.size)}"
        )
        missing.append(Missing(f"the steepest curvature and the step limit: {takes}", settle="a smaller model"))
        return None
    steep = case.steepness("given" if usable else form, case.prepared.parameters)
    if not steep.pair.finite:
        missing.append(
            Missing(
                "the steepest curvature",
                settle="second derivatives that exist and are finite: a Hessian product is not to be had",
                cost=0.0,
            )
        )
        steep = None
    if case.prepared.rule is None:
        return None if steep is None else Judgement(curvature_alone(case, steep), None, None, steep)
    return (judge if case.rule.is_gradient_descent else judge_adaptive)(case, form, judged, steep)


# --- what they come to ----------------------------------------------------------------------------------------


def _compose(
    case: Case,
    run: Run,
    cause: Cause | None,
    stable: Run | None,
    step: Judgement | None,
    tried: list[Tried],
    missing: list[Missing],
    safe: Answer[float] | None = None,
    climbing: Answer[float] | None = None,
) -> Answer[Diagnosis]:
    cured = stable is not None and stable.failure is None
    step_bad = step is not None and step.code in ("QED401", "QED403")
    later = run.failure is not None and run.failure.step > 0
    consequence = cause is not None and not cured and step_bad and (cause.birth is not None or later)
    answers: list[Answer[Any]] = [] if climbing is None else [climbing]
    if cause is not None:
        answers.append(_with_stable_form(case, cause, run, stable))
    if step is not None and not (step.answer.unknown and step.code is None):
        answers.insert(0 if consequence else len(answers), step.answer)
    if safe is not None:
        answers.append(safe)
    grave = any(finding.level != "note" for answer in answers for finding in answer.findings)
    mistakes = look(case, run, {finding.code for answer in answers for finding in answer.findings})
    answers += mistakes
    answers += _checked(case, run)
    findings = tuple(finding for answer in answers for finding in answer.findings)
    missing += _not_known(case, run, step)
    missing += [] if cause is None else cause.answer.missing
    serious = any(finding.level != "note" for finding in findings)
    diagnosis = Diagnosis(
        verdict=_verdict(run, findings),
        answers=tuple(answers),
        findings=findings,
        advice=(
            *(item.advice() for item in tried if grave),
            *(a for each in (climbing, *mistakes) if each is not None for a in each.advice),
        ),
        losses=run.losses,
        first_bad_step=None if run.failure is None else run.failure.step,
        **_curvature_fields(step),
    )
    standing = Standing.REFUTED if serious else (Standing.UNKNOWN if cause is not None else Standing.MEASURED)
    return Answer(
        _claim(case, run) + (", and shows none of the known mistakes" if serious and not grave else ""),
        standing,
        value=diagnosis,
        arithmetic=case.prepared.dtype,
        findings=findings,
        advice=diagnosis.advice,
        missing=tuple(missing),
        headline=headline(run, cause, cured, step, consequence, findings)
        if climbing is None
        else f"{climbing.findings[0].message[:1].upper()}{climbing.findings[0].message[1:]}.",
        subject=subject(case.prepared),
        answers=tuple(answers),
        meta={"seconds": round(time.monotonic() - case.clock.begun, 2), "seed": 0, "steps": run.steps},
        recheck=lambda: all(a.check() for a in answers if a.recheck is not None or a.proved),
    )


def _claim(case: Case, run: Run) -> str:
    if case.prepared.rule is None:
        return "loss and gradient are finite at the start"
    steps = STEPS if run.failure is not None else run.steps
    return f"{case.rule} stays finite for {plural(steps, 'step')} and does as well as a smaller step"


def _verdict(run: Run, findings: tuple[Finding, ...]) -> Verdict:
    codes = {finding.code for finding in findings}
    if run.failure is not None:
        return Verdict.UNDECIDED if "QED209" in codes else Verdict.NONFINITE
    if codes & {"QED401", "QED403", "QED418"}:
        return Verdict.DIVERGES
    return Verdict.MISTAKE if any(finding.level != "note" for finding in findings) else Verdict.HEALTHY


def _curvature_fields(step: Judgement | None) -> dict[str, Any]:
    steep = None if step is None else step.steep
    if steep is None:
        return {}
    return {
        "steepest_curvature": steep.pair.value,
        "curvature_error": steep.pair.residual,
        "step_limit": steep.limit,
        "growth": steep.growth,
        "stiffest": steep.shares,
    }


def _with_stable_form(case: Case, cause: Cause, run: Run, stable: Run | None) -> Answer[Any]:
    """The finiteness answer, with the rewriting beside it where it cures the run."""
    if stable is None or stable.failure is not None:
        return cause.answer
    patch = (stable_patch(case, run, cause.birth.span if cause.birth is not None else None) or "").splitlines()
    whole = [line for line in patch[1:] if "..." not in line and "in float64" not in line]
    told = [*patch[:1], *whole[: SHOWN - 1]]
    shown = "; ".join(told) or "the logarithms are rewritten"
    more = f"  (and {plural(len(patch) - len(told), 'more change')})" if len(patch) > len(told) else ""
    given, form = run.losses[0], stable.losses[0]
    reason = Reason(
        "logarithms rewritten, then tried",
        role="instead",
        predicted=given,
        observed=form,
        standing=Standing.MEASURED if math.isfinite(given) else None,
        text=f"{shown}{more}",
    )
    return replace(cause.answer, reasons=(*cause.answer.reasons, reason))


def _checked(case: Case, run: Run) -> list[Answer[Any]]:
    """What was looked at and found in order."""
    if run.failure is not None:
        return []
    count = plural(run.steps, "step") if run.steps else "evaluation at the start"
    finite = Reason(
        "every number that reaches loss, gradient or parameters",
        text=f"loss, gradient and parameters stay finite for {plural(run.steps, 'step')}"
        if run.steps
        else f"loss and gradient are finite at the start{', and the gradient is 0' * rests_at_once(run)}",
        predicted="finite",
        observed="finite",
        standing=Standing.MEASURED,
    )
    answers = [
        Answer(
            f"loss, gradient and parameters are finite ({count})",
            Standing.MEASURED,
            reasons=(finite,),
            arithmetic=case.prepared.dtype,
        )
    ]
    if run.steps and not rises(run):
        text = (
            f"the loss goes from {number(run.start)} to {number(run.settled)}, "
            f"rising at {run.rises} of {plural(run.steps, 'step')}"
        )
        if min(run.losses) == max(run.losses):
            text = f"the loss stays at {number(run.start)} for {plural(run.steps, 'step')}: nothing moves it"
        reason = Reason(
            "the run",
            text=text,
            predicted="lower than at the start",
            observed=run.settled,
            standing=Standing.MEASURED,
        )
        answers.append(Answer(text, Standing.MEASURED, reasons=(reason,), arithmetic=case.prepared.dtype))
    return answers


def _not_known(case: Case, run: Run, step: Judgement | None) -> list[Missing]:
    found = []
    if step is not None and step.answer.unknown:
        found += list(step.answer.missing)
    if case.prepared.rule is not None and run.failure is None:
        found.append(Missing(f"behaviour after {plural(run.steps, 'step')}", settle="a longer run", cost=_cost(run)))
    if run.cut:
        found.append(Missing(f"the steps beyond {run.steps} of {STEPS}", settle="a larger --budget", cost=_cost(run)))
    if case.prepared.rule is None:
        found.append(Missing("whether a step is stable", settle="give step=, for example step='sgd:0.1'"))
    return found
