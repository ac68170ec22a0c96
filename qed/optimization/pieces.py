"""Sums over long vectors piece by piece, so that no vector is made on the way; of shorter ones it is the plain sum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Array = np.ndarray
PIECE = 1 << 15
"""How many numbers are taken at once."""


def _pieces(n: int) -> Iterator[slice]:
    return (slice(start, start + PIECE) for start in range(0, n, PIECE))


def dot(a: Array, b: Array) -> float:
    """a'b, in float64.

    Example:
        >>> dot(np.ones(100_000, np.float32), np.full(100_000, 0.5))
        50000.0
    """
    return sum((float(a[i].astype(np.float64, copy=False) @ b[i].astype(np.float64, copy=False))
                for i in _pieces(len(a))), 0.0)  # fmt: skip


def add(a: Array, factor: float, b: Array) -> None:
    """a <- a + factor b, in place.

    Example:
        >>> a = np.ones(2)
        >>> add(a, 2.0, np.array([1.0, 3.0], np.float32))
        >>> a.tolist()
        [3.0, 7.0]
    """
    for i in _pieces(len(a)):
        a[i] += factor * b[i].astype(np.float64, copy=False)


def length_of_sum(a: Array, factor: float, b: Array) -> float:
    """|a + factor b|.

    Example:
        >>> length_of_sum(np.array([1.0, 0.0]), 2.0, np.array([1.0, 2.0]))
        5.0
    """
    if len(a) <= PIECE:
        return float(np.linalg.norm(a + factor * b))
    return float(np.linalg.norm([float(np.linalg.norm(a[i] + factor * b[i])) for i in _pieces(len(a))]))


def largest(a: Array) -> float:
    """The largest size of an entry; NaN where one is NaN.

    Example:
        >>> largest(np.array([1.0, -3.0])), largest(np.zeros(0)), largest(np.array([np.nan, 1.0]))
        (3.0, 0.0, nan)
    """
    return max(float(a.max(initial=0.0)), -float(a.min(initial=0.0)))


def difference(a: Array, b: Array) -> Array:
    """a - b rounded to float32; without `out` both would be rounded before.

    Example:
        >>> difference(np.array([1.0 + 1e-12]), np.array([1.0])).tolist()[0] > 9.9e-13
        True
    """
    found = np.empty(len(a), np.float32)
    np.subtract(a, b, out=found, casting="same_kind")
    return found
