"""Narrow valleys: how many steps descent takes with momentum and without, and how much it zigzags.

Between curvatures l < L, k = L / l, the error along both shrinks at best by these factors a step:

    gradient descent, step 2 / (l + L)                           (k - 1) / (k + 1),     about k ln(1/e) / 2 steps
    heavy ball, step 4 / (sqrt l + sqrt L)^2, momentum r^2   r = (sqrt k - 1) / (sqrt k + 1),  nearly sqrt k ln(1/e) / 2

Along the steep mode the error changes its sign at each step, and the step with it: from equal errors successive plain
steps have the cosine (1 - k^2) / (1 + k^2), near -1. With momentum at its best constants the steps zigzag as much, with
the roots r along the flat mode and -r along the steep one; they are fewer. Counted on quadratics of two parameters with
k = 10, 100 and 1000, and on the function itself in the plane of its own steepest and flattest direction, its slope at
the point taken out. Reference: Polyak, *Introduction to Optimization*, 1987, section 3.2; Goh, *Why momentum really
works*, Distill, 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qed.answer import Reason
from qed.optimization.objective import Objective, Wide
from qed.standing import Standing

Array = np.ndarray
CONDITIONS = (10.0, 100.0, 1000.0)
SHARE = 0.01
"""To which share of its length the error is followed."""
MOST = 4000
"""How many steps are counted at most."""


@dataclass(frozen=True)
class Valley:
    """Descent through a valley of two curvatures.

    Args:
        condition: k, the ratio of the curvatures.
        own: whether it is the function's own, in the plane of its steepest and flattest direction.
        plain, heavy: steps to a hundredth of the error, without and with momentum, each with its best constants; None
            where there were more than 4000.
        predicted_plain, predicted_heavy: the same by the curvatures.
        cosine_plain, cosine_heavy: the mean cosine between successive steps; without momentum (1 - k^2) / (1 + k^2) is
            predicted.
    """

    condition: float
    own: bool
    plain: int | None
    heavy: int | None
    predicted_plain: int
    predicted_heavy: int
    cosine_plain: float
    cosine_heavy: float


def valleys() -> tuple[Valley, ...]:
    """The quadratics with condition 10, 100 and 1000.

    Example:
        >>> [(int(v.condition), v.plain, v.heavy) for v in valleys()]
        [(10, 23, 11), (100, 231, 44), (1000, 2303, 158)]
        >>> [round(v.cosine_plain, 2) for v in valleys()]
        [-0.98, -1.0, -1.0]
    """
    return tuple(_through(1.0, k, lambda e, k=k: np.array([1.0, k]) * e, False) for k in CONDITIONS)


def own_valley(objective: Objective, x: Array, low: float, flat: Array, high: float, steep: Array) -> Valley | None:
    """The function's own valley at a point; None where its flattest curvature is not above zero.

    Args:
        objective: the loss; seen in float64 where it is narrower and known there.
        x: the point.
        low: the smallest curvature.
        flat: its unit direction.
        high: the largest curvature.
        steep: its unit direction.
    """
    if not 0 < 1e-8 * high < low:
        return None
    wide = Wide.of(objective) or objective
    slope = wide.at(x).g
    size = wide.eps ** (1 / 4) * max(1.0, float(np.linalg.norm(x)))

    def along(e: Array) -> Array:
        g = wide.at(x + size * (e[0] * flat + e[1] * steep)).g - slope
        return np.array([g @ flat, g @ steep]) / size

    return _through(low, high, along, True)


def _through(low: float, high: float, gradient: Callable[[Array], Array], own: bool) -> Valley:
    """Both descents from an error of 1 along either mode."""
    condition, root = high / low, math.sqrt(high / low)
    factor, r = (condition - 1) / (condition + 1), (root - 1) / (root + 1)
    plain, zigzag = _counted(gradient, 2 / (low + high), 0.0)
    heavy, smooth = _counted(gradient, 4 / (math.sqrt(low) + math.sqrt(high)) ** 2, r**2)
    # the double roots: (1 + k (1 - r)) r^k along the flat mode, (1 + k (1 + r)) (-r)^k along the steep one
    expected = _first(lambda k: math.hypot((1 + k * (1 - r)) * r**k, (1 + k * (1 + r)) * r**k))
    return Valley(condition, own, plain, heavy, _first(lambda k: math.sqrt(2) * factor**k), expected, zigzag, smooth)


def _first(error: Callable[[int], float]) -> int:
    """The first k at which an error that falls in the end is below its share of the first."""
    start, high = math.sqrt(2), 1
    while error(high) >= SHARE * start:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if error(middle) < SHARE * start else (middle, high)
    return high


def _counted(gradient: Callable[[Array], Array], step: float, momentum: float) -> tuple[int | None, float]:
    """How many steps it takes from (1, 1), and the mean cosine between successive steps."""
    e, v, before, cosines = np.ones(2), np.zeros(2), None, []
    for k in range(1, MOST + 1):
        v = momentum * v + gradient(e)
        e = e - step * v
        if before is not None:
            cosines.append(cosine(before, v))
        before = v
        if not np.all(np.isfinite(e)) or np.linalg.norm(e) > 1e6:
            return None, math.nan
        if np.linalg.norm(e) < SHARE * math.sqrt(2):
            return k, float(np.mean(cosines)) if cosines else math.nan
    return None, float(np.mean(cosines))


def zigzag(objective: Objective, x: Array, step: float, steps: int) -> float:
    """The mean cosine between successive steps of gradient descent; nan where a number is not finite.

    Args:
        objective: the loss.
        x: the start.
        step: the rate.
        steps: how many.
    """
    seen, before, cosines = objective.at(x), None, []
    for _ in range(steps):
        if not seen.finite:
            return math.nan
        if before is not None and np.any(seen.g):
            cosines.append(cosine(before, seen.g))
        before, seen = seen.g, objective.at(seen.x - step * seen.g)
    return float(np.mean(cosines)) if cosines else math.nan


def cosine(a: Array, b: Array) -> float:
    """Of the angle between two vectors; nan where one is zero."""
    sizes = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / sizes if sizes > 0 else math.nan


def told(found: tuple[Valley, ...]) -> list[Reason]:
    """The valleys as lines of an answer."""
    reasons = []
    for each in found:
        what = "in your own steepest and flattest direction" if each.own else "in a bowl of two parameters"
        plain, heavy = (f"more than {MOST}" if n is None else str(n) for n in (each.plain, each.heavy))
        root = math.sqrt(each.condition)
        text = (
            f"condition {each.condition:.4g}, {what}: {plain} steps without momentum (predicted "
            f"{each.predicted_plain}, {each.predicted_plain / each.condition:.2g} k), {heavy} with it (predicted "
            f"{each.predicted_heavy}, {each.predicted_heavy / root:.2g} sqrt k)"
        )
        opposite = (1 - each.condition**2) / (1 + each.condition**2)
        zigzag = Reason(
            "the zigzag",
            "(1 - k^2)/(1 + k^2)",
            f"k = {each.condition:.6g}",
            predicted=opposite,
            observed=each.cosine_plain,
            standing=Standing.MEASURED,
            role="zigzag",
            text=f"the cosine between successive steps is {each.cosine_plain:.4f} without momentum (predicted "
            f"{opposite:.4f}), {each.cosine_heavy:.4f} with it",
        )
        reasons.append(
            Reason(
                "narrow valleys",
                "(k - 1)/(k + 1), with momentum (sqrt k - 1)/(sqrt k + 1)",
                f"k = {each.condition:.6g}",
                predicted=each.predicted_heavy,
                observed=each.heavy,
                unpredicted="the run was ended before",
                standing=Standing.MEASURED,
                role="valley",
                text=text,
                premises=(zigzag,),
            )
        )
    return reasons
