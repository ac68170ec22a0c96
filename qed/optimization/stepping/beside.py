"""What is said beside the stable steps: narrow valleys for momentum, the zigzag of the run, the noise of the examples.

Each part is asked for by what the optimizer says: momentum asks for valleys, a rate without momentum for the zigzag,
batch=ROWS for batches; the noise of the gradients of single examples is said wherever the loss is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qed.answer import Advice, Missing, Reason, Trial
from qed.calculus.lanczos import EigenPair
from qed.errors import QedError
from qed.findings import Finding
from qed.optimization.examples import Examples, examples_of
from qed.optimization.objective import Objective
from qed.optimization.step import StepRule
from qed.optimization.stepping import batches, noise, valleys
from qed.optimization.stepping.trials import STEPS, tried_run
from qed.standing import Standing

Array = np.ndarray
FEW = 1 << 17
"""Up to how many examples it is tried whether the loss is their mean."""
OPPOSITE = -0.5
"""Below which mean cosine between successive steps a run is said to zigzag."""


@dataclass(eq=False)
class Beside:
    """What is added to an answer: values by the names of the fields of a `StepSize`, and what carries them."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)


def beside(
    objective: Objective,
    asked: tuple[Callable[..., Any], Any, Sequence[Any]],
    rule: StepRule | None,
    batch: int | None,
    high: EigenPair,
    low: EigenPair,
    best: float | None,
    seed: int,
) -> Beside:
    """What is said beside the stable steps.

    Args:
        objective: the loss, at the point at which it was read.
        asked: (fun, x, args).
        rule: gradient descent, with momentum perhaps; None for another rule.
        batch: examples a step, where that was asked for.
        high: the largest curvature.
        low: the largest of -f; of a rule that is not None.
        best: the best fixed step at the point.
        seed: of what is drawn.

    Raises:
        QedError: QED007 where a batch is asked for, and the data has no rows.
    """
    found = Beside()
    if rule is not None:
        _valleys(found, objective, rule, high, low)
    _examples(found, objective, asked, rule, batch, high, best, seed)
    return found


def _valleys(found: Beside, objective: Objective, rule: StepRule, high: EigenPair, low: EigenPair) -> None:
    x = objective.start
    if rule.momentum:
        own = valleys.own_valley(objective, x, -low.value, low.vector, high.value, high.vector)
        known = (*valleys.valleys(), *(() if own is None else (own,)))
        found.values["valleys"] = known
        found.reasons += valleys.told(known)
    elif rule.rate is not None and 0 < -low.value < high.value and rule.rate < rule.limit(high.value):
        _zigzag(found, objective, rule.rate, -low.value, high.value)


def _zigzag(found: Beside, objective: Objective, rate: float, low: float, high: float) -> None:
    """The note that the run goes to and fro across a valley, where momentum went farther in as many steps."""
    cosine = valleys.zigzag(objective, objective.start, rate, STEPS)
    found.values["zigzag"] = cosine
    if not cosine < OPPOSITE:
        return
    root = math.sqrt(high / low)
    r, step = (root - 1) / (root + 1), 4 / (math.sqrt(low) + math.sqrt(high)) ** 2
    heavy = StepRule("sgd", step, (("momentum", r * r),))
    start = objective.at(objective.start).f
    plain, end = (
        tried_run(objective, objective.start, each, s, STEPS)[1] for each, s in ((StepRule("sgd"), rate), (heavy, step))
    )
    if not (math.isfinite(plain) and math.isfinite(end) and end < plain - objective.noise(start)):
        return
    text = (
        f"successive steps are nearly opposite (their mean cosine is {cosine:.2f}): the run goes to and fro across a "
        f"valley of condition {high / low:.3g}"
    )
    found.reasons.append(
        Reason(
            "the zigzag", "cos(d_k, d_k+1)", f"{cosine:.4f}", predicted=(low**2 - high**2) / (low**2 + high**2),
            observed=cosine, standing=Standing.MEASURED, role="zigzag", text=text,
        )
    )  # fmt: skip
    found.findings.append(Finding("QED417", text, None, {"rate": rate, "cosine": cosine, "condition": high / low}))
    found.advice.append(Advice(f"momentum: {heavy}", patch=str(heavy), trial=Trial(STEPS, start, end, 0, True)))


def _examples(
    found: Beside,
    objective: Objective,
    asked: tuple[Callable[..., Any], Any, Sequence[Any]],
    rule: StepRule | None,
    batch: int | None,
    high: EigenPair,
    best: float | None,
    seed: int,
) -> None:
    fun, x, args = asked
    if batch is not None:
        Examples(fun, x, args)  # the error that says what rows are
    examples = examples_of(fun, x, args, FEW)
    if examples is None:
        if batch is not None:
            what = f"the loss is not the mean over its rows, or they are more than {FEW}: a batch is no sample of it"
            found.missing.append(Missing(what, "a loss that is a mean over the rows of X, y: fun(w, X, y)", "QED007"))
        return
    try:
        seen = noise.noise_at(examples, high.vector, seed)
    except QedError:
        return
    found.values["noise"] = seen
    found.reasons.append(noise.told(seen, batch is not None))
    if batch is None or rule is None:
        return
    rate = rule.rate if rule.rate is not None else best
    if rate is None:
        return
    runs = batches.tried(examples, rule, rate, batch, seen.scale, seed)
    floors = () if rule.momentum else batches.floors(examples, objective, rate, batch, seed)
    found.values |= {"batches": runs, "floors": floors}
    found.reasons += batches.told(runs, floors, batch, seen.scale)
