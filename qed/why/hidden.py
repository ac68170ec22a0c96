"""A script whose loss cannot be entered: its gradient is taken under vmap, shard_map or the like, inside a jitted step.

What is left is the step as a whole. Were its results finite; how did the scalars that it returned go; and where a
result was not finite, in which equation of the step's own graph was it born (`qed.why.training`). Curvature, limits and
remedies need the loss as a function of the parameters, and are said to be unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.errors import QedError
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.problem import Problem
from qed.why.recorder import Recorder
from qed.why.seen import Call, exploding
from qed.why.training import why_step
from qed.why.words import number, plural

_WHY = "its gradient is taken where it cannot be entered (under vmap, shard_map, or in a compiled loop)"


def why_hidden(path: str, recorder: Recorder, ended: str, budget: float) -> Answer[Diagnosis]:
    """What can be said of a script whose steps were seen and whose loss was not.

    Args:
        path: the script.
        recorder: its notes.
        ended: why it ended.
        budget: seconds for the diagnosis.
    """
    loss = Missing(
        f"the loss itself, its curvature and the step limit: {_WHY}",
        settle=f"name the loss: qed why {path}:loss --at NAME",
    )
    failed = recorder.failed
    if failed is not None:
        return why_call(failed, loss, budget)
    return _ran(recorder, ended, loss)


def why_call(call: Call, loss: Missing, budget: float) -> Answer[Diagnosis]:
    """The failing call alone, its results searched for the first number that is not finite.

    Args:
        call: the call, with its arguments.
        loss: what is not known then.
        budget: seconds for the diagnosis.
    """

    def step(state: Any, _: Any) -> Any:
        args, kwargs = state
        return state, call.target(*args, **kwargs)

    step.__name__ = getattr(call.target, "__name__", "step")
    step.__wrapped__ = call.target  # type: ignore[attr-defined]
    try:
        answer = why_step(Problem(train_step=step, state=(call.args, call.kwargs), batches=[0], budget=budget))
    except QedError as error:
        missing = Missing("where the number is born", settle=error.what, code=error.code)
        finding = Finding("QED210", f"step {call.step} returns a number that is not finite")
        answer = Answer("every step of the script is finite", Standing.UNKNOWN, findings=(finding,), missing=(missing,))
    headline = (answer.headline or "").partition(": ")[2]
    text = f"The script's step {call.step} returns a number that is not finite"
    if not headline and answer.findings and answer.findings[0].code != "QED210":
        headline = f"{answer.findings[0].message}."
    return replace(
        answer,
        headline=f"{text}: {headline}" if headline else f"{text}; where it is born is not known.",
        missing=(*(m for m in answer.missing if not m.what.startswith("the curvature")), loss),
    )


def _ran(recorder: Recorder, ended: str, loss: Missing) -> Answer[Diagnosis]:
    """A script all of whose steps were finite."""
    curve = recorder.losses
    steps = plural(recorder.steps, "step")
    ends = f": the last number that a step returns goes from {number(curve[0])} to {number(curve[-1])}" if curve else ""
    text = f"every number that {steps} returned is finite, until {ended}{ends}"
    reason = Reason("the script was run", text=text, predicted="finite", observed="finite", standing=Standing.MEASURED)
    findings: tuple[Finding, ...] = ()
    if exploding(curve):
        message = f"what the steps return rises from {number(curve[0])} to {number(curve[-1])}"
        findings = (Finding("QED403", message, None, {"start": curve[0], "end": curve[-1], "steps": recorder.steps}),)
    part = Answer(
        text,
        Standing.REFUTED if findings else Standing.MEASURED,
        reasons=(reason,),
        findings=findings,
    )
    diagnosis = Diagnosis(
        verdict=Verdict.DIVERGES if findings else Verdict.HEALTHY,
        answers=(part,),
        findings=findings,
        advice=(),
        losses=tuple(curve),
        first_bad_step=None,
    )
    against = f"{findings[0].message}; the loss itself could not be seen." if findings else ""
    return Answer(
        "the script stays finite and its loss does not rise",
        Standing.REFUTED if findings else Standing.MEASURED,
        value=diagnosis,
        findings=findings,
        missing=(loss,),
        headline=against or f"Nothing speaks against this script: {steps}, all finite; its loss could not be seen.",
        answers=(part,),
        meta={"script_steps": recorder.steps, "ended": ended, "rule": "None"},
    )
