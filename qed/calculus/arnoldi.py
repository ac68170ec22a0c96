"""The spectral radius of a matrix that is known by its products, with the residual of what was found.

Arnoldi builds an orthonormal basis Q of the Krylov space of A from a random start and the Hessenberg matrix
H = Q'AQ, whose eigenvalues (Ritz values) approach the outermost eigenvalues of A first. For a Ritz value theta with
H y = theta y, |y| = 1, after m products,

    |A v - theta v| = h_{m+1,m} |y_m|,    v = Q y,

so that theta is an eigenvalue of A + E with |E| equal to that residual. A need not be symmetric, so that this is no
distance to an eigenvalue of A itself; and that no larger one exists is not implied.

Reference: Saad, *Numerical Methods for Large Eigenvalue Problems*, 2011, section 6.2 and theorem 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

TURN = 0.05
"""The angle in radians from which an eigenvalue turns: a hundred steps make less than one round below it."""


@dataclass(frozen=True)
class Ritz:
    """The Ritz value of largest modulus.

    Args:
        value: the Ritz value, a complex number.
        residual: |A v - value v|, by Arnoldi's formula.
        products: how many products were spent.
        finite: False where a product was not finite; the value then says nothing.
    """

    value: complex
    residual: float
    products: int
    finite: bool = True

    @property
    def radius(self) -> float:
        """Its modulus."""
        return abs(self.value)


def outermost(
    product: Callable[[np.ndarray], np.ndarray],
    size: int,
    *,
    tolerance: float = 1e-4,
    most: int = 60,
    oscillating: bool = False,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Ritz:
    """The eigenvalue of largest modulus of a matrix given by its products.

    Args:
        product: v -> A v, float64 vectors of length `size`.
        size: the order of the matrix.
        tolerance: relative residual at which to stop.
        most: the most products to spend.
        oscillating: look among the eigenvalues that are not real and positive only.
        seed: of the random start vector.
        stop: asked before each product; True ends the search with what is known.

    Returns:
        The Ritz value; 0 where `oscillating` and there is none.

    Example:
        >>> import numpy as np
        >>> turn = np.array([[0.0, -2.0], [2.0, 0.0]])
        >>> round(outermost(lambda v: turn @ v, 2).radius, 9)
        2.0
    """
    start = np.random.default_rng(seed).standard_normal(size)
    steps = min(most, size)
    basis = np.zeros((steps + 1, size))
    basis[0] = start / np.linalg.norm(start)
    hessenberg = np.zeros((steps + 1, steps))
    found = Ritz(complex(np.nan), np.inf, 0, finite=False)
    for j in range(steps):
        u = product(basis[j])
        if not np.isfinite(u).all():
            return Ritz(complex(np.nan), np.inf, j + 1, finite=False)
        for _ in range(2):
            along = basis[: j + 1] @ u
            hessenberg[: j + 1, j] += along
            u = u - along @ basis[: j + 1]
        beside = float(np.linalg.norm(u))
        hessenberg[j + 1, j] = beside
        values, vectors = np.linalg.eig(hessenberg[: j + 1, : j + 1].astype(complex))
        sizes = np.abs(values)
        if oscillating:
            sizes = np.where((np.real(values) > 0) & (np.abs(np.imag(values)) < TURN * sizes), 0.0, sizes)
        top = int(np.argmax(sizes))
        residual = beside * float(abs(vectors[-1, top]))
        found = Ritz(complex(values[top]) if sizes[top] > 0 else 0j, residual, j + 1)
        done = 0 < found.radius and residual <= tolerance * found.radius and j + 1 >= min(5, size)
        if done or beside <= 1e-12 * max(1e-300, float(np.abs(hessenberg).max())) or stop():
            break
        basis[j + 1] = u / beside
    return found
