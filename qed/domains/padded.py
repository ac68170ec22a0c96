"""Intervals of float64 numbers that are padded after each operation, by more than it can round.

The rounded result of one operation is off by at most u |x| / (1 - u) + 2^-1075, x the result and u = 2^-53; sums have
no second term, since those below 2^-1021 are exact. Moved outward by 4 u |x| (+ 2^-1021) the result is a bound, the
rounding of that movement included; a sum of n terms in any order is off by less than 2 n u sum |x_i| (Higham, *Accuracy
and Stability of Numerical Algorithms*, 2nd ed., 2002, section 4.2). This is coarser than `qed.domains.rounding_outward`
by a few units in the last place, shares no code with it, and is there to verify what was found with it.

An interval is the pair of arrays of its ends. NaN at an end is "nothing is known"; it is never dropped: minima and
maxima keep it, and no comparison with it holds. It assumes that subnormal numbers are kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
Pair = tuple[Any, Any]
"""Lower and upper ends."""
PART = 2.0**-51
LEAST = 2.0**-1021


def down(x: Array) -> Array:
    """Return what is below every number that an operation may have rounded to x.

    >>> import numpy as np
    >>> from qed.domains.padded import down
    >>> float(down(np.float64(1.0))) == 1 - 2.0**-51, float(down(np.float64(0.0))) < 0
    (True, True)
    """
    return x - (np.abs(x) * PART + LEAST)


def up(x: Array) -> Array:
    """Return what is above every number that an operation may have rounded to x."""
    return x + (np.abs(x) * PART + LEAST)


def plus(a: Pair, b: Pair) -> Pair:
    """Return the sum.

    >>> import numpy as np
    >>> from qed.domains.padded import plus
    >>> low, high = plus((np.array([0.0]), np.array([0.1])), (np.array([0.0]), np.array([0.2])))
    >>> bool(low[0] == 0), bool(high[0] > 0.3)
    (True, True)
    """
    low, high = a[0] + b[0], a[1] + b[1]
    return low - np.abs(low) * PART, high + np.abs(high) * PART


def negative(a: Pair) -> Pair:
    """Return -a."""
    return -a[1], -a[0]


def times(a: Pair, b: Pair) -> Pair:
    """Return the product, the hull of those of the ends.

    >>> import numpy as np
    >>> from qed.domains.padded import times
    >>> low, high = times((np.array([-1.0]), np.array([2.0])), (np.array([3.0]), np.array([4.0])))
    >>> round(float(low[0]), 12), round(float(high[0]), 12)
    (-4.0, 8.0)
    """
    first, second, third, fourth = a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]
    low = np.minimum(np.minimum(first, second), np.minimum(third, fourth))
    high = np.maximum(np.maximum(first, second), np.maximum(third, fourth))
    return down(low), up(high)


def scaled(a: Pair, number: float) -> Pair:
    """Return the product with a number."""
    return times(a, (np.float64(number), np.float64(number)))


def modulus(a: Pair) -> Pair:
    """Return |a|."""
    low, high = np.abs(a[0]), np.abs(a[1])
    inside = (a[0] <= 0) & (a[1] >= 0)
    return np.where(inside, 0.0, np.minimum(low, high)), np.maximum(low, high)


def squared(a: Pair) -> Pair:
    """Return a^2, which is not negative."""
    low, high = modulus(a)
    return np.maximum(down(low * low), 0.0), up(high * high)


def power(a: Pair, n: int) -> Pair:
    """Return a^n for n >= 0.

    >>> import numpy as np
    >>> from qed.domains.padded import power
    >>> [round(float(end[0]), 9) for n in (2, 3) for end in power((np.array([-2.0]), np.array([1.0])), n)]
    [0.0, 4.0, -8.0, 1.0]
    """
    if n == 0:
        one = np.where(np.isnan(a[0]) | np.isnan(a[1]), np.nan, 1.0)
        return one, one
    if n == 1:
        return a
    if n % 2 == 0:
        low, high = modulus(a)
        return _raised(low, n)[0], _raised(high, n)[1]
    ends = [_raised(np.abs(end), n) for end in a]
    low = np.where(a[0] >= 0, ends[0][0], -ends[0][1])
    return low, np.where(a[1] >= 0, ends[1][1], -ends[1][0])


def _raised(x: Array, n: int) -> Pair:
    """x^n for x >= 0, by repeated products."""
    low: Any = None
    high: Any = None
    base_low, base_high = x, x
    while n:
        if n % 2:
            low = base_low if low is None else np.maximum(down(low * base_low), 0.0)
            high = base_high if high is None else up(high * base_high)
        n //= 2
        if n:
            base_low, base_high = np.maximum(down(base_low * base_low), 0.0), up(base_high * base_high)
    return low, high


def reciprocal(a: Pair) -> Pair:
    """Return 1/a; nothing is known where a may be 0."""
    away = (a[0] > 0) | (a[1] < 0)
    low, high = (np.where(away, end, np.nan) for end in a)
    return down(1.0 / high), up(1.0 / low)


def root(a: Pair) -> Pair:
    """Return the square root, which IEEE 754 rounds correctly; nothing is known where a may be negative."""
    low = np.where(a[0] >= 0, a[0], np.nan)
    high = np.where(a[0] >= 0, a[1], np.nan)
    return np.maximum(down(np.sqrt(low)), 0.0), up(np.sqrt(high))


def hull(a: Pair, b: Pair) -> Pair:
    """Return the smallest interval about both."""
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def larger(a: Pair, b: Pair) -> Pair:
    """Return the maximum."""
    return np.maximum(a[0], b[0]), np.maximum(a[1], b[1])


def total(a: Pair, axis: int) -> Pair:
    """Return the sum along an axis.

    >>> import numpy as np
    >>> from qed.domains.padded import total
    >>> low, high = total((np.full((1, 3), 0.1), np.full((1, 3), 0.1)), -1)
    >>> bool(low[0] < 0.3), bool(high[0] > 0.3), bool(high[0] - low[0] < 1e-14)
    (True, True, True)
    """
    count = a[0].shape[axis] * PART
    low, high = (end.sum(axis) for end in a)
    sizes = [count * np.abs(end).sum(axis) for end in a]
    low, high = low - sizes[0], high + sizes[1]
    return low - np.abs(low) * PART, high + np.abs(high) * PART
