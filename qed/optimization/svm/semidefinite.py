"""Whether the matrix of a callable kernel is what the dual problem needs: symmetric, and positive semidefinite.

Weak duality takes |w|^2 = v'K v for the square of a length: it needs v'K v >= 0 for all v. What is refused is more than
rounding could do: a matrix whose entries are off by u max|K| each has eigenvalues that are off by at most
n u max|K|. K + n u max|K| I has a Cholesky factor then; where it has none, the eigenvector v of the least eigenvalue
witnesses it. Of a matrix that is too large to keep, the block of some of its rows is looked at: each principal block of
a semidefinite matrix is semidefinite.

Reference: Horn and Johnson, *Matrix Analysis*, 2013, section 7.1; Higham, *Accuracy and Stability of Numerical
Algorithms*, 2002, section 10.1.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh

Array = np.ndarray
ROWS = 1000
"""Of a matrix that is not kept, so many rows are looked at."""
LEAST = 1e-8
"""What is no more than this, in parts of the largest entry, is rounding."""


def confirm_kernel(matrix: Array, rows: Array) -> None:
    """Raise ValueError where the matrix of a kernel is not symmetric and positive semidefinite but for rounding.

    Args:
        matrix: K of some of the training rows.
        rows: their numbers.

    >>> confirm_kernel(np.array([[1.0, 2.0], [2.0, 1.0]]), np.arange(2))
    Traceback (most recent call last):
    ValueError: the kernel is not positive semidefinite: v'Kv = -1 for v = 0.707 on row 0, -0.707 on row 1
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    off = np.abs(matrix - matrix.T)
    i, j = np.unravel_index(int(np.argmax(off)), off.shape)
    small = max(LEAST, len(rows) * _unit(matrix)) * largest
    if off[i, j] > small:
        of = f"of rows {rows[i]} and {rows[j]} it is {matrix[i, j]:.6g}, turned {matrix[j, i]:.6g}"
        msg = f"the kernel is not symmetric: {of}"
        raise ValueError(msg)
    if largest == 0.0:
        return
    try:
        cholesky(matrix + small * np.eye(len(rows)), lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        values, vectors = eigh(matrix, subset_by_index=[0, 0], check_finite=False)
        if values[0] < -small:
            raise ValueError(_witness(matrix, vectors[:, 0], rows)) from None


def _unit(matrix: Array) -> float:
    """The rounding of one entry, in parts of it: that of float32 where float32 holds them all."""
    single = np.array_equal(matrix, matrix.astype(np.float32))
    return float(np.finfo(np.float32 if single else np.float64).eps)


def _witness(matrix: Array, vector: Array, rows: Array) -> str:
    """The words about a direction along which the form is negative."""
    order = np.argsort(-np.abs(vector), kind="stable")
    order = order[np.abs(vector[order]) > 1e-3 * np.abs(vector).max()]
    vector = vector * np.sign(vector[order[0]])
    shown = ", ".join(f"{vector[k]:.3g} on row {rows[k]}" for k in order[:4])
    more = f", and {len(order) - 4} more rows" if len(order) > 4 else ""
    return f"the kernel is not positive semidefinite: v'Kv = {vector @ matrix @ vector:.4g} for v = {shown}{more}"
