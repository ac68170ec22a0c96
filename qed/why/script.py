"""`qed why train.py`: a whole training script, run as it is, and diagnosed from what it did.

The script runs as ``__main__`` under a recorder (`qed.why.recorder`) until it ends, makes its first non-finite
number, or its loss rises for long. The recorder meets the loss with concrete arrays at the first steps and at the one
that fails; from there on it is the question of `qed.why` for that loss.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qed.answer import Answer, Missing
from qed.errors import QedError
from qed.graph.arguments import call_arguments
from qed.graph.source import is_library
from qed.graph.trace import is_float, parameter_names
from qed.graph.untraceable import user_line
from qed.progress import Progress
from qed.why.applied import forgotten_state, never_applied, plan_is_over
from qed.why.case import DEFAULT_BUDGET
from qed.why.diagnose import why, why_failed
from qed.why.diagnosis import Diagnosis
from qed.why.hidden import why_call, why_hidden
from qed.why.identify import Identified, captured, identify, in_proportion
from qed.why.one_key import Drawn, drawn, one_key, without_fit
from qed.why.problem import Problem
from qed.why.recorder import Recorder, StopTraining
from qed.why.running import run_here
from qed.why.seen import Differentiated, exploding
from qed.why.told import settled, told, with_failure
from qed.why.words import plural

_BORN_BEFORE = (
    "the curvature and the step limit: the numbers that the loss is given are not finite already, and they are made "
    "in the step before it"
)
_BORN_AFTER = (
    "the curvature and the step limit along the run: loss and gradient are finite, and what becomes of them in the "
    "update is not"
)
LONGEST = 160  # characters of another library's message
FIRST = 4  # steps that are kept whole: with one less, Nesterov's variant looks like a heavy ball


@dataclass(frozen=True, eq=False)
class Script:
    """What a script did under the recorder.

    Args:
        path: the file.
        recorder: its notes.
        ended: why it ended: 'its own end', 'the first non-finite number', ...
    """

    path: Path
    recorder: Recorder
    ended: str


def run_script(path: Path, arguments: Sequence[str], *, steps: int | None, stdout: Any = None) -> Script:
    """Run a script as ``python path arguments`` would, under a recorder.

    Raises:
        QedError: QED000 where there is no such file, QED001 where the script itself fails.
    """
    if not path.is_file():
        folder = path.resolve().parent.name
        raise QedError("QED000", f"there is no file {path}", f"looked in {folder}/", "check the path")
    recorder = Recorder(most=steps, keep=FIRST)
    argv, sys.argv = sys.argv, [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    ended = "its own end"
    try:
        with recorder, contextlib.redirect_stdout(stdout or sys.stdout):
            run_here(path, recorder.process)
    except StopTraining:
        ended = recorder.reason
    except KeyboardInterrupt:
        ended = "an interrupt"
    except SystemExit as error:
        if error.code not in (None, 0) and recorder.finite:
            raise _failed(path, error) from error
    except Exception as error:
        if recorder.finite:
            raise _failed(path, error) from error
        ended = f"its own {type(error).__name__}"
    finally:
        sys.argv = argv
    gc.collect()  # what the script alone held
    return Script(path, recorder, ended)


def _failed(path: Path, error: BaseException) -> QedError:
    span = user_line(error)
    first = (str(error).strip().splitlines() or [""])[0]
    first = first if len(first) <= LONGEST else f"{first.partition('. ')[0][:LONGEST]} ..."
    return QedError(
        "QED001",
        f"{path} ended with an exception" + (f" at {span}" if span else ""),
        f"{type(error).__name__}: {first}",
        "make it run with python first; its own arguments stand behind --: qed why train.py -- ARGS",
        span,
    )


def why_script(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    steps: int | None = None,
    budget: float = DEFAULT_BUDGET,
    progress: Progress | None = None,
    first_verdict: Callable[[str], None] | None = None,
    stdout: Any = None,
) -> Answer[Diagnosis]:
    """Why does this training script become NaN or diverge; or that nothing is wrong, and what was checked.

    Args:
        path: the script.
        arguments: its own command line.
        steps: stop it after this many steps.
        budget: seconds for the diagnosis, the script's own time not counted.
        progress: called with (what, done, total).
        first_verdict: called with the cheap verdict.
        stdout: where the script's own output goes; default: where it would go.

    Raises:
        QedError: where the script fails by itself, or never differentiates anything.
    """
    script = run_script(Path(path), arguments, steps=steps, stdout=stdout)
    recorder = script.recorder
    stopped = script.ended != "its own end"
    if recorder.last is None:
        raise QedError(
            "QED011",
            f"{path} never computes a gradient" + (f": it was ended by {script.ended}" if stopped else ""),
            "no call of jax.grad, jax.value_and_grad, jax.vjp, jax.linearize, jax.jvp, a Jacobian of a scalar, or of "
            "a jitted function that uses them was seen",
            "let it come to its first step"
            if stopped
            else "check that the training runs when the file runs as a "
            "script, and takes its gradient with jax.grad, jax.value_and_grad or jax.vjp",
        )
    if first_verdict is not None:
        first_verdict(_seen(script))
    notes = _first_notes(recorder)
    if not notes:
        return why_hidden(str(path), recorder, script.ended, budget)
    found = _rule(recorder, notes)
    failing = None if recorder.failed is None else next((n for n in recorder.failed.seen if not n.finite), None)
    curve = recorder.loss_curve(notes[0].value)
    on_purpose = found.climbs and failing is None and not exploding(curve)
    found = replace(found, rule=None) if on_purpose else found
    answer = _ask(script, notes[0], failing, found, budget, progress)
    if found.climbs and found.rule is not None and not any(f.code == "QED418" for f in answer.findings):
        found = replace(found, rule=None)  # it climbs, and that is not what is wrong
        answer = _ask(script, notes[0], failing, found, budget, progress)
    batches = _batches(notes) or (failing is None and _drifted(answer, notes[0]))
    apart = found.rule is not None and (found.rule.transformation is not None or batches)
    if apart and _contradicted(recorder, answer, curve) and not (_follows(answer, curve) and not batches):
        words = "a trial run on the data of one step alone does not do what the script does"
        found = replace(found, rule=None, words=words)
        answer = _ask(script, notes[0], failing, found, budget, progress)
    compared = len(notes) > 1 and found.rule is not None and not recorder.large
    draws = drawn([as_problem(note, found.rule, budget) for note in notes]) if compared else None
    if draws is not None and not draws.same:
        answer = without_fit(answer)
    if any(finding.code == "QED611" for finding in answer.findings):
        draws = None  # it is said already
    own = _applied(recorder, notes, found, failing, draws, budget)
    answer = told(script, answer, found, failing, curve, own)
    if found.rule is None or not batches:
        return answer
    other = Missing("the other batches: limit and trial runs are for the data of one step")
    return replace(answer, missing=(*answer.missing, other))


def _applied(
    recorder: Recorder,
    notes: list[Differentiated],
    found: Identified,
    failing: Differentiated | None,
    draws: Drawn | None,
    budget: float,
) -> list[Answer[Any]]:
    """What the script does with the updates of its optimiser, where that is a mistake."""

    def asked(rule: Any) -> Problem:
        return as_problem(notes[0], rule, budget)

    answer = never_applied(recorder, notes)
    if answer is None:
        answer = forgotten_state(recorder, notes, asked)
    planned = found.rule is not None and found.rule.transformation is not None and failing is None
    if answer is None and planned:
        answer = plan_is_over(recorder, found, asked(found.rule))
    if answer is None and draws is not None and failing is None and not found.climbs:
        answer = one_key(draws, recorder.steps)
    return [] if answer is None else [answer]


def _contradicted(recorder: Recorder, answer: Answer[Diagnosis], curve: list[float]) -> bool:
    """Whether a captured rule is blamed for what did not happen: the script's own loss did not rise."""
    blamed = any(finding.code in ("QED401", "QED403") for finding in answer.findings)
    rose = bool(curve) and settled(curve) > curve[0]
    return blamed and recorder.finite and not rose


def _follows(answer: Answer[Diagnosis], curve: list[float]) -> bool:
    """Whether the trial run has the losses of the script's own first steps."""
    count = min(len(answer.losses), len(curve), 2 * FIRST)
    return count > 2 and np.allclose(answer.losses[:count], curve[:count], rtol=5e-2)


def _rule(recorder: Recorder, notes: list[Differentiated]) -> Identified:
    """The step rule: from the observed steps, else the optax transformation that made them."""
    if recorder.large:
        return Identified(None, "of a model of this size only the first and the failing step are kept", math.nan)
    points, gradients = [n.at for n in notes], [n.gradient for n in notes]
    found = identify(points, gradients)
    if not recorder.updates or (found.rule is not None and (found.climbs or in_proportion(recorder.updates[0]))):
        return found
    other = captured(points, gradients, recorder.updates)
    if found.rule is not None:
        return found if other.rule is None else replace(found, rule=other.rule)
    return replace(found, rule=other.rule) if other.rule is not None else _because(found, other.words)


def _because(found: Identified, words: str) -> Identified:
    return replace(found, words=f"{found.words}, and {words}")


def _batches(notes: list[Differentiated]) -> bool:
    """Whether the first steps saw different data."""
    first, *others = (_data(note) for note in notes)
    return any(len(first) != len(other) or not all(map(np.array_equal, first, other)) for other in others)


def _drifted(answer: Answer[Diagnosis], first: Differentiated) -> bool:
    """Whether the loss, evaluated again, is another: it reads global data that the script has changed since."""
    start = answer.losses[0] if answer.losses else first.value
    return not math.isclose(start, first.value, rel_tol=5e-2, abs_tol=1e-6)


def _data(note: Differentiated) -> list[np.ndarray]:
    """The float arrays beside the parameters: further arguments, and arrays (or a batch of them) closed over."""
    others = [a for i, a in enumerate(note.args) if i != note.argnum]
    for cell in getattr(note.fun, "__closure__", None) or ():
        content = cell.cell_contents
        parts = list(content.values() if type(content) is dict else content if type(content) is tuple else [content])
        others += parts if all(hasattr(part, "dtype") for part in parts) else []
    return [np.asarray(a) for a in jax.tree.leaves(others) if is_float(a) and np.ndim(a)]


def _first_notes(recorder: Recorder) -> list[Differentiated]:
    notes: list[Differentiated] = []
    for call in recorder.first or [c for c in (recorder.failed,) if c is not None]:
        for note in call.seen:
            if not notes or _same_loss(notes[0], note):
                notes.append(note)
    return notes[:FIRST]


def _same_loss(one: Differentiated, other: Differentiated) -> bool:
    """Whether both are the same function of the same parameters: two players of a game may differ in shapes alone."""
    alike = one.argnum == other.argnum and jax.tree.structure(one.at) == jax.tree.structure(other.at)
    shapes = [[np.shape(leaf) for leaf in jax.tree.leaves(note.at)] for note in (one, other)]
    codes = [getattr(users_own(note.fun), "__code__", None) for note in (one, other)]
    return alike and shapes[0] == shapes[1] and codes[0] is codes[1]


def users_own(fun: Any) -> Any:
    """The user's function inside a library's wrapper of it; the function itself where none is found."""
    waiting, seen = [fun], []
    while waiting and len(seen) < 20:
        inner = waiting.pop(0)
        seen.append(inner)
        code = getattr(inner, "__code__", None)
        if code is not None and not is_library(code.co_filename):
            return inner
        found = [getattr(inner, name, None) for name in ("__wrapped__", "_fun", "fun", "func")]
        for cell in getattr(inner, "__closure__", None) or ():
            with contextlib.suppress(ValueError):
                found.append(cell.cell_contents)
        waiting += [f for f in found if f is not None and (callable(f) or hasattr(f, "_fun"))]
    return fun


def as_problem(note: Differentiated, step: Any, budget: float) -> Problem:
    """The recorded evaluation as a `Problem`."""
    position, fun, kwargs = note.argnum, note.fun, note.kwargs

    @functools.wraps(fun)
    def loss(at: Any, *others: Any) -> Any:
        full = list(others)
        full.insert(position, at)
        return fun(*full, **kwargs)

    if position:
        names = parameter_names(fun, len(note.args))
        call_arguments(loss, [names[position], *names[:position], *names[position + 1 :]])
    elif (own := users_own(fun)) is not fun:
        functools.update_wrapper(loss, own)
    others = tuple(a for i, a in enumerate(note.args) if i != position)
    return Problem(loss, note.at, others, step=step, has_aux=note.has_aux, budget=budget)


def _ask(
    script: Script,
    first: Differentiated,
    failing: Differentiated | None,
    found: Identified,
    budget: float,
    progress: Progress | None,
) -> Answer[Diagnosis]:
    """From the first step with the identified rule; from the failing step where that does not show the failure."""
    if script.recorder.large and failing is not None:
        since = script.recorder.failed_at
        return why_failed(as_problem(failing, None, budget), failing.value, since=since, progress=progress)
    rule = found.rule
    answer = None
    if first.finite:
        answer = why(as_problem(first, rule, budget), progress=progress)
    failed = script.recorder.failed
    if failing is None:
        answer = answer if answer is not None else why(as_problem(first, None, budget), progress=progress)
        if failed is not None and failed.args and failed.born_after_the_loss and not answer.findings:
            return why_call(failed, Missing(_BORN_AFTER), budget)
        return answer
    guessed = rule is not None and rule.transformation is not None
    if answer is not None and answer.first_bad_step is not None:
        if not guessed or any(finding.code in ("QED401", "QED418") for finding in answer.findings):
            return answer
    if failed is not None and failed.args and failed.born_before_the_loss:
        return why_call(failed, Missing(_BORN_BEFORE), budget)
    try:
        at_failure = why(as_problem(failing, None, budget), progress=progress)
    except QedError as error:
        at = 0 if failed is None else failed.step
        if error.code != "QED006" or not at:
            raise
        last = script.recorder.last_update
        if last is not None and (update := last.as_call(at - 1)).makes_what_is_not_finite:
            return why_call(update, Missing(_BORN_AFTER), budget)
        what = f"at step {at} of the script {error.what}"
        raise QedError(error.code, what, error.because, error.instead, error.span, error.detail) from error
    if answer is not None and exploding(script.recorder.losses) and any(f.code == "QED401" for f in answer.findings):
        return with_failure(answer, at_failure, 0 if failed is None else failed.step)
    return at_failure if at_failure.findings or answer is None else answer


def _seen(script: Script) -> str:
    recorder = script.recorder
    text = f"{plural(recorder.steps, 'step')} seen"
    if recorder.failed is not None:
        text += ", the last one not finite"
    return f"{text}; ended by {script.ended}"
