"""Why did this run go wrong, or that it did not: read from its recording, without the loss.

A recording (qed/optimization/recording.py) has norms, not functions: it names steps and leaves, never a line. Each
question is answered by numbers that are in the file, and a finding is made only where no healthy run looks like that:

- finite: the first row in which gradient, loss, update or parameter is not, and in which leaf;
- growth: the loss ends 100 times its own size above its start, ten times as steep; or, without the loss, gradient and
  parameters grow by orders while g+.s > 0, that is, every step ends where the loss already rises along it;
- leaves: one leaf's update and its gradient, both relative to its weights, far from those of all others;
- noise floor: the update is not zero and yet adding it changes no number in the parameters' own dtype;
- edge of stability: rate x curvature along the step, for plain gradient descent, beside its limit 2.

Reference: as in qed/optimization/watch.py; for g+.s > 0 the curvature condition in Nocedal and Wright, *Numerical
Optimization*, 2006, section 3.1.
"""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from qed.answer import Answer, Finding, Measured, Missing, Reason, Standing
from qed.optimization.recording import BIT_GRADIENT, BIT_PARAMETER, Recording, place, read, runs
from qed.why.diagnosis import Diagnosis, Verdict
from qed.why.edge import FEW, edge, rate_times_curvature
from qed.why.mistakes.pace import lags
from qed.why.words import number, plural

ORDERS = 1e3
RISE = 100.0
STUCK = 0.01


def explain(path: Any) -> Answer[Diagnosis]:
    """What a run of a recording shows: the last, or the one that its path names, counted from 0 (``run.qedrec:0``).

    Raises:
        QedError: QED000 where there is no such file, QED007 where it is no recording.
    """
    begun = time.monotonic()
    file, chosen = place(path)
    every = runs(file)
    recording = read(file, chosen)
    finite, first = _finite(recording)
    sound = recording if first is None else _rows(recording, slice(0, first))
    answers = [_growth(sound), finite, _leaves(sound), _floor(sound), _edge(sound), _course(sound)]
    found = [answer for answer in answers if answer is not None]
    findings = tuple(finding for answer in found for finding in answer.findings)
    serious = any(finding.level != "note" for finding in findings)
    steps = _length(recording)
    diagnosis = Diagnosis(
        verdict=_verdict(findings),
        answers=tuple(found),
        findings=findings,
        advice=(),
        losses=tuple(float(x) for x in recording.value[recording.valued]),
        first_bad_step=None if first is None else int(recording.steps[first]),
    )
    return Answer(
        f"the recorded run stays finite, and nothing in it runs away or stands still ({steps})",
        Standing.REFUTED if serious else Standing.MEASURED,
        value=diagnosis,
        arithmetic=_dtype(recording),
        findings=findings,
        missing=(*_missing(recording, sound, first), *_other_runs(file, chosen, len(every))),
        headline=_headline(recording, findings),
        subject=_subject(recording, chosen, len(every)),
        answers=tuple(found),
        meta={"seconds": round(time.monotonic() - begun, 2), "steps": len(recording.steps), "runs": len(every)},
        recheck=lambda: explain(path),
    )


def _rows(recording: Recording, which: slice) -> Recording:
    """The recording of some of its steps."""
    steps = recording.steps[which]
    kept = np.isin(recording.moved_at, steps)
    whole = len(recording.steps)
    arrays = {f.name: getattr(recording, f.name) for f in fields(recording) if f.name not in ("moved", "moved_at")}
    cut = {name: x[which] for name, x in arrays.items() if isinstance(x, np.ndarray) and len(x) == whole}
    return replace(recording, **cut, moved_at=recording.moved_at[kept], moved=recording.moved[kept])


def _dtype(recording: Recording) -> str:
    sizes: dict[str, int] = {}
    for leaf in recording.leaves:
        sizes[leaf.dtype] = sizes.get(leaf.dtype, 0) + leaf.size
    return max(sizes, key=lambda dtype: sizes[dtype], default="float32")


def _measured(claim: str, recording: Recording, predicted: Any, observed: Any, **more: Any) -> Answer[Any]:
    reason = Reason(
        "the recorded numbers", predicted=predicted, observed=observed, standing=Standing.MEASURED, text=claim
    )
    return Answer(claim, Standing.MEASURED, reasons=(reason,), arithmetic=_dtype(recording), **more)


def _refuted(claim: str, recording: Recording, finding: Finding, *texts: tuple[str, str]) -> Answer[Any]:
    reasons = tuple(Reason("the recorded numbers", role=role, text=text) for role, text in texts)
    return Answer(claim, Standing.REFUTED, reasons=reasons, findings=(finding,), arithmetic=_dtype(recording))


# --- finite ---------------------------------------------------------------------------------------------------


def _finite(recording: Recording) -> tuple[Answer[Any], int | None]:
    bits = recording.nonfinite
    lost = recording.valued & ~np.isfinite(recording.value)
    bad = np.flatnonzero(bits.any(axis=1) | lost)
    claim = "gradient, update, parameters" + (" and loss" if recording.valued.any() else "") + " are finite"
    if not len(bad):
        steps = _length(recording)
        return _measured(f"{claim} ({steps})", recording, "finite", "finite"), None
    row = int(bad[0])
    what, leaves = _what(recording, row)
    step, names = int(recording.steps[row]), [recording.leaves[i].path for i in leaves]
    where = f" in {names[0]}" if len(names) == 1 else f" in {len(names)} of {len(recording.leaves)} leaves"
    texts = [("where", f"step {step}: {what} is not finite{where if names else ''}")]
    gap = step - int(recording.steps[row - 1]) if row else 1
    if gap > 1 and not step % recording.stride:  # other steps have a row because the loss or a small array was bad
        texts.append(("where", f"or at one of the {plural(gap - 1, 'step')} before it, which have no row"))
    if len(names) > 1:
        texts.append(("where", f"the leaves are {_listed(names)}"))
    elif names and len(recording.leaves) > 1:
        texts.append(("where", f"at that step it is the only one of {len(recording.leaves)} leaves"))
    if what != "the loss" and recording.valued[row]:
        texts.append(("then", f"the loss at that step is {number(float(recording.value[row]))}"))
    norms = recording.total("gradient")
    before = float(norms[row - 1]) if row else None
    if before is not None:
        texts.append(
            ("because", f"the gradient norm was {number(before)} one step before, {number(norms[0])} at first")
        )
    witness = {"step": step, "what": what, "leaves": names, "gradient_norm_before": before}
    finding = Finding("QED210", f"{what} is not finite at step {step}{where if names else ''}", witness=witness)
    return _refuted(claim, recording, finding, *texts), row


def _what(recording: Recording, row: int) -> tuple[str, list[int]]:
    """What is not finite first at a step, in the order in which a step makes them, and in which leaves."""
    bits = recording.nonfinite[row]
    in_parameter, in_gradient = np.flatnonzero(bits & BIT_PARAMETER), np.flatnonzero(bits & BIT_GRADIENT)
    if len(in_parameter):
        return "the parameter", in_parameter.tolist()
    if recording.valued[row] and not np.isfinite(recording.value[row]) and not len(in_gradient):
        return "the loss", []
    if len(in_gradient):
        return "the gradient", in_gradient.tolist()
    return "the update, though the gradient is,", np.flatnonzero(bits).tolist()


def _listed(names: list[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


# --- growth ---------------------------------------------------------------------------------------------------


def _length(recording: Recording) -> str:
    """How long the run is, in words."""
    if recording.stride == 1:
        return plural(len(recording.steps), "step")
    whole = int(recording.steps[-1] - recording.steps[0]) + 1
    return f"{plural(whole, 'step')}, one in {recording.stride} recorded"


def _window(recording: Recording) -> int:
    return max(2, len(recording.steps) // 20)


def _growth(recording: Recording) -> Answer[Any] | None:
    if len(recording.steps) < FEW:
        return None
    size = _window(recording)
    if recording.valued.all():
        early, late = recording.value[:size], float(np.median(recording.value[-size:]))
        start, spread = float(np.median(early)), float(np.ptp(early))
        pull = recording.total("gradient")
        steeper = np.median(pull[-size:]) > 10 * pull[:size].max()  # a loss that plays against another stays as steep
        if late <= start + RISE * max(abs(start), spread, 1e-12) or not steeper:
            return None
        claim, code = "the loss does not run away", "QED403"
        begin, end = float(recording.value[0]), float(recording.value[-1])
        message = f"the loss goes from {number(begin)} to {number(end)} in {_length(recording)}"
        texts = [("because", message)]
    else:
        gradient, weight = recording.total("gradient"), recording.total("parameter")
        late, first = float(np.median(gradient[-size:])), float(gradient[:size].max())
        grows = late > ORDERS * first > 0 and late > 0.1 * gradient.max()
        heavier = np.median(weight[-size:]) > 10 * weight[:size].max()
        if not (grows and heavier and _overshoots(recording, size)):
            return None
        claim, code = "gradient and parameters do not run away", "QED410"
        begin, end = float(gradient[0]), float(gradient[-1])
        message = f"the gradient norm goes from {number(begin)} to {number(end)}, and each step overshoots"
        texts = [("because", message), ("because", "g+.s > 0: where each step ends the loss rises along it")]
    witness = {"start": begin, "end": end}
    middle = rate_times_curvature(recording, size)
    if middle is not None and middle[1] > 2:
        texts.append(("then", f"rate x curvature along the step is {middle[1]:.3g} at the end; the limit is 2"))
        witness["rate_times_curvature"] = middle[1]
    return _refuted(claim, recording, Finding(code, message, witness=witness), *texts)


def _overshoots(recording: Recording, size: int) -> bool:
    """Whether g+.s > 0 for most of the last steps, s a step along which the gradient before it promised descent."""
    told = np.flatnonzero(np.isfinite(recording.after) & np.isfinite(recording.before))[-size:]
    before, after = recording.before, recording.after
    return len(told) == size and bool(np.mean((after[told] > 0) & (before[told] < 0)) > 0.8)


# --- leaves ---------------------------------------------------------------------------------------------------


def _leaves(recording: Recording) -> Answer[Any] | None:
    moving = recording.total("update") > 0
    rows = np.flatnonzero(moving & (np.arange(len(moving)) >= len(moving) // 2))
    if len(rows) < FEW:
        return None
    known = (recording.parameter > 0).all(axis=0) & (recording.gradient > 0).any(axis=0)
    large = np.array([len(leaf.shape) >= 2 and leaf.size >= 16 for leaf in recording.leaves])
    compared = np.flatnonzero(known & large)
    if len(compared) < 3:
        return None
    weight = recording.parameter[rows][:, compared]
    ratio = np.median(recording.update[rows][:, compared] / weight, axis=0)
    pull = np.median(recording.gradient[rows][:, compared] / weight, axis=0)
    for i, leaf in enumerate(compared):
        others = float(np.delete(ratio, i).max()), float(np.delete(pull, i).max())
        name = recording.leaves[leaf].path
        slow = lags(ratio, pull, i)
        fast = ratio[i] > max(1.0, ORDERS * others[0]) and pull[i] > ORDERS * others[1] > 0
        if slow or fast:
            code, word = ("QED405", "below") if slow else ("QED406", "above")
            times = others[0] / ratio[i] if slow else ratio[i] / others[0]
            pace = f"{number(float(ratio[i]))} of its weights a step"
            message = f"{name} moves by {pace}, {float(times):.3g} times {word} the fastest other leaf"
            pulled = f"gradient over weights: {number(float(pull[i]))}; of the others at most {number(others[1])}"
            witness = {"leaf": name, "ratio": float(ratio[i]), "others": others[0], "gradient": float(pull[i])}
            finding = Finding(code, message, witness=witness)
            return _refuted(
                "all leaves learn at a like pace", recording, finding, ("because", message), ("then", pulled)
            )
    span = f"{number(float(ratio.min()))} to {number(float(ratio.max()))}"
    claim = f"update-to-weight ratios of {len(compared)} leaves lie within {span}; none vanishes or explodes"
    return _measured(claim, recording, "of like size", [float(ratio.min()), float(ratio.max())])


# --- noise floor ----------------------------------------------------------------------------------------------


def _floor(recording: Recording) -> Answer[Any] | None:
    rows = np.searchsorted(recording.steps, recording.moved_at)
    sizes = np.array([leaf.size for leaf in recording.leaves], np.float64)
    usable = (recording.total("update")[rows] > 0) & np.isfinite(recording.moved).all(axis=1)
    rows, moved = rows[usable], recording.moved[usable]
    if len(rows) < 2 or not sizes.sum():
        return None
    share = moved @ sizes / sizes.sum()
    stuck = share < STUCK
    norm, size = recording.total("gradient"), _window(recording)
    pulled = float(np.median(norm[-size:]) / max(float(np.median(norm[:size])), 1e-300))
    still = moved[-1] == 0
    last = recording.parameter[rows[-1] - min(FEW, int(rows[-1])) : rows[-1] + 1][:, still]
    constant = still.any() and bool((last == last[0]).all())
    if stuck[-1] and stuck.mean() >= 0.5 and pulled >= STUCK and constant:
        dtype, step = _dtype(recording), int(recording.steps[rows[-1]])
        ratio = float(recording.total("update")[rows[-1]] / recording.total("parameter")[rows[-1]])
        message = f"at step {step} the update changes {100 * share[-1]:.2g} % of the parameters' numbers in {dtype}"
        witness = {"step": step, "moved": float(share[-1]), "ratio": ratio, "gradient_against_start": pulled}
        return _refuted(
            "the updates reach the parameters",
            recording,
            Finding("QED404", message, witness=witness),
            ("because", f"{message}, though it is not zero: its norm is {number(ratio)} of theirs"),
            ("then", f"the same at {int(stuck.sum())} of {plural(len(rows), 'step')} looked at"),
            ("then", f"the gradient is not gone: its norm is {number(pulled)} of that at the start"),
        )
    claim = f"the last update looked at changes {100 * share[-1]:.3g} % of the parameters' numbers"
    return _measured(claim, recording, "most of them", float(share[-1]))


# --- edge of stability ----------------------------------------------------------------------------------------


def _edge(recording: Recording) -> Answer[Any] | None:
    seen = edge(recording)
    if seen is None:
        return None
    error = Measured((seen.high - seen.low) / 2, "80 % of the steps")
    return _measured(seen.claim, recording, seen.limit, seen.middle, error=error)


# --- the course -----------------------------------------------------------------------------------------------


def _course(recording: Recording) -> Answer[Any] | None:
    if len(recording.steps) < FEW:
        return None
    size, norm = _window(recording), recording.total("gradient")
    end, ends = float(np.median(norm[-size:])), f"(median of the last {plural(size, 'step')})"
    gradient = f"the gradient norm goes from {number(float(norm[0]))} to {number(end)} {ends}"
    if not recording.valued.all():
        return _measured(gradient, recording, "no more than before", end)
    quarters = [float(np.median(part)) for part in np.array_split(recording.value, 4)]
    start, last = float(np.median(recording.value[:size])), float(np.median(recording.value[-size:]))
    text = f"the loss goes from {number(float(recording.value[0]))} to {number(last)} {ends}"
    fall = start - quarters[3]
    if len(recording.steps) >= 40 and fall > 0 and abs(quarters[2] - quarters[3]) <= 0.01 * fall:
        near = np.flatnonzero(recording.value <= quarters[3] + 0.01 * fall)
        since = int(recording.steps[near[0]]) if len(near) else int(recording.steps[-1])
        text += f", a plateau since about step {since}; {gradient}"
    return _measured(text, recording, "lower than at the start", last)


# --- together -------------------------------------------------------------------------------------------------


def _verdict(findings: tuple[Finding, ...]) -> Verdict:
    codes = {finding.code for finding in findings}
    if "QED210" in codes:
        return Verdict.NONFINITE
    if codes & {"QED403", "QED410"}:
        return Verdict.DIVERGES
    return Verdict.UNDECIDED if codes else Verdict.HEALTHY


def _missing(recording: Recording, sound: Recording, first: int | None) -> list[Missing]:
    found = []
    if first is not None:
        how = "qed why on the script, or a Problem with the loss"
        found.append(Missing("the line in which it is born: a recording has leaves, not lines", settle=how))
    if len(sound.steps) < FEW:
        found.append(Missing("growth, leaves and noise floor", settle=f"{FEW} finite steps or more"))
    if np.isnan(recording.curvature).all() and len(recording.steps) >= FEW:
        how = "qed.watch(optimizer, curvature=True), which keeps one more copy of the parameters"
        found.append(Missing("the curvature along the step", settle=how))
    if not recording.valued.all():
        found.append(Missing("whether the loss falls", settle="tx.update(gradient, state, parameters, value=loss)"))
    if not np.isfinite(recording.parameter[0]).any() and not (recording.nonfinite[0] & BIT_PARAMETER).any():
        found.append(Missing("how updates compare with parameters", settle="tx.update(gradient, state, parameters)"))
    return found


def _headline(recording: Recording, findings: tuple[Finding, ...]) -> str:
    if not findings:
        return f"Nothing in this recording speaks against the run ({_length(recording)})."
    first = findings[0].message
    text = first[0].upper() + first[1:]
    if len(findings) > 1 and findings[0].code in ("QED403", "QED410") and findings[1].code == "QED210":
        return f"{text}; then {findings[1].message}."
    return f"{text}."


def _other_runs(file: str, chosen: int, count: int) -> list[Missing]:
    if count == 1:
        return []
    first = 1 if chosen % count == 0 else 0
    others = f"the other {plural(count - 1, 'run')} of this file"
    return [Missing(others, settle=f"qed why {Path(file).name}:{first} for run {first + 1}, counted from 0")]


def _subject(recording: Recording, chosen: int, count: int) -> str:
    size = sum(leaf.size for leaf in recording.leaves)
    run = f"run {chosen % count + 1} of {count}, " if count > 1 else ""
    steps = f"steps {int(recording.steps[0])} to {int(recording.steps[-1])}"
    leaves = "1 leaf" if len(recording.leaves) == 1 else f"{len(recording.leaves)} leaves"
    parts = (Path(recording.path).name, f"{run}{steps}", f"{leaves}, {plural(size, 'parameter')}, {_dtype(recording)}")
    return "   ".join(parts)
