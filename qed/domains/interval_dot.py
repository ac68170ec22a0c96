"""Sums of products of wide intervals: rounded as they come, and widened once by a bound of all roundings.

A product rounds by at most u |x| + 2^-1075, x the result and u = 2^-53, and rounding is monotone, so that the least of
the rounded products of ends is the least product, rounded. K terms summed in any order are off by at most
(K - 1) u / (1 - (K - 1) u) sum |x_k| (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., 2002, section
4.2), and so is the computed sum of sizes. Rump (*Fast interval matrix multiplication*, Numer. Algorithms 61, 2012)
bounds products of matrices in this way. Sums that are exact or narrow would be widened by more than they need: they are
left to error-free transforms (`qed.domains.rounding_outward`).
"""

from __future__ import annotations

import numpy as np

from qed.domains import rounding_outward as ro
from qed.domains.intervals import Intervals

Array = np.ndarray
BLOCK = 2**13
"""How many terms are multiplied at once."""
SHOWS = 2.0**-20
"""Which part of a sum's width the bound of its roundings may be."""
SHORTEST, LONGEST = 64, 2**20
"""How many terms a sum has: fewer are as fast without this, and of more K u would not be far below 1."""


def dot_of_wide(x: Intervals, y: Intervals) -> Intervals | None:
    """Return the sums of x y along the last axis; None where none is wide enough for the roundings not to show.

    Which sums are widened depends on each alone, and not on what others stand beside it.

    >>> import numpy as np
    >>> from qed.domains.interval_dot import dot_of_wide
    >>> from qed.domains.intervals import Intervals
    >>> found = dot_of_wide(Intervals(np.full(100, -1.0), np.full(100, 3.0)), Intervals.point(np.full(100, 2.0)))
    >>> bool(found.lower < -200), bool(found.upper > 600), bool(found.upper - found.lower < 800.0001)
    (True, True, True)
    >>> dot_of_wide(Intervals.point(np.full(100, 3.0)), Intervals.point(np.full(100, 2.0))) is None
    True
    """
    count = np.broadcast_shapes(x.shape, y.shape)[-1]
    if x.doubt or y.doubt or not SHORTEST <= count <= LONGEST or x.shape[-1] != y.shape[-1]:
        return None
    low, high, sizes = 0.0, 0.0, 0.0
    with np.errstate(all="ignore"):
        for start in range(0, count, BLOCK):
            part = slice(start, start + BLOCK)
            found = _summed(x.lower[..., part], x.upper[..., part], y.lower[..., part], y.upper[..., part])
            low, high, sizes = low + found[0], high + found[1], sizes + found[2]
        room = (4 * count + 8) * 2.0**-53 * sizes + count * 2.0**-1070
        lower, upper = ro.below(low - room), ro.above(high + room)
        wide = (room <= SHOWS * (high - low)) & np.isfinite(lower) & np.isfinite(upper)
    if not np.any(wide):
        return None
    if np.all(wide):
        return Intervals(lower, upper)
    careful = (x * y).sum(-1)
    return Intervals(np.where(wide, lower, careful.lower), np.where(wide, upper, careful.upper), careful.doubt)


def _summed(a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array, Array]:
    """Rounded sums of the least and of the greatest products of [a, b] and [c, d], and of the larger of their sizes."""
    first, second, third, fourth = a * c, a * d, b * c, b * d
    least, other = np.minimum(first, second), np.minimum(third, fourth)
    most, another = np.maximum(first, second, out=first), np.maximum(third, fourth, out=third)
    np.minimum(least, other, out=least)
    np.maximum(most, another, out=most)
    sizes = np.maximum(np.abs(least, out=second), np.abs(most, out=fourth), out=other)
    return least.sum(-1), most.sum(-1), sizes.sum(-1)
