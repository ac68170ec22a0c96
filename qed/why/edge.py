"""The curvature along the steps of a recorded run, beside the limit that a step rule sets it.

Plain gradient descent with rate r multiplies an error along a direction of curvature c by 1 - r c at each step: beyond
r c = 2 steps overshoot by more than they correct, and training of networks is often found near that value, the edge of
stability. The curvature is that along the step made, a mean over the directions that the step is made of.

Reference: Cohen, Kaur, Li, Kolter and Talwalkar, *Gradient descent on neural networks typically occurs at the edge of
stability*, ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qed.optimization.recording import Recording
from qed.why.words import number

FEW = 8


@dataclass(frozen=True)
class Edge:
    """What the second half of a run shows: a sentence, the median with 80 % of the steps around it, and the limit."""

    claim: str
    low: float
    middle: float
    high: float
    limit: float | str


def rate_times_curvature(recording: Recording, size: int) -> tuple[float, float, float] | None:
    """The 10th, 50th and 90th percentile in the last rows; None if the rule is not plain gradient descent."""
    gradient, update = recording.total("gradient"), recording.total("update")
    with np.errstate(all="ignore"):
        cosine = -recording.descent / (gradient * update)
        rate = update / gradient
        consecutive = np.diff(recording.steps) == 1
        product = recording.curvature[1:] * np.where(consecutive, rate[:-1], rate[1:])
    told = np.isfinite(cosine)
    if not told.any() or np.mean(cosine[told] > 0.999) < 0.95:
        return None
    last = product[np.isfinite(product)][-size:]
    if not len(last):
        return None
    low, middle, high = (float(x) for x in np.percentile(last, [10, 50, 90]))
    return low, middle, high


def edge(recording: Recording) -> Edge | None:
    """How the curvature along the steps stands to its limit; None where it was not recorded often enough."""
    size = max(len(recording.steps) // 2, 1)
    last = recording.curvature[-size:][np.isfinite(recording.curvature[-size:])]
    if len(last) < FEW:
        return None
    numbers = rate_times_curvature(recording, size)
    if numbers is None:
        low, middle, high = (float(x) for x in np.percentile(last, [10, 50, 90]))
        claim = f"curvature along the step: {number(middle)} ({_span(low, high)}); no limit follows for this rule"
        return Edge(claim, low, middle, high, "any")
    low, middle, high = numbers
    if high - low > max(1.0, abs(middle)):
        says = "too noisy to compare with 2, as with batches that differ"
    elif middle > 2.2:
        says = "beyond 2, where steps overshoot on a quadratic"
    elif middle >= 1.8:
        says = "at the edge of stability, 2"
    elif 0.8 <= middle <= 1.2:
        says = "below 2; with a new batch at each step, batches that share nothing give 1"
    else:
        says = "below the limit 2"
    claim = f"rate x curvature along the step: {middle:.3g} ({_span(low, high)}): {says}"
    return Edge(claim, low, middle, high, 2.0)


def _span(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g} in 80 % of the second half"
