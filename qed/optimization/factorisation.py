"""Is H + shift I positive definite, and if so, solving with it: Cholesky for dense, L D L' for sparse matrices.

A symmetric matrix is positive definite if and only if the pivots D of its factorisation P A P' = L D L' without row
exchanges are positive (Sylvester). SciPy's sparse LU (SuperLU: Li, ACM TOMS 31, 2005) gives these pivots as the
diagonal of U where it takes its pivots from the diagonal, in an order of minimum degree that keeps L sparse. The
judgement is one of floating point (a singular matrix may pass): it says what Newton's method may step with, and
proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

Array = np.ndarray
Matrix = np.ndarray | scipy.sparse.csr_array


@dataclass(frozen=True, eq=False)
class Factor:
    """A positive definite matrix that was factorised.

    Args:
        solve: v -> the solution x of A x = v.
        entries: how many numbers the triangular factor holds.
        least: the smallest pivot, which is of the size of roundings where the matrix is singular.
    """

    solve: Callable[[Array], Array]
    entries: int
    least: float


def factorised(matrix: Matrix, shift: float = 0.0) -> Factor | None:
    """The factor of ``matrix + shift I``, or None where that is not positive definite.

    Args:
        matrix: symmetric; a NumPy array, or a sparse matrix with both triangles.
        shift: added to the diagonal.

    Example:
        >>> import numpy as np
        >>> saddle = np.diag([2.0, -1.0])
        >>> factorised(saddle) is None, factorised(saddle, shift=2.0).solve(np.array([4.0, 3.0])).tolist()
        (True, [1.0, 3.0])
    """
    if isinstance(matrix, np.ndarray):
        return _dense(matrix, shift)
    return _sparse(matrix, shift)


def _dense(matrix: Array, shift: float) -> Factor | None:
    shifted = np.array(matrix, np.float64)
    shifted[np.diag_indices_from(shifted)] += shift
    if not np.isfinite(shifted).all():
        return None
    try:
        factor = scipy.linalg.cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        return None
    n = len(shifted)
    least = float(np.min(factor[0].diagonal(), initial=np.inf)) ** 2
    return Factor(lambda v: scipy.linalg.cho_solve(factor, v, check_finite=False), n * (n + 1) // 2, least)


def _sparse(matrix: scipy.sparse.csr_array, shift: float) -> Factor | None:
    diagonal = np.asarray(matrix.diagonal(), np.float64) + shift
    added = scipy.sparse.diags_array(np.full(len(diagonal), float(shift)), format="csr")
    shifted = scipy.sparse.csc_array(matrix.astype(np.float64) + added)
    if not (np.isfinite(shifted.data).all() and (diagonal > 0).all()):
        return None
    try:
        found = scipy.sparse.linalg.splu(
            shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
    except RuntimeError:  # exactly singular
        return None
    pivots = np.asarray(found.U.diagonal())
    if not (np.array_equal(found.perm_r, found.perm_c) and (pivots > 0).all()):
        return None
    return Factor(found.solve, int(found.L.nnz), float(pivots.min(initial=np.inf)))
