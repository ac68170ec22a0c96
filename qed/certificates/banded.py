"""Bounds of the eigenvalues of a sparse symmetric matrix of intervals, by banded factorisations.

With a permutation that brings the entries near the diagonal (reverse Cuthill-McKee) and s below the least eigenvalue,
M - s I = L L' is computed in floats, M the matrix of midpoints. L L' is semidefinite whatever L is, so that

    x'Hx >= s |x|^2 + x'(M - s I - L L')x + x'(H - M)x >= (s - |M - s I - L L'|_inf - |H - M|_inf) |x|^2

for every symmetric H within the intervals (Rump, "Verification of positive definiteness", *BIT* 46, 2006, the residual
bounded after the fact). A sum of m products in floats is off by at most 1.01 (m + 1) u times the sum of their sizes,
u = 2^-53 (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 3.1). With L D L' instead, at any s,
as many eigenvalues of L D L' are negative as of D (Sylvester), and those of H - s I lie within the same norms of them
(Weyl): so H has k eigenvalues below s + e, and n - k above s - e, where k is the number of negative entries of D.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

Array = np.ndarray
UNIT, TINY = 2.0**-53, 1e-290
WIDEST = 256
"""How far from the diagonal an entry may be after the permutation."""


def bandwidth(rows: Array, columns: Array, n: int) -> tuple[Array, int]:
    """The new place of every variable, and how far from the diagonal an entry then is at most."""
    ones = np.ones(len(rows))
    pattern = scipy.sparse.csr_array((ones, (rows, columns)), shape=(n, n))
    order = reverse_cuthill_mckee(scipy.sparse.csr_matrix(pattern + pattern.T), symmetric_mode=True)
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    return place, int(np.max(np.abs(place[rows] - place[columns]), initial=0))


def banded(rows: Array, columns: Array, values: Array, n: int, place: Array, width: int) -> Array:
    """The lower half of a symmetric matrix, a row for each distance from the diagonal."""
    first, second = place[rows], place[columns]
    found = np.zeros((width + 1, n))
    found[np.abs(first - second), np.minimum(first, second)] = values
    return found


def least_eigenvalue(rows: Array, columns: Array, low: Array, high: Array, n: int, shift: float) -> float:
    """A lower bound of the eigenvalues of every symmetric matrix within the intervals, near `shift`; -inf if none.

    Args:
        rows: of the entries on and above the diagonal, each once.
        columns: of the same.
        low: their lower ends.
        high: their upper ends.
        n: the size.
        shift: a number below all eigenvalues.

    >>> rows, columns = np.array([0, 0, 1]), np.array([0, 1, 1])
    >>> ends = np.array([2.0, 1.0, 2.0])
    >>> 0.89 < least_eigenvalue(rows, columns, ends, ends, 2, 0.9) <= 0.9
    True
    >>> least_eigenvalue(rows, columns, ends, ends, 2, 1.1)
    -inf
    """
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high)) and np.isfinite(shift)):
        return -np.inf
    place, width = bandwidth(rows, columns, n)
    if width > WIDEST:
        return -np.inf
    middle = low / 2 + high / 2
    radius = np.maximum(high - middle, middle - low) * (1 + 4 * UNIT) + TINY
    matrix = banded(rows, columns, middle, n, place, width)
    matrix[0] -= shift
    try:
        factor = scipy.linalg.cholesky_banded(matrix, lower=True)
    except np.linalg.LinAlgError:
        return -np.inf
    rest = _residual(matrix, factor, factor, 2)
    total = _norm(rest, matrix, banded(rows, columns, radius, n, place, width), shift)
    return float(np.nextafter(shift - total, -np.inf))


def count_below(rows: Array, columns: Array, low: Array, high: Array, n: int, shift: float) -> tuple[int, float] | None:
    """(k, e): k eigenvalues of every symmetric matrix within the intervals are below shift + e, n - k above shift - e.

    None where the factorisation breaks down. Arguments as of `least_eigenvalue`.

    >>> rows, columns = np.array([0, 0, 1]), np.array([0, 1, 1])
    >>> ends = np.array([0.0, 1.0, 0.0])
    >>> [count_below(rows, columns, ends, ends, 2, shift)[0] for shift in (-1.5, 0.5, 1.5)]
    [0, 1, 2]
    """
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high)) and np.isfinite(shift)):
        return None
    place, width = bandwidth(rows, columns, n)
    if width > WIDEST:
        return None
    middle = low / 2 + high / 2
    radius = np.maximum(high - middle, middle - low) * (1 + 4 * UNIT) + TINY
    matrix = banded(rows, columns, middle, n, place, width)
    matrix[0] -= shift
    factor, pivots = _pivots(matrix)
    if not np.all(np.isfinite(factor)) or not np.all(np.isfinite(pivots)) or np.any(pivots == 0):
        return None
    rest = _residual(matrix, factor, factor * pivots, 4)
    total = _norm(rest, matrix, banded(rows, columns, radius, n, place, width), shift)
    return int(np.sum(pivots < 0)), float(np.nextafter(total, np.inf))


def _pivots(matrix: Array) -> tuple[Array, Array]:
    """L, with ones on the diagonal, and D of A = L D L', without exchanges."""
    work = matrix.copy()
    width, n = len(matrix) - 1, matrix.shape[1]
    with np.errstate(all="ignore"):
        for j in range(n):
            taken = work[1:, j] / work[0, j]
            for i in range(1, min(width, n - 1 - j) + 1):
                if taken[i - 1] != 0:
                    work[: width - i + 1, j + i] -= taken[i - 1] * work[i:, j]
            work[1:, j] = taken
    pivots = work[0].copy()
    work[0] = 1.0
    return work, pivots


def _norm(rest: Array, matrix: Array, away: Array, shift: float) -> float:
    """A bound of |A - L D L'| + |H - M|, from bounds of the entries, and of the rounding of the shifted diagonal."""
    rest[0] += 2 * UNIT * (np.abs(matrix[0]) + abs(shift))
    return float(np.max(_row_sums(rest + away))) * (1 + 4 * (len(matrix) + 1) * UNIT) + TINY


def _residual(matrix: Array, factor: Array, other: Array, more: int) -> Array:
    """Bounds of the sizes of all entries of A - L M', all as bands; `more` roundings are in a product of entries."""
    width, n = len(matrix) - 1, matrix.shape[1]
    found = np.zeros(matrix.shape)
    for d in range(width + 1):
        total, size = np.zeros(n), np.zeros(n)
        for e in range(width - d + 1):  # column j - e of rows j + d and j
            part = factor[d + e, : n - e] * other[e, : n - e]
            total[e:] += part
            size[e:] += np.abs(part)
        terms = width - d + 2
        error = 1.01 * (terms + more) * UNIT * (size * 1.01 + np.abs(matrix[d])) + TINY
        found[d] = np.abs(matrix[d] - total) * (1 + 2 * UNIT) + error
    return found


def _row_sums(band: Array) -> Array:
    """The sum of the entries of every row of a symmetric matrix, given by its lower half."""
    total = band[0].copy()
    n = len(total)
    for d in range(1, len(band)):
        total[: n - d] += band[d, : n - d]
        total[d:] += band[d, : n - d]
    return total
