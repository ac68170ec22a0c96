"""A training step as a black box: ``state = train_step(state, batch)``, whatever is inside.

Where only the step is given and no loss, three things can still be said. Is every number that it returns finite; if
not, the step's own graph, backward pass included, is evaluated equation by equation to find where the first bad number
is born. And how large is each update beside its weights: |change| / |weight|, usually around 1e-3. What needs
the loss as a function of the parameters (curvature, limits, remedies) is UNKNOWN, with the line to add.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Finding, Missing, Reason, Standing
from qed.domains.backward import record
from qed.domains.born import Birth, Lineage, forward_births, word
from qed.domains.origin import origin
from qed.errors import QedError
from qed.graph.dtypes import is_real
from qed.graph.function import Function
from qed.graph.trace import Traced, parameter_names, path_name, trace
from qed.graph.untraceable import definition, name_of, why_not_traceable
from qed.graph.walk import TooLong
from qed.progress import Progress
from qed.why.case import DEFAULT_BUDGET, STEPS
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.finite import forward_answer
from qed.why.prepare import Prepared
from qed.why.problem import Problem
from qed.why.trial import Failure
from qed.why.words import number, plural, short


@dataclass(frozen=True, eq=False)
class Steps:
    """What running the step showed.

    Args:
        count: how many steps were made.
        scalars: the scalar that each step returned beside the state, where it returns one.
        arguments: the arguments of the step that failed, or of the last.
        bad: the positions of the non-finite outputs; empty where all is finite.
        ratios: (state leaf, |change| / |weight|) of the first step.
        cut: whether the time was over.
    """

    count: int
    scalars: tuple[float, ...]
    arguments: tuple[Any, ...]
    bad: tuple[int, ...]
    ratios: tuple[tuple[str, float], ...]
    cut: bool


def why_step(
    problem: Problem, *, progress: Progress | None = None, first_verdict: Callable[[str], None] | None = None
) -> Answer[Diagnosis]:
    """Is every number of this training step finite, and if not, where is the first bad one born.

    Args:
        problem: with `train_step`, `state`, and `batches` or `args`; with `key`, the step is called
            ``train_step(state, batch, key)`` with a fresh key each time.
        progress: called with (what, done, total).
        first_verdict: called once with the cheap verdict.

    Raises:
        QedError: where the step cannot be called, or does not return its state.

    Example:
        >>> import jax.numpy as jnp
        >>> import qed
        >>> answer = qed.why(qed.Problem(train_step=lambda w: jnp.log(w - 0.4), state=jnp.array(1.0)))
        >>> answer.first_bad_step, answer.findings[0].code
        (1, 'QED204')
    """
    begun = time.monotonic()
    budget = problem.budget or DEFAULT_BUDGET
    steps = _run(problem, begun + 0.6 * budget, progress)
    if first_verdict is not None:
        first_verdict(f"{plural(steps.count, 'step')}, " + ("not finite" if steps.bad else "all finite"))
    answers: list[Answer[Any]] = []
    headline = _healthy(steps)
    missing = [
        Missing(
            "the curvature, the step limit and remedies",
            settle="give the loss too: Problem(loss, at=parameters, args=batch, step='sgd:0.1')",
        )
    ]
    if steps.bad:
        answer, birth = _born(problem, steps)
        answers.append(answer)
        headline = _failed(steps, birth)
    else:
        answers += _checked(steps)
        missing.append(Missing(f"behaviour after {plural(steps.count, 'step')}", settle="more batches"))
    findings = tuple(finding for answer in answers for finding in answer.findings)
    diagnosis = Diagnosis(
        verdict=Verdict.NONFINITE if steps.bad else Verdict.HEALTHY,
        answers=tuple(answers),
        findings=findings,
        advice=(),
        losses=steps.scalars,
        first_bad_step=steps.count - 1 if steps.bad else None,
    )
    return Answer(
        "every number that the training step returns is finite",
        Standing.REFUTED if steps.bad else Standing.MEASURED,
        value=diagnosis,
        findings=findings,
        missing=tuple(missing),
        headline=headline,
        subject=_subject(problem),
        answers=tuple(answers),
        meta={"seconds": round(time.monotonic() - begun, 2), "seed": 0, "steps": steps.count},
        recheck=lambda: all(a.check() for a in answers if a.recheck is not None),
    )


# --- running --------------------------------------------------------------------------------------------------


def _calls(problem: Problem) -> Iterator[tuple[Any, ...]]:
    """The arguments of each step, behind the state."""
    batches = problem.batches if problem.batches is not None else itertools.repeat(None)
    key = problem.key
    for batch in batches:
        rest = tuple(problem.args) if problem.batches is None else (batch, *problem.args)
        if key is not None:
            key, sub = jax.random.split(key)
            rest = (*rest, sub)
        yield rest


def _run(problem: Problem, deadline: float, progress: Progress | None) -> Steps:
    step: Any = problem.train_step
    state, count, scalars = problem.state, 0, []
    arguments: tuple[Any, ...] = (state,)
    ratios: tuple[tuple[str, float], ...] = ()
    for rest in itertools.islice(_calls(problem), STEPS):
        arguments = (state, *rest)
        result = _called(step, arguments)
        new = _next_state(result, state, name_of(step))
        if count == 0:
            ratios = _ratios(state, new, parameter_names(step, 1)[0])
        count += 1
        scalars += _scalar(result, new)
        bad = _bad(result)
        if bad:
            return Steps(count, tuple(scalars), arguments, bad, ratios, False)
        if time.monotonic() > deadline:
            return Steps(count, tuple(scalars), arguments, (), ratios, True)
        if progress is not None:
            progress("the training step", count, STEPS)
        state = new
    if count == 0:
        raise QedError("QED007", "there is no batch", "batches is empty", "give at least one batch")
    return Steps(count, tuple(scalars), arguments, (), ratios, False)


def _called(step: Any, arguments: tuple[Any, ...]) -> Any:
    try:
        return step(*arguments)
    except Exception as error:
        raise why_not_traceable(error, step, arguments) from error


def _next_state(result: Any, state: Any, name: str) -> Any:
    """The new state: the result itself, or the part of a tuple that has the state's structure."""
    wanted = jax.tree.structure(state)
    parts = [result, *(result if isinstance(result, tuple | list) else ())]
    for part in parts:
        if jax.tree.structure(part) == wanted:
            return part
    raise QedError(
        "QED007",
        f"{name} does not return its state",
        "neither the result nor a part of it has the structure of the state that was given",
        "return the new state, or a tuple that begins with it, such as (state, loss)",
    )


def _float_leaves(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf).astype(np.float64) for leaf in jax.tree.leaves(tree) if is_real(_dtype(leaf))]


def _dtype(leaf: Any) -> Any:
    return getattr(leaf, "dtype", np.dtype(float) if isinstance(leaf, float) else None)


def _bad(result: Any) -> tuple[int, ...]:
    leaves = jax.tree.leaves(result)
    return tuple(
        i
        for i, leaf in enumerate(leaves)
        if is_real(_dtype(leaf)) and not np.isfinite(np.asarray(leaf).astype(np.float64)).all()
    )


def _scalar(result: Any, state: Any) -> list[float]:
    """The scalar beside the state: the loss, where the step returns it."""
    if not isinstance(result, tuple | list):
        return []
    rest = [part for part in result if part is not state]
    leaves = [leaf for leaf in jax.tree.leaves(rest) if getattr(leaf, "shape", None) == () and is_real(_dtype(leaf))]
    return [float(leaves[0])] if leaves else []


def _ratios(before: Any, after: Any, root: str) -> tuple[tuple[str, float], ...]:
    old = jax.tree_util.tree_flatten_with_path(((before,), {}))[0]
    new = jax.tree.leaves(after)
    found = []
    for (path, leaf), other in zip(old, new, strict=True):
        if not is_real(_dtype(leaf)) or np.ndim(leaf) == 0:
            continue
        a, b = (np.asarray(x).astype(np.float64) for x in (leaf, other))
        weight = float(np.linalg.norm(a))
        if weight > 0:
            found.append((path_name(path, [root]), float(np.linalg.norm(b - a)) / weight))
    return tuple(found)


# --- where it was born ----------------------------------------------------------------------------------------


def _born(problem: Problem, steps: Steps) -> tuple[Answer[Any], Birth | None]:
    step: Any = problem.train_step
    try:
        traced = trace(step, *steps.arguments)
    except Exception as error:
        raise why_not_traceable(error, step, steps.arguments) from error
    name = name_of(step)
    claim = f"step {steps.count - 1} of {name} returns finite numbers"
    try:
        tape = record(traced.graph, traced.leaves, (), whole_custom_calls=False)
        found = [(i, forward_births(tape, i)) for i in steps.bad]
        position = {id(entry): k for k, entry in enumerate(tape.entries)}
    except TooLong:  # the births are found going forward, one output at a time
        tape, position = None, {}
        found = [(i, origin(traced.graph, traced.leaves, i)) for i in steps.bad[:2]]
    births = [(i, lineage) for i, lineage in found if lineage.births]
    if not births:
        return _unexplained(claim, [lineage for _, lineage in found]), None
    output, lineage = min(births, key=lambda item: position.get(id(item[1].births[0].entry), 0))
    values = np.asarray(jax.tree.leaves(_called(step, steps.arguments))[output]).astype(np.float64)
    wrong = values[~np.isfinite(values)]
    shown = word(float(wrong[0])) if wrong.size else "not finite"
    where = "loss" if values.shape == () else "state"
    failure = Failure(steps.count - 1, where, shown, traced.parameters, traced.data())
    answer = forward_answer(_prepared(problem, traced, step), failure, tape, lineage, output)
    return answer, lineage.births[0]


def _prepared(problem: Problem, traced: Traced, step: Any) -> Prepared:
    names = (None,) * len(traced.free)
    return Prepared(problem, Function(step, traced, name_of(step), definition(step), 0), None, names)


def _unexplained(claim: str, lineages: list[Lineage]) -> Answer[Any]:
    given = any(lineage.given for lineage in lineages)
    if given:
        raise QedError(
            "QED006",
            "a non-finite number is handed to the training step",
            "the state or the batch holds NaN or inf before the step begins",
            "look at the data of that batch",
        )
    missing = Missing(
        "which equation makes the number in the compiled step",
        settle="run once under jax.disable_jit()",
        code="QED209",
    )
    finding = Finding("QED210", "the step returns a non-finite number, and which equation makes it is not known")
    return Answer(claim, Standing.UNKNOWN, findings=(finding,), missing=(missing,))


# --- words ----------------------------------------------------------------------------------------------------


def _checked(steps: Steps) -> list[Answer[Any]]:
    text = f"every number that {plural(steps.count, 'step')} returned is finite"
    reason = Reason("the steps were made", text=text, predicted="finite", observed="finite", standing=Standing.MEASURED)
    answers = [Answer(text, Standing.MEASURED, reasons=(reason,))]
    if steps.ratios:
        ordered = sorted(steps.ratios, key=lambda item: item[1])
        low, high = ordered[0], ordered[-1]
        text = f"update-to-weight ratio of the first step: {low[1]:.2g} ({low[0]}) to {high[1]:.2g} ({high[0]})"
        reason = Reason(
            "|change| / |weight|",
            text=text,
            observed=high[1],
            standing=Standing.MEASURED,
            unpredicted="about 1e-3 is usual; what is right depends on the model",
        )
        answers.append(Answer(text, Standing.MEASURED, value=dict(steps.ratios), reasons=(reason,)))
    return answers


def _healthy(steps: Steps) -> str:
    ends = ""
    if steps.scalars:
        ends = f": the loss goes from {number(steps.scalars[0])} to {number(steps.scalars[-1])}"
    return f"Nothing speaks against this training step in {plural(steps.count, 'step')}{ends}, and all is finite."


def _failed(steps: Steps, birth: Birth | None) -> str:
    text = f"The training step returns a non-finite number at step {steps.count - 1}"
    if birth is None or birth.span is None:
        return f"{text}."
    return f"{text}: {birth.primitive} makes the first {birth.result} at {short(birth.span.file)}:{birth.span.line}."


def _subject(problem: Problem) -> str:
    step: Any = problem.train_step
    span = definition(step)
    where = f"   {short(span.file)}:{span.line}" if span is not None else ""
    count = sum(leaf.size for leaf in _float_leaves(problem.state))
    return f"{name_of(step)}(state, ...){where}   {plural(count, 'number')} in its state"
