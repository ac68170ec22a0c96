"""The products of rows that a machine sees: k(x, z) for whole matrices of rows, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Array = np.ndarray
KERNELS = ("linear", "poly", "rbf")


@dataclass(frozen=True)
class Gram:
    """A kernel with its numbers.

        linear   x . z
        poly     (gamma x . z + coef0)^degree
        rbf      exp(-gamma |x - z|^2)

    or a callable that takes two matrices of rows and gives the matrix of products. The first three are positive
    semidefinite (poly: for a whole degree, gamma > 0 and coef0 >= 0), as the dual problem needs; of a callable it is
    assumed.
    """

    kernel: str | Callable[[Any, Any], Any]
    gamma: float = 1.0
    degree: int = 3
    coef0: float = 0.0

    def __call__(self, rows: Any, others: Any) -> Array:
        """The matrix k(x, z) for x in rows and z in others."""
        if callable(self.kernel):
            found = np.asarray(self.kernel(rows, others), np.float64)
            if found.shape != (rows.shape[0], others.shape[0]):
                wanted = (rows.shape[0], others.shape[0])
                msg = f"the kernel gave the shape {found.shape}, and {wanted} rows need {wanted}"
                raise ValueError(msg)
            if not np.all(np.isfinite(found)):
                msg = "the kernel gave NaN or infinity"
                raise ValueError(msg)
            return found
        found = dense(rows @ others.T)
        if self.kernel == "poly":
            found *= self.gamma
            found += self.coef0
            return found**self.degree
        if self.kernel == "rbf":
            found *= 2.0 * self.gamma
            found -= self.gamma * squares(rows)[:, None]
            found -= self.gamma * squares(others)
            np.minimum(found, 0.0, out=found)
            np.exp(found, out=found)
        return found

    def diagonals(self, rows: Any) -> Array | None:
        """k(x, x) for x in rows, up to rounding; None of a callable."""
        if callable(self.kernel):
            return None
        if self.kernel == "rbf":
            return np.ones(rows.shape[0])
        found = squares(rows)
        return (self.gamma * found + self.coef0) ** self.degree if self.kernel == "poly" else found


def squares(rows: Any) -> Array:
    """|x|^2 of each row."""
    if sparse.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


def variance(rows: Any, weight: Array) -> float:
    """The variance of all entries, a row counted as often as its weight says."""
    entries = float(weight.sum()) * rows.shape[1]
    mean = float(weight @ (rows @ np.ones(rows.shape[1]))) / entries
    if sparse.issparse(rows):
        return float(weight @ squares(rows)) / entries - mean**2
    return float(weight @ squares(rows - mean)) / entries


def dense(matrix: Any) -> Array:
    """The matrix as an array of all its entries."""
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)
