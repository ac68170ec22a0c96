"""The steepest curvature: the largest eigenvalue of the Hessian, with an error bar.

Lanczos builds an orthonormal basis Q of the Krylov space of H from a random start and the tridiagonal matrix
T = Q'HQ, whose eigenvalues (Ritz values) approach the extreme eigenvalues of H first. Reorthogonalising twice
keeps Q orthogonal in floating point. For the Ritz vector v, |v| = 1, with theta = v'Hv,

    some eigenvalue of H lies within |H v - theta v| of theta,

which is the error bar printed: from a *fresh* product, because Lanczos' own estimate falls below what the
arithmetic of the loss can give. That no larger eigenvalue exists is not implied by it.

Reference: Parlett, *The Symmetric Eigenvalue Problem*, 1998, theorem 4.5.1 and chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EigenPair:
    """An approximate eigenpair: an eigenvalue lies within `residual` of `value`.

    Args:
        value: the Ritz value v'Hv.
        residual: |H v - value v| from a fresh product.
        vector: the unit vector v.
        products: how many Hessian-vector products were spent.
        lowest: the smallest Ritz value seen, an upper bound of the smallest eigenvalue.
        finite: False where a product was not finite; the pair then says nothing.
    """

    value: float
    residual: float
    vector: np.ndarray
    products: int
    lowest: float
    finite: bool = True


def steepest(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    *,
    tolerance: float = 1e-3,
    most: int = 30,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> EigenPair:
    """The largest eigenvalue of a symmetric matrix given by its products.

    Args:
        product: v -> H v, float64 vectors of length `size`.
        size: the number of parameters.
        tolerance: relative residual at which to stop.
        most: the most products to spend.
        seed: of the random start vector.
        stop: asked before each product; True ends the search with what is known.

    Example:
        >>> import numpy as np
        >>> pair = steepest(lambda v: np.array([3.0, 1.0]) * v, 2)
        >>> round(pair.value, 9), pair.residual < 1e-9
        (3.0, True)
    """
    rng = np.random.default_rng(seed)
    basis = np.zeros((min(most, size) + 1, size))
    start = rng.standard_normal(size)
    basis[0] = start / np.linalg.norm(start)
    diagonal: list[float] = []
    beside: list[float] = []
    steps = max(1, min(most - 1, size))
    for j in range(steps):
        u = product(basis[j])
        if not np.isfinite(u).all():
            return EigenPair(np.nan, np.inf, basis[0], j + 1, np.nan, finite=False)
        diagonal.append(float(basis[j] @ u))
        for _ in range(2):
            u = u - basis[: j + 1].T @ (basis[: j + 1] @ u)
        beta = float(np.linalg.norm(u))
        theta, vectors = _ritz(diagonal, beside)
        done = beta * abs(vectors[-1, -1]) <= tolerance * 1e-2 * abs(theta[-1]) and j + 1 >= min(3, size)
        if done or beta <= 1e-12 * max(1e-300, abs(theta).max()) or j + 1 == steps or stop():
            break
        beside.append(beta)
        basis[j + 1] = u / beta
    theta, vectors = _ritz(diagonal, beside[: len(diagonal) - 1])
    vector = basis[: len(diagonal)].T @ vectors[:, -1]
    vector /= np.linalg.norm(vector)
    image = product(vector)
    value = float(vector @ image)
    residual = float(np.linalg.norm(image - value * vector))
    return EigenPair(value, residual, vector, len(diagonal) + 1, float(theta[0]), bool(np.isfinite(image).all()))


def _ritz(diagonal: list[float], beside: list[float]) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.diag(diagonal)
    if beside:
        matrix += np.diag(beside, 1) + np.diag(beside, -1)
    return np.linalg.eigh(matrix)
