"""The products of rows that a machine sees: k(x, z) for whole matrices of rows, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Array = np.ndarray
AT_A_TIME = 128
"""Rows whose products with all others are computed together."""
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
        tall = rows.shape[0] > others.shape[0]  # columns are laid out one after the other then
        if self.kernel == "rbf" and not (sparse.issparse(rows) or sparse.issparse(others)):
            return gaussian(others, rows, self.gamma).T if tall else gaussian(rows, others, self.gamma)
        found = dense(others @ rows.T).T if tall else dense(rows @ others.T)
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


def gaussian(rows: Array, others: Array, gamma: float) -> Array:
    """exp(-gamma |x - z|^2), from one product of the rows (2 gamma x, -gamma |x|^2, 1) and (z, 1, -gamma |z|^2).

    A few rows at a time stay in the processor's cache; of the matrix of rows with themselves half is computed.

    >>> gaussian(np.array([[0.0], [1.0]]), np.array([[1.0]]), 2.0).round(4).tolist()
    [[0.1353], [1.0]]
    """
    n, m = len(rows), len(others)
    square = rows is others
    first = -gamma * squares(rows)
    last = first if square else -gamma * squares(others)
    left = np.column_stack([2.0 * gamma * rows, first, np.ones(n)])
    right = np.column_stack([others, np.ones(m), last]).T
    found, room = np.empty((n, m)), np.empty(min(n, AT_A_TIME) * m)
    for at in range(0, n, AT_A_TIME):
        to, begin = min(at + AT_A_TIME, n), at if square else 0
        part = room[: (to - at) * (m - begin)].reshape(to - at, m - begin)
        np.matmul(left[at:to], right[:, begin:], out=part)
        np.minimum(part, 0.0, out=part)
        np.exp(part, out=found[at:to, begin:])
        if square:
            found[to:, at:to] = found[at:to, to:].T
    return found


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
