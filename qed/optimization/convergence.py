"""What the distances of iterates from their limit tell: a factor, an order, a power of the step, or too little.

An error e_k that falls like q^k is a straight line of log e over k; one that falls like k^-p is one over log k. On a
hundred steps a sum of many factors looks like a power as well, so that a power is believed only where something other
than curvature is left: along the directions whose curvature at the limit is zero, P = V V', f rises by

    f(x* + P (x_k - x*)) - f*,

which curvatures explain up to (x_k - x*)' P H P (x_k - x*) / 2 and which must be what is left of f - f*. The order of
Newton's method follows from three errors, log(e_3 / e_2) / log(e_2 / e_1) (Ortega and Rheinboldt, *Iterative Solution
of Nonlinear Equations in Several Variables*, 1970, chapter 9); where fewer are above rounding none was seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qed.optimization.iterates import at
from qed.optimization.objective import Wide

Array = np.ndarray
FLOOR = 1e-14
"""Below which part of its first value, or of the limit, an error is taken for rounding."""
QUADRATIC = 1.5
"""From which order seen on convergence is called quadratic; its limit is 2, which few iterates in float64 show."""
CUBIC = 2.5
"""From which order on it is called cubic, up to one more; beyond, superlinear is all that is said."""
NEARER = 0.1
"""Which part of an error a step must leave at most where an order above 1 is told: 3, 2, 1 has the order 1.7."""


def rounding(errors: Array, limit: Array, part: float = FLOOR) -> float:
    """Below which size an error is taken for rounding."""
    return max(part * float(errors[0]), FLOOR * float(np.linalg.norm(limit)))


@dataclass(frozen=True)
class Left:
    """Which parts of f - f* are left along directions without curvature: at all, and not explained by curvature."""

    whole: float = 0.0
    unexplained: float = 0.0


def left_flat(wide: Wide, limit: Array, matrix: Array, zero: float, x: Array) -> Left:
    """What is left at x along the directions of the Hessian at the limit whose curvature is at most `zero`."""
    values, vectors = np.linalg.eigh(matrix)
    flat = vectors[:, values <= zero]
    least, gap = at(wide, limit)[0], at(wide, x)[0] - at(wide, limit)[0]
    if not flat.shape[1] or not gap > 4 * wide.noise(least):
        return Left()
    along = flat @ (flat.T @ (x - limit))
    rise = at(wide, limit + along)[0] - least
    bent = 0.5 * max(float(along @ matrix @ along), 0.0)
    return Left(rise / gap, (rise - 2 * bent) / gap)


def factor(errors: Array, gaps: Array, floor: float) -> tuple[str, float, float | None]:
    """The factor a step over the second half of what is not rounding; and the power of k, if that fits better."""
    usable = np.flatnonzero(errors > floor)
    last = int(usable[-1]) if usable.size else 0
    if usable.size <= 3:  # at the limit at once
        return "linear", 0.0 if last == 0 else float((errors[last] / errors[0]) ** (1 / last)), None
    k = np.arange(max(1, last // 2), last + 1)
    k = k[errors[k] > 0]
    slope, line = _fit(k, np.log(errors[k]))
    if slope >= 0:
        return "none", math.exp(slope), None
    positive = k[gaps[k] > 0]
    if last == len(errors) - 1 and positive.size > 3 and math.exp(slope) > 0.9:
        _, curve = _fit(np.log(k), np.log(errors[k]))
        if curve < line:
            return "linear", math.exp(slope), -_fit(np.log(positive), np.log(gaps[positive]))[0]
    return "linear", math.exp(slope), None


def _fit(x: Array, y: Array) -> tuple[float, float]:
    """The slope of a straight line through points, and the sum of squares that it leaves."""
    if len(x) < 2:
        return 0.0, 0.0
    coefficients, rest, *_ = np.polyfit(x, y, 1, full=True)
    return float(coefficients[0]), float(rest[0]) if len(rest) else 0.0


def order(errors: Array, floor: float) -> tuple[str, float]:
    """The order of convergence from the last three errors, or steps, that are not rounding; the factor where it is one.

    Where fewer than three are above rounding: 'finite', and the number of steps.
    """
    below = np.flatnonzero(errors <= floor)
    usable = errors[: below[0]] if below.size else errors
    if len(usable) < 3:
        return "finite", float(len(usable))
    a, b, c = (float(e) for e in usable[-3:])
    if not a > b > c > 0:
        return "none", math.nan
    seen = math.log(c / b) / math.log(b / a)
    if seen < 1.2 or c > NEARER * b:
        return "linear", c / b
    if QUADRATIC < seen <= CUBIC:
        return "quadratic", seen
    return ("cubic" if CUBIC < seen <= CUBIC + 1 else "superlinear"), seen
