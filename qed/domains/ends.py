"""Float64 bounds of a function's values at float64 arguments, by balls: proved, one number at a time.

No library states how far its exp or its lgamma may be off, so that no padding of their results proves anything
(docs/adr). Each different argument is evaluated once in python-flint at `BITS` bits, and the ball's ends are rounded
outward to float64: bounds of the value which, where the ball is narrow, are the float64 numbers next to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from qed.domains.precision import precision
from qed.domains.rounding_outward import LARGEST, TINY

Array = np.ndarray
BITS = 90


def bounds_at(function: Callable[[Any], Any], x: Array) -> tuple[Array, Array]:
    """Return bounds of function(x) for an array of finite float64 numbers; -inf and inf where the ball is not finite.

    >>> import numpy as np
    >>> from qed import facts
    >>> from qed.domains.ends import bounds_at
    >>> lower, upper = bounds_at(facts.card("exp").ball, np.array([0.0, 1.0]))
    >>> lower.tolist(), upper.tolist()
    ([1.0, 2.718281828459045], [1.0, 2.7182818284590455])
    """
    unique, inverse = np.unique(x, return_inverse=True)
    with precision(BITS) as flint:
        balls = [function(flint.arb(value)) for value in unique.tolist()]
    lower, upper = floats(balls)
    return lower[inverse].reshape(np.shape(x)), upper[inverse].reshape(np.shape(x))


def floats(balls: Iterable[Any]) -> tuple[Array, Array]:
    """Return float64 bounds of balls: arrays of lower and of upper ends.

    >>> from qed.domains.ends import floats
    >>> from qed.domains.precision import precision
    >>> with precision(90) as flint:
    ...     balls = [flint.arb(1) / 3, flint.arb(2)]
    >>> [end.tolist() for end in floats(balls)]
    [[0.3333333333333333, 2.0], [0.33333333333333337, 2.0]]
    """
    with precision(53):  # the ends of a ball are then numbers of 53 bits, rounded outward
        pairs = [_ends(ball) for ball in balls]
    lower = np.array([pair[0] for pair in pairs], np.float64)
    upper = np.array([pair[1] for pair in pairs], np.float64)
    tiny_lower, tiny_upper = np.abs(lower) < TINY, np.abs(upper) < TINY
    lower = np.where(tiny_lower & (lower != 0), np.where(lower > 0, 0.0, -TINY), lower)
    upper = np.where(tiny_upper & (upper != 0), np.where(upper > 0, TINY, 0.0), upper)
    return lower, upper


def _ends(ball: Any) -> tuple[float, float]:
    if ball.is_nan():
        return -math.inf, math.inf
    if not ball.is_finite():
        exact = float(ball) if ball.is_exact() else math.nan
        return (exact, exact) if math.isinf(exact) else (-math.inf, math.inf)
    below, over = ball.lower(), ball.upper()
    return _down(below), -_down(-over)


def _down(end: Any) -> float:
    """The float64 number at or below an end of 53 bits, which may be beyond float64's exponents."""
    value = float(end)
    if value == math.inf:
        return LARGEST
    if value == 0.0 and end < 0:
        return -TINY
    if abs(value) < TINY and value > 0:
        return 0.0
    return value
