"""Lanczos: eigenvalues of a symmetric matrix that is known by its products, with error bars.

Lanczos builds an orthonormal basis Q of the Krylov space of H from a random start and the projection T = Q'HQ, whose
eigenvalues (Ritz values) approach the extreme eigenvalues of H first. What a product shares with the last two vectors
is taken off first, then what it shares with all, again and again while its length falls: that keeps Q orthogonal in
floating point (Daniel, Gragg, Kaufman and Stewart, Math. Comp. 30, 1976). With H Q = Q T + beta q e_m', a Ritz pair T s
= theta s has the residual beta |s_m|. When the basis is full, the wanted Ritz vectors are kept and the rest is dropped:
H Q_p = Q_p diag(theta) + beta q s_m' is of the same form, so that the iteration goes on (thick restart: Wu and Simon,
SIAM J. Matrix Anal. Appl. 22, 2000). For any unit vector v, with theta = v'Hv,

    some eigenvalue of H lies within |H v - theta v| of theta,

which is the error bar printed: from a *fresh* product, because Lanczos' own estimate falls below what the
arithmetic of the loss can give. That no larger eigenvalue exists is not implied by it.

Reference: Parlett, *The Symmetric Eigenvalue Problem*, 1998, theorem 4.5.1 and chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
BLOCK = 1 << 16
"""How many columns of the basis are turned at a time in a restart, so that no second basis is needed."""
SHORTER = 0.7
"""A pass of reorthogonalisation that leaves a smaller part of the length than this is followed by another."""
PASSES = 3
"""How many passes are made at most."""
SQUARED = 1e-15
"""A length above which no square that counts is rounded to 0, in float32 too."""
CLOSED = 1e-12
"""The part of the largest Ritz value below which the Krylov space is taken to be closed."""


def length(u: Array) -> float:
    """The length of a vector, whose squares may be beyond the range of its dtype.

    >>> [f"{length(np.float32([3 * size, 4 * size])):.3g}" for size in (1e30, 1e-30, 0.0)]
    ['5e+30', '5e-30', '0']
    """
    with np.errstate(over="ignore"):
        found = float(np.linalg.norm(u))
    if SQUARED < found < np.inf:
        return found
    largest = float(np.max(np.abs(u), initial=0.0))
    if largest == 0.0 or not largest < np.inf:
        return largest
    return largest * float(np.linalg.norm(u / u.dtype.type(largest)))


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


class Krylov:
    """An orthonormal basis that grows by one product a step, and the projection on it.

    Args:
        product: v -> H v, vectors of length `size`.
        size: the length.
        most: how many vectors the basis holds at most, beside the next one.
        seed: of the random start, uniform on the sphere.
        dtype: of the basis.
        start: a vector to start from instead; what is said of random starts does not hold then.

    >>> krylov = Krylov(lambda v: np.array([3.0, 1.0, -2.0]) * v, 3, 3)
    >>> while krylov.step() and krylov.count < 3:
    ...     krylov.extend()
    >>> krylov.ritz()[0].round(9).tolist(), krylov.products
    ([-2.0, 1.0, 3.0], 3)
    """

    def __init__(
        self,
        product: Callable[[Array], Array],
        size: int,
        most: int,
        seed: int = 0,
        dtype: type = np.float64,
        start: Array | None = None,
    ) -> None:
        self.product, self.size, self.most = product, size, max(1, min(most, size))
        self.rng = np.random.default_rng(seed)
        self.basis = np.zeros((self.most + 1, size), dtype)
        self.matrix = np.zeros((self.most, self.most))
        self.count = self.products = 0
        self.beside = 0.0
        self.betas: list[float] = []
        first = self.rng.standard_normal(size) if start is None else start
        np.divide(first, np.linalg.norm(first), out=self.basis[0], casting="unsafe")

    def step(self) -> bool:
        """Multiply the last vector of the basis; False where the product is not finite."""
        j = self.count
        u = np.array(self.product(self.basis[j]), self.basis.dtype)
        self.products += 1
        if not np.isfinite(u).all():
            return False
        row = np.zeros(j + 1)
        rest = self._take_off(u, row, max(0, j - 1))
        for _ in range(PASSES):
            before, rest = rest, self._take_off(u, row, 0)
            if rest >= SHORTER * before:
                break
        self.matrix[j, : j + 1] = self.matrix[: j + 1, j] = row
        self.beside = rest
        self.count += 1
        self.betas.append(self.beside)
        self.basis[j + 1] = u
        return True

    def _take_off(self, u: Array, row: Array, first: int) -> float:
        """Take off u what it shares with the vectors of the basis from `first` on; add it to row; the length left."""
        inside = self.basis[first : len(row)]
        part = inside @ u
        u -= inside.T @ part
        row[first:] += part
        return length(u)

    @property
    def closed(self) -> bool:
        """Whether the space is invariant, up to rounding."""
        room = max(CLOSED, 4 * float(np.finfo(self.basis.dtype).eps))
        scale = float(np.max(np.abs(self.matrix[: self.count, : self.count]), initial=0.0))
        return self.count >= self.size or self.beside <= room * max(scale, 1e-300)

    def extend(self) -> None:
        """Take the rest of the last product, or, where there is none, a new random vector, into the basis."""
        j = self.count
        if not self.closed:
            self.basis[j] /= self.beside
            return
        self.beside = 0.0
        self._beside_all()

    def _beside_all(self) -> None:
        """A random unit vector orthogonal to the basis, as its next vector."""
        j = self.count
        u = self.rng.standard_normal(self.size).astype(self.basis.dtype)
        for _ in range(2):
            u -= self.basis[:j].T @ (self.basis[:j] @ u)
        self.basis[j] = u / np.linalg.norm(u)

    def anew(self, kept: Sequence[int]) -> None:
        """Keep some Ritz vectors, and go on from a random vector beside them: copies of an eigenvalue lie there.

        The Krylov space of one vector holds one eigenvector of each eigenvalue, however often that occurs.
        """
        self.restart(kept)
        self.beside = 0.0
        self._beside_all()

    def ritz(self) -> tuple[Array, Array]:
        """Ritz values, ascending, and their vectors in the basis, as columns."""
        return np.linalg.eigh(self.matrix[: self.count, : self.count])

    def vectors(self, inner: Array) -> Array:
        """Vectors (count, ...) in the basis as vectors of length `size`, in rows."""
        return inner.T @ self.basis[: self.count]

    def refined(self, chosen: Sequence[int]) -> tuple[Array, Array, Array]:
        """Values t, |H v - t v|, and vectors v in the basis, as orthonormal columns: less than those of Ritz vectors.

        For a Ritz value theta, v = Q y makes |H v - theta v| = |(T - theta) y| least, with T of one row more, beta
        e_m' (Jia, Linear Algebra Appl. 259, 1997), and t = v'Hv. So that none comes twice where two Ritz values are
        near, each is sought beside those found before, the one of the least residual first.

        >>> krylov = Krylov(lambda v: np.arange(50.0) * v, 50, 12)
        >>> while krylov.step() and krylov.count < 12:
        ...     krylov.extend()
        >>> values, errors, columns = krylov.refined([11, 10])
        >>> bool(np.all(errors <= krylov.beside * np.abs(krylov.ritz()[1][-1, [11, 10]])))
        True
        """
        ritz, inner = self.ritz()
        m, k = self.count, len(chosen)
        below = np.append(np.zeros(m - 1), self.beside)
        columns = np.zeros((m, k))
        done: list[int] = []
        for i in np.argsort(np.abs(inner[-1, list(chosen)]), kind="stable"):
            found = columns[:, done]
            free = np.linalg.qr(np.hstack([found, np.eye(m)]))[0][:, len(done) :] if done else np.eye(m)
            shifted = np.vstack([self.matrix[:m, :m] - ritz[chosen[i]] * np.eye(m), below])
            columns[:, i] = free @ np.linalg.svd(shifted @ free)[2][-1]
            done.append(int(i))
        images = np.vstack([self.matrix[:m, :m], below]) @ columns
        values = np.sum(images[:m] * columns, axis=0)
        images[:m] -= values * columns
        return values, np.linalg.norm(images, axis=0), columns

    def turn(self, columns: Array) -> None:
        """Put the vectors with these columns in the place of the first of the basis."""
        m, p = columns.shape
        turned = columns.T.astype(self.basis.dtype)
        for start in range(0, self.size, BLOCK):
            part = slice(start, start + BLOCK)
            self.basis[:p, part] = turned @ self.basis[:m, part]

    def restart(self, kept: Sequence[int]) -> None:
        """Keep some Ritz vectors and the next vector of the basis, and drop the rest."""
        values, inner = self.ritz()
        keep = inner[:, list(kept)]
        p, j = keep.shape[1], self.count
        self.turn(keep)
        self.basis[p] = self.basis[j]
        self.matrix[:] = 0.0
        self.matrix[:p, :p] = np.diag(values[list(kept)])
        self.count = p


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
    steps = max(1, min(most - 1, size))
    krylov = Krylov(product, size, steps, seed)
    while True:
        if not krylov.step():
            return EigenPair(np.nan, np.inf, krylov.basis[0], krylov.products, np.nan, finite=False)
        theta, inner = krylov.ritz()
        estimate = krylov.beside * abs(inner[-1, -1])
        done = estimate <= tolerance * 1e-2 * abs(theta[-1]) and krylov.count >= min(3, size)
        if done or krylov.closed or krylov.count == steps or stop():
            break
        krylov.extend()
    vector = krylov.vectors(inner[:, -1])
    vector /= np.linalg.norm(vector)
    image = product(vector)
    value = float(vector @ image)
    residual = float(np.linalg.norm(image - value * vector))
    return EigenPair(value, residual, vector, krylov.products + 1, float(theta[0]), bool(np.isfinite(image).all()))
