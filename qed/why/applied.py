"""What a script does with the updates of its optimiser: are they applied, is their state kept, does the plan last.

An optax update is a pure function, (g_k, s_k, w_k) -> (u_k, s_{k+1}). Training is the loop that hands s_{k+1} on and
makes w_{k+1} = w_k + u_k of it. Three slips leave it running, and training worse or not at all:

    w_{k+1} = w_k         the new parameters are bound to another name                                   (QED419)
    s_{k+1} -> s_0        `init` is called inside the step: momentum, moments and schedules start anew   (QED420)
    rate(k) = 0, k > n    a schedule of n steps, where the run has many more (epochs, counted in steps)  (QED421)

All three are read from the arrays of the first steps; the last is told only where the loss still falls when the plan
is begun once more, and that run was made.

Reference: the documentation of optax, *Getting started*; Loshchilov and Hutter, *SGDR*, 2017 (plans that restart).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.optimization.adaptive import multipliers
from qed.optimization.step import StepRule
from qed.why.case import DEFAULT_BUDGET, PROBED, STEPS
from qed.why.identify import CLOSE, Identified, captured, flat, misfit, rounding
from qed.why.prepare import Prepared, prepare
from qed.why.seen import Differentiated, Updated, are_given
from qed.why.trial import SMALL, Run, Runner
from qed.why.words import number, plural

if TYPE_CHECKING:
    from qed.why.problem import Problem
    from qed.why.recorder import Recorder

SHARE = 0.2
"""The share of the budget that a trial run may take."""
FEWEST = 3
"""Steps that have to be alike before anything is said of them."""
LOOKED = 200
"""At how many steps a schedule is looked at, of a small model."""
OVER = 0.5
"""A plan that is over before this share of the run is too short."""
NOTHING = 1e-3
"""The share of the largest rate below which a planned rate counts as 0."""
MORE = 0.25
"""What the plan, begun once more, has to add to the fall of the loss."""


def of_the_loss(notes: Sequence[Differentiated], updates: Sequence[Updated]) -> int:
    """How many of the first updates were made, one each, from the gradients of this loss."""
    count = 0
    for note, update in zip(notes, updates, strict=False):
        made, seen = flat(update.gradient), flat(note.gradient)
        finite = made.shape == seen.shape and np.isfinite(made).all() and np.isfinite(seen).all()
        if not finite or misfit(made, seen) > CLOSE:
            break
        count += 1
    return count


def never_applied(recorder: Recorder, notes: Sequence[Differentiated]) -> Answer[Any] | None:
    """Updates that leave the parameters where they are (QED419)."""
    count = of_the_loss(notes, recorder.updates)
    if count < FEWEST or recorder.large:
        return None
    points = [flat(note.at) for note in notes[:count]]
    changes = [float(np.linalg.norm(flat(update.change))) for update in recorder.updates[:count]]
    felt = min(changes) > 4 * rounding(notes[0].at)
    if not felt or any(not np.array_equal(points[0], point) for point in points[1:]):
        return None
    if recorder.steps < 2 * count or not _still_there(recorder, notes[0].at):
        return None
    text = (
        f"its updates are not applied: their norm is {number(changes[0])} at the first step, and after "
        f"{plural(recorder.steps, 'step')} the parameters are those of the start"
    )
    reason = Reason(
        "parameters and updates of the first steps",
        formula="w_{k+1} = w_k + u_k",
        text=f"the loss is asked at the same parameters in the first {count} steps and in the last one, while the "
        f"first updates have norms of {number(min(changes))} to {number(max(changes))}",
        predicted=changes[0],
        observed=0.0,
        standing=Standing.MEASURED,
    )
    return Answer(
        "the updates of the optimiser move the parameters",
        Standing.REFUTED,
        reasons=(reason,),
        findings=(Finding("QED419", text, None, {"steps": count, "norms": changes}),),
    )


def _still_there(recorder: Recorder, parameters: Any) -> bool:
    """Whether the last step was given the parameters of the start; False where what it was given is gone."""
    try:
        return recorder.last_given is not None and are_given(parameters, recorder.last_given)
    except (RuntimeError, ValueError):  # the script gave its arrays away
        return False


def forgotten_state(
    recorder: Recorder, notes: Sequence[Differentiated], asked: Callable[[StepRule], Problem]
) -> Answer[Any] | None:
    """A state that each step begins with anew (QED420), and the run that hands it on."""
    count = of_the_loss(notes, recorder.updates)
    updates = recorder.updates[:count]
    points, gradients = [note.at for note in notes], [note.gradient for note in notes]
    rule = captured(points, gradients, updates).rule
    if count < FEWEST or recorder.large or rule is None:
        return None
    first = updates[0]
    following = _following(first)
    if following is None or not _differ(first.state, following):
        return None  # there is nothing to remember
    if any(_differ(first.state, other.state) for other in updates[1:]):
        return None
    text = (
        f"the state of the optimiser begins anew at each step: {count} updates were made from the state of the first, "
        "so that momentum, moments and schedules never build up"
    )
    reason = Reason(
        "the states that the first updates were given",
        formula="(g_k, s_k) -> (u_k, s_{k+1})",
        text="the first update returns another state than it was given, and the next one is given the first again",
        predicted="the state that the update before returned",
        observed="the first state",
        standing=Standing.MEASURED,
    )
    return Answer(
        "the state of the optimiser is handed from step to step",
        Standing.REFUTED,
        reasons=(reason,),
        findings=(Finding("QED420", text, None, {"steps": count}),),
        advice=_handed_on(prepare(asked(rule)), min(recorder.steps, STEPS)),
    )


def _handed_on(prepared: Prepared, steps: int) -> tuple[Advice, ...]:
    """The run of as many steps that keeps the state, on the data of the first step."""
    if prepared.rule is None:
        return ()
    run = _run(prepared, Runner(prepared.loss, prepared.rule), prepared.parameters, steps)
    return () if run is None else (Advice("call init once, before the loop, and hand the state on", trial=run.trial()),)


def _run(prepared: Prepared, runner: Runner, start: Sequence[Any], steps: int) -> Run | None:
    """A trial run; None where it takes more than its share of the budget."""
    deadline = time.monotonic() + SHARE * (prepared.problem.budget or DEFAULT_BUDGET)
    run = runner.run(start, prepared.data, steps, deadline=deadline)
    return None if run.cut else run


def _following(update: Updated) -> Any:
    """The state after an update; None where it cannot be made again."""
    try:
        return update.transformation.update(update.gradient, update.state, update.parameters)[1]
    except Exception:  # it asks for more than gradient, state and parameters
        return None


def _differ(one: Any, other: Any) -> bool:
    a, b = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(a) != len(b) or any(not np.array_equal(np.asarray(x), np.asarray(y)) for x, y in zip(a, b, strict=True))


def plan_is_over(recorder: Recorder, found: Identified, problem: Problem) -> Answer[Any] | None:
    """A schedule whose rate is 0 for more than half of the run, to the run's harm (QED421)."""
    steps = recorder.steps
    if steps < 20 or found.rule is None or found.rule.transformation is None or recorder.large:
        return None
    prepared = prepare(problem)
    if prepared.size > SMALL or prepared.rule is None:
        return None
    optimizer = prepared.rule.optax()
    count = min(steps, LOOKED, max(FEWEST, PROBED // max(1, prepared.size)))
    planned = np.unique(np.linspace(0, steps - 1, count).astype(int))
    shares = multipliers(optimizer, optimizer.init(prepared.parameters), prepared.parameters, planned)
    if shares is None or not (shares > NOTHING).any():
        return None
    last = int(planned[np.flatnonzero(shares > NOTHING)[-1]])
    if last + 1 > OVER * steps:
        return None
    runner = Runner(prepared.loss, prepared.rule)
    once = _run(prepared, runner, prepared.parameters, last + 1)
    if once is None or once.failure is not None or once.last is None or not once.end < once.start:
        return None
    again = _run(prepared, runner, once.last.parameters, last + 1)
    if again is None or again.failure is not None or once.end - again.end < MORE * (once.start - once.end):
        return None
    text = (
        f"the planned rate is 0 from step {last + 1} of {steps} on, and the loss was still falling: begun once more, "
        f"the plan takes it from {number(once.end)} to {number(again.end)}"
    )
    reason = Reason(
        "the schedule at each step of the script, and two runs",
        text=f"on the data of the first step {plural(last + 1, 'step')} take the loss from {number(once.start)} to "
        f"{number(once.end)}, and as many more, with the plan begun once more, to {number(again.end)}",
        predicted=once.end,
        observed=again.end,
        standing=Standing.MEASURED,
    )
    advice = Advice(f"begin the plan once more (or let it last the {steps} steps of the run)", trial=again.trial())
    return Answer(
        "the rate lasts as long as the run",
        Standing.REFUTED,
        arithmetic=prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED421", text, None, {"last": last, "steps": steps, "end": once.end, "again": again.end}),),
        advice=(advice,),
    )
