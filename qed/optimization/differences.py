"""Second derivatives by differences of gradients, where those that the program computes overflow.

A gradient may be finite where the products of its own derivative are not: exp(u) erfc(v) of large u and v is an
ordinary number, and its derivatives hold inf times 0. There, for the columns j of the Hessian that are not finite,

    H e_j = (g(x + h e_j) - g(x - h e_j)) / (2 h) + O(h^2),      h = eps^(1/3) |x_j|,

which has about two thirds of the digits of a gradient; where one of the sides is not finite, one-sided, with half of
them. Reference: Nocedal and Wright, *Numerical Optimization*, 2006,
section 8.1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray
SHORTER = 1 / 16
"""The length of the steps with which differences are compared, to see whether they have a limit."""

LARGEST = 1e150
"""Entries from which on a matrix is of no use: products of two overflow."""


def mended(matrix: Array, x: Array, gradient: Callable[[Array], Array], eps: float, share: float = 1.0) -> Array:
    """A symmetric matrix whose entries that are not finite are replaced; as it was where gradients are not finite.

    Args:
        matrix: the Hessian at x, dense.
        x: the point.
        gradient: x -> g(x).
        eps: the unit roundoff of a gradient.
        share: of the length of the steps.

    Example:
        >>> import numpy as np
        >>> spoilt = np.array([[2.0, 0.0], [0.0, np.nan]])
        >>> mended(spoilt, np.array([1.0, 2.0]), lambda x: np.array([2 * x[0], 3 * x[1] ** 2]), 2e-16).round(6).tolist()
        [[2.0, 0.0], [0.0, 12.0]]
    """
    bad = ~np.isfinite(matrix)
    if not bad.any():
        return matrix
    found, bad = matrix.copy(), bad | bad.T
    typical = float(np.abs(x).max(initial=0.0)) or 1.0
    while bad.any():
        j = int(np.argmax(bad.sum(axis=1)))
        column = _column(x, j, share * (abs(float(x[j])) or typical), gradient, eps)
        if column is None:
            return matrix
        found[:, j] = found[j] = column
        bad[:, j] = bad[j] = False
    return found if np.all(np.abs(found) < LARGEST) else matrix


def settled(matrix: Array, x: Array, gradient: Callable[[Array], Array], eps: float) -> bool:
    """Whether differences with shorter steps make the same matrix, to a tenth: |x|^3 at 0 has slopes of 3 h^2.

    >>> spoilt = np.array([[np.nan]])
    >>> [settled(spoilt, np.array([0.0]), f, 2e-16) for f in (np.sinh, lambda x: 3 * x * abs(x), lambda x: x * x)]
    [True, False, True]
    """
    long, short = (mended(matrix, x, gradient, eps, share) for share in (1.0, SHORTER))
    size = float(np.abs(long).max(initial=0.0))
    return bool(np.all(np.isfinite(long)) and np.all(np.abs(long - short) <= 0.1 * size))


def _column(x: Array, j: int, size: float, gradient: Callable[[Array], Array], eps: float) -> Array | None:
    """H e_j from both sides, or from the one that is finite, with a shorter step; None where none is."""
    for h, behind, ahead in ((eps ** (1 / 3), -1, 1), (eps**0.5, 0, 1), (eps**0.5, -1, 0)):
        ends = []
        for side in (behind, ahead):
            moved = x.copy()
            moved[j] += side * h * size
            ends.append((moved[j], gradient(moved)))
        (low, first), (high, last) = ends
        column = (last - first) / (high - low)
        if np.all(np.isfinite(column)):
            return column
    return None
