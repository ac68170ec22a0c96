"""Kernel machines whose matrix has a low rank: as linear machines of the rows of its factor.

Where K = L L' with L of shape (n, r), the rows of L are features whose products are the kernel's, and the machine with
the kernel is the linear machine of these rows. The augmented Lagrangian of `linear` asks no inverse of a block of K,
so that it comes near where multipliers are not unique, as they are not for smooth kernels of few features, and needs
no more steps for a high price; decomposition takes millions of steps there, and Newton's method on the rows of the
margin meets singular systems. The free offset is the weight of one more feature, a constant s: its square, (b / s)^2,
is added to |w|^2, and y'a = b / s^2 instead of 0, which Newton's steps make up for afterwards.

The factor is Cholesky's with pivoting, which ends where no diagonal entry is left above rounding. What is claimed is
proved with the entries of K, not with those of L.

Reference: Fine and Scheinberg, "Efficient SVM training using low-rank kernel representations", JMLR 2, 2001; Higham,
*Accuracy and Stability of Numerical Algorithms*, 2002, section 10.3.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import get_lapack_funcs

from qed.optimization.svm import kernel as kernels
from qed.optimization.svm import linear

Array = np.ndarray
MOST = 1500
"""Columns of the factor at most: systems of this size are solved."""
LEFT = 1e-12
"""What is left of the diagonal, in parts of its mean."""
OUTER = 60
"""How often the multipliers are moved at most."""
CONSTANTS = (1e2, 1e1, 1e3)
"""The constant feature, in parts of the mean length of the rows: a large one asks more steps, a small one leaves more
to be made up for."""


def factor(matrix: Array, most: int = MOST) -> Array | None:
    """L of shape (n, r) with K = L L' but for rounding; None where r would be more than `most`.

    >>> found = factor(np.ones((3, 3)))
    >>> found.shape, bool(np.allclose(found @ found.T, 1.0))
    ((3, 1), True)
    """
    n = len(matrix)
    (pivoted,) = get_lapack_funcs(("pstrf",), (matrix,))
    level = LEFT * float(np.mean(np.diag(matrix)))
    if n > most + 1:  # the rank of a block is at most that of the whole
        some = np.linspace(0, n - 1, most + 1).astype(int)
        if pivoted(np.asfortranarray(matrix[np.ix_(some, some)]), lower=1, tol=level)[2] > most:
            return None
    lower, pivots, rank, _ = pivoted(np.array(matrix, order="F"), lower=1, tol=level, overwrite_a=True)
    if rank > most:
        return None
    found = np.empty((n, rank))
    found[pivots - 1] = np.tril(lower[:, :rank])
    return found


def solve(kernel: kernels.Kernel, features: Any, signs: Array, prices: Array, tol: float) -> kernels.Polished:
    """The machine by rows whose products are the kernel's, to a relative gap of tol, or as near as it comes.

    Args:
        kernel: the kernel of the n training rows, by which the result is judged.
        features: L with K = L L' but for rounding, of shape (n, r), dense or sparse (CSR).
        signs: the labels, -1 or 1.
        prices: C_i > 0.
        tol: the wanted gap, in parts of the primal value.
    """
    best: kernels.Polished | None = None
    for constant in CONSTANTS:
        height = constant * math.sqrt(kernel.mean_diagonal)
        column = signs * height
        if sparse.issparse(features):
            rows: Any = sparse.hstack([features.multiply(signs[:, None]), column[:, None]], format="csr")
        else:
            rows = np.column_stack([features * signs[:, None], column])
        found = linear.solve(rows, prices, 0.1 * tol, OUTER)
        offset = float(found.weights[-1]) * height
        polished = kernels.polish(kernel, signs, prices, found.multipliers, tol, offset=offset)
        polished = replace(polished, newton_steps=polished.newton_steps + found.newton_steps)
        best = polished if best is None or polished.relative < best.relative else best
        if best.relative <= tol:
            break
    assert best is not None
    return best
