"""Steps along the gradient and not against it: the loss is climbed.

For a step d from w the loss changes by g·d + O(|d|^2), g its gradient. Every rule that descends begins with g·d < 0
(gradient descent: -s |g|^2; Adam, whose first step is like the sign of g: -s |g|_1). Where g·d > 0 the loss rises by
that, however small the step is: no smaller step and no other precision helps.

What is to be made large (a reward, a likelihood) is climbed on purpose, and then its gradient dies out on the way up.
So it is told only where the run fails or explodes, and the run with the sign of every step turned stays finite, ends
lower, and at a smaller gradient.

Reference: Nocedal and Wright, *Numerical optimization*, 2006, section 2.2 (directions of descent).
"""

from __future__ import annotations

import math

import numpy as np

from qed.answer import Advice, Answer, Finding, Reason, Standing
from qed.why.case import Case
from qed.why.seen import exploding
from qed.why.trial import Run
from qed.why.words import number

ALONG = 0.05
"""The least cosine between step and gradient that is taken for a direction."""
SCALES = (1.0, 0.1, 0.01)
"""By what the turned steps are multiplied: a step may be too large as well."""
SETTLED = 0.5
"""The share of its first gradient at which a run ends that comes to rest."""


def climbs(case: Case, run: Run) -> Answer[float] | None:
    """The steps go uphill, to the run's harm (QED418); None where they do not."""
    if case.prepared.rule is None or case.clock.left <= 0 or not math.isfinite(run.losses[0]) or run.steps < 1:
        return None
    if run.failure is None and (not exploding(list(run.losses)) or run.norms[-1] < SETTLED * run.norms[0]):
        return None  # it does no harm, or comes to rest on the way up: it climbs on purpose
    cosine = _cosine(case)
    if not cosine > ALONG:
        return None
    found = next(((scale, turned) for scale in SCALES if (turned := _turned(case, scale)) is not None), None)
    if found is None:
        return None
    scale, turned = found
    ends = f"becomes {run.failure.value}" if run.failure is not None else f"goes to {number(run.settled)}"
    smaller = "" if scale == 1 else f" and {scale:g} times the step"
    ends += f", with the sign turned{smaller} it ends at {number(turned.settled)}"
    text = f"each step goes along the gradient, uphill: the loss {ends}"
    reason = Reason(
        "the first step beside the gradient at the start",
        formula="f(w + d) - f(w) = g'd + O(|d|^2)",
        text=f"the cosine between them is {cosine:.3g}; a step that descends has a negative one. With every step "
        f"turned{smaller} the loss goes from {number(turned.start)} to {number(turned.settled)}",
        predicted="negative",
        observed=cosine,
        standing=Standing.MEASURED,
    )
    return Answer(
        "the steps go down the gradient",
        Standing.REFUTED,
        value=cosine,
        arithmetic=case.prepared.dtype,
        reasons=(reason,),
        findings=(Finding("QED418", text, None, {"cosine": cosine, "turned": turned.settled}),),
        advice=(Advice(f"turn the sign of the step{smaller}: w - rate * gradient", trial=turned.trial()),),
        recheck=lambda: _cosine(case) > ALONG,
    )


def _turned(case: Case, scale: float) -> Run | None:
    """The run whose steps are turned and scaled, where it comes to rest lower than it began."""
    if case.clock.left <= 0:
        return None
    turned = case.run("given", "the run with the sign of its steps turned", scale=-scale)
    settles = turned.failure is None and turned.settled < turned.start
    return turned if settles and turned.norms[-1] < SETTLED * turned.norms[0] else None


def _cosine(case: Case) -> float:
    """Between the first step and the gradient at the start; nan where either is zero."""
    prepared = case.prepared
    gradient = case.curvature("given").gradient(prepared.parameters, prepared.data)
    g = np.concatenate([np.asarray(x).astype(np.float64).ravel() for x in gradient])
    d = np.concatenate([x.ravel() for x in case.runner("given").update(prepared.parameters, prepared.data)])
    sizes = float(np.linalg.norm(g) * np.linalg.norm(d))
    return float(g @ d) / sizes if sizes else math.nan
