"""Ranges of terms: float64 bounds of rational numbers, of their products with bounds, and of sums, rounded outward."""

from __future__ import annotations

import math
from typing import Any

Range = tuple[float, float]
WHOLE: Range = (-math.inf, math.inf)


def ends(c: Any) -> Range:
    """Float64 bounds of a rational number."""
    try:
        value = int(c.p) / int(c.q)
    except OverflowError:
        return (-math.inf, -1e308) if c < 0 else (1e308, math.inf)
    if math.isfinite(value) and type(c)(*value.as_integer_ratio()) == c:
        return value, value
    return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)


def times(c: Any, bounds: Range) -> Range:
    """Bounds of a rational number times a number between bounds; 0 times an infinite end is 0."""
    if c == 1:
        return bounds
    if c == -1:
        return -bounds[1], -bounds[0]
    corners = [0.0 if a == 0 or b == 0 else a * b for a in ends(c) for b in bounds]
    low, high = min(corners), max(corners)
    signs = [(c > 0) - (c < 0)] * (bounds[0] >= 0) + [(c < 0) - (c > 0)] * (bounds[1] <= 0)
    least = 0.0 if 1 in signs or c == 0 else -math.inf
    most = 0.0 if -1 in signs or c == 0 else math.inf
    return max(math.nextafter(low, -math.inf), least), min(math.nextafter(high, math.inf), most)


def down(a: float, b: float) -> float:
    """A number not above a + b, of lower bounds."""
    if a == 0 or b == 0:
        return a + b
    total = a + b
    if math.isfinite(total):
        other = total - a
        if (a - (total - other)) + (b - other) == 0.0:  # the sum is exact (Knuth's TwoSum)
            return total
    return -math.inf if math.isnan(total) else math.nextafter(total, -math.inf)
