"""Features of very different scales: the step that the largest column allows is too small for the others.

With columns of standard deviation s_1 >> s_2 the Hessian of a linear layer has entries s_i^2, so that its condition
number is about (s_1 / s_2)^2. Gradient descent takes some kappa steps for each digit, and the stable step is set by the
widest column alone. Dividing each column by its deviation removes that.

It is told only where it was tried: the columns' deviations differ by a factor of 30 or more; the run on standardised
columns, with a step below the limit there, ends clearly lower than the user's run and also clearly lower than the
largest stable step on the columns as they are. A run that fails or diverges has its own findings, with the same remedy.

Reference: LeCun, Bottou, Orr and Müller, *Efficient backprop*, 1998, sections 4.3 and 5.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.mistakes.tried import clearly_lower
from qed.why.remedies import feature_axes, scaled_data
from qed.why.stability import SAFETY
from qed.why.trial import Run
from qed.why.words import number

APART = 30.0


def different_scales(case: Case, run: Run) -> list[Answer[Any]]:
    """Columns of very different scales that slow a finite run down (QED415)."""
    rate = case.rule.rate
    if run.failure is not None or run.steps == 0 or not case.rule.is_gradient_descent or rate is None:
        return []
    found = _widest(case)
    if found is None or case.clock.left <= 0:
        return []
    scaled = scaled_data(case)
    if scaled is None:
        return []
    data, names = scaled
    own, theirs = _bold(case, None), _bold(case, data)
    if own is None or theirs is None or not clearly_lower(theirs[1], run) or not clearly_lower(theirs[1], own[1]):
        return []
    return [_answer(case, run, names, found, own, theirs)]


def _widest(case: Case) -> tuple[str, float, float] | None:
    """(name of the array, or of two, largest and smallest deviation of the columns), where they are far apart."""
    found: list[tuple[float, str]] = []
    for columns in feature_axes(case):
        x = np.asarray(case.prepared.traced.leaves[columns.position]).astype(np.float64)
        axes = tuple(i for i in range(x.ndim) if i != columns.axis)
        deviations = np.atleast_1d(x.std(axis=axes))
        spread = deviations[deviations > 1e-7 * (1e-30 + np.abs(x).max())]
        found += [(float(deviation), case.prepared.traced.paths[columns.position]) for deviation in spread]
    if len(found) < 2 or max(found)[0] <= APART * min(found)[0]:
        return None
    (narrow, one), (wide, other) = min(found), max(found)
    return (one if one == other else f"{one} and {other}"), wide, narrow


def _bold(case: Case, data: tuple[Any, ...] | None) -> tuple[float, Run] | None:
    """(step, run) just below the limit at the start."""
    if case.clock.left <= 0:
        return None
    steep = case.steepness("given", case.prepared.parameters, data)
    if steep.limit is None or not math.isfinite(steep.limit) or case.rule.rate is None:
        return None
    step = float(f"{SAFETY * steep.limit:.2g}")
    return step, case.run("given", "a step below the limit", data=data, scale=step / case.rule.rate, share=0.4)


def _answer(
    case: Case,
    run: Run,
    names: str,
    found: tuple[str, float, float],
    own: tuple[float, Run],
    theirs: tuple[float, Run],
) -> Answer[Any]:
    path, wide, narrow = found
    text = (
        f"the columns of {path} have deviations from {narrow:.3g} to {wide:.3g}: standardised, the run ends at "
        f"{number(theirs[1].settled)} in place of {number(run.settled)}"
    )
    reason = Reason(
        "three runs were made",
        formula="kappa ~ (s_1 / s_2)^2",
        with_numbers=f"({wide:.3g} / {narrow:.3g})^2 = {(wide / narrow) ** 2:.2g}",
        role="witness",
        text=f"{case.rule} ends at {number(run.settled)}; step {own[0]:g}, just stable on the columns as they are, at "
        f"{number(own[1].settled)}; step {theirs[0]:g} on standardised columns at {number(theirs[1].settled)}",
        predicted=theirs[1].settled,
        observed=run.settled,
        standing=Standing.MEASURED,
    )
    witness = {
        "array": path,
        "widest": wide,
        "narrowest": narrow,
        "end": run.settled,
        "standardised": theirs[1].settled,
    }
    return Answer(
        "the columns of the data are on one scale, or it does no harm",
        Standing.REFUTED,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED415", text, None, witness),),
        advice=(Advice(f"standardise the columns of {names}, step {theirs[0]:g}", trial=theirs[1].trial()),),
        recheck=lambda: _widest(case) is not None,
    )
