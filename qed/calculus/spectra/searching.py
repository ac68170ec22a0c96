"""The search for eigenvalues by restarted Lanczos, and how far each may be off.

Lanczos (`qed.calculus.lanczos`) goes on until its own estimates of the wanted residuals are small. What is reported is
a bound of |H v - t v| for each, within which an eigenvalue lies. Of a small function that is the residual of a fresh
product in float64. Of a large one the recurrence itself says what each product is, H Q = Q T + beta q e_m', up to what
rounding has done to it; and that is measured on one fresh product in float64, with a sum of all the vectors.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qed.calculus.lanczos import Krylov, length
from qed.calculus.spectra.products import SMALL, Products

Array = np.ndarray
WHICH = ("magnitude", "largest", "smallest")
ROOM, MORE, AMPLE = 15, 60, 20_000_000
"""How many vectors the basis holds beside those of the eigenvalues that are asked for; of a small function MORE, as
long as they have no more than AMPLE numbers together."""
SPARE = 4
"""How many more Ritz vectors a restart keeps."""
CAREFUL = 0.95
"""At which part of the tolerance the search stops: what it estimates is measured afterwards."""
NEAR = 2.0
"""Up to how many tolerances residuals of Ritz vectors are, where those of better vectors are asked for."""
CHANCE = 0.1
"""The length of the random part of a start, beside that of the gradient."""
SAFETY = 10.0
"""By how much rounding errors that were measured on one vector are multiplied."""
WHOLE = 100
"""Of so many parameters all eigenvalues are found, each as often as it occurs."""
AGAIN = 3
"""How often at most the search of a small function begins again beside what was found."""
MOST = 300
"""How many products are spent at most, beside the fresh ones."""


def room_of(size: int, k: int) -> int:
    """How many vectors the basis holds.

    >>> room_of(2_000_000, 5), room_of(400_000, 5), room_of(3, 2)
    (20, 50, 3)
    """
    if size <= WHOLE:
        return size
    return min(k + max(ROOM, min(MORE, AMPLE // size - k)), size)


def wanted(values: Array, k: int, which: str) -> list[int]:
    """Which k of ascending values are asked for, the first first.

    >>> wanted(np.array([-3.0, 0.0, 2.0]), 2, "magnitude"), wanted(np.array([-3.0, 0.0, 2.0]), 2, "largest")
    ([0, 2], [2, 1])
    """
    order = {"magnitude": -np.abs(values), "largest": -values, "smallest": values}[which]
    return np.argsort(order, kind="stable")[:k].tolist()


def search(
    krylov: Krylov, k: int, which: str, tol: float, end: float | None = None, progress: Any = None, most: int = MOST
) -> bool:
    """Take steps until the wanted Ritz pairs have small residuals; False where a product is not finite.

    An eigenvalue that occurs more than once is seen once from a random vector. Of a small function the search begins
    again beside what it has found, until that changes nothing. An interruption from the keyboard ends the search with
    what is known.
    """
    before, since, rounds = None, 0, 0
    try:
        while krylov.step():
            values, inner = krylov.ritz()
            chosen = wanted(values, k, which)
            residuals = krylov.beside * np.abs(inner[-1, chosen])
            scale = np.maximum(np.abs(values[chosen]), 1e-2 * np.max(np.abs(values)))
            room = CAREFUL * tol * scale
            if (
                krylov.size > SMALL
                and len(chosen) == k
                and np.any(residuals > room)
                and np.all(residuals <= NEAR * room)
            ):
                residuals = krylov.refined(chosen)[1]
            good = int(np.sum(residuals <= room))
            if progress is not None:
                progress("eigenvalues", good, k)
            enough = krylov.products >= min(since + k + 3, krylov.size) and krylov.size > WHOLE
            done = good == k and len(chosen) == k and enough
            late = krylov.products >= most or (end is not None and time.monotonic() > end)
            if krylov.count >= krylov.size or (late and krylov.count >= k):
                return True
            if done:
                same = before is not None and np.all(np.abs(values[chosen] - before) <= tol * scale)
                if krylov.size > SMALL or same or rounds == AGAIN:
                    return True
                before, since, rounds = values[chosen], krylov.products, rounds + 1
                krylov.anew(wanted(values, min(k + SPARE, krylov.most - 1), which))
                continue
            krylov.extend()
            if krylov.count == krylov.most:
                krylov.restart(wanted(values, min(k + SPARE, krylov.most - 1), which))
    except KeyboardInterrupt:
        if krylov.count < 1:
            raise
        return True
    return False


def beginning(products: Products, seed: int) -> Array | None:
    """Where to begin with a large function: at its gradient, where that is there anyhow, and a tenth of chance.

    The gradient of a mean is made of the gradients of its terms, and so is most of what is large in its Hessian.
    """
    slopes = products.slopes if products.size > SMALL else None
    steep = 0.0 if slopes is None else length(slopes)
    if slopes is None or not 0 < steep < np.inf:
        return None
    chance = np.random.default_rng(seed).standard_normal(products.size, slopes.dtype)
    slopes /= slopes.dtype.type(steep)
    slopes += slopes.dtype.type(CHANCE / np.linalg.norm(chance)) * chance
    return slopes


def how(products: Products) -> str:
    """In words how the errors of eigenvalues are found."""
    fresh = "residual of a fresh product"
    return "residual of the recurrence, and its rounding from a fresh product" if _is_judged(products) else fresh


def _is_judged(products: Products) -> bool:
    return products.size > SMALL and products.wide


def measured(krylov: Krylov, products: Products, chosen: list[int]) -> tuple[Array, Array, Array]:
    """Numbers, bounds of |H v - t v|, and unit vectors near Ritz pairs; this ends the search.

    The vectors take the place of the basis, one by one, so that no memory is needed beside it. Of a large function
    they are not the Ritz vectors, but those of smaller residuals (`Krylov.refined`).
    """
    if not _is_judged(products):
        krylov.restart(chosen)
        _shorten(krylov, len(chosen))
        return _afresh(krylov.basis, products)
    return _of_the_recurrence(krylov, products, chosen)


def weights_of(values: Array) -> Array:
    """Random weights of length 1, each at least 1 / (3 sqrt k) in size, drawn by the bits of k numbers.

    >>> bool(np.min(np.abs(weights_of(np.arange(30.0)))) > 1 / (3 * np.sqrt(30)))
    True
    """
    rng = np.random.default_rng(np.asarray(values, np.float64).view(np.uint64))
    found = rng.choice([-1.0, 1.0], len(values)) * rng.uniform(0.5, 1.5, len(values))
    return found / np.linalg.norm(found)


def _shorten(krylov: Krylov, count: int) -> None:
    krylov.basis.resize((count, krylov.size), refcheck=False)  # in place: nothing else looks at it


def _afresh(vectors: Array, products: Products) -> tuple[Array, Array, Array]:
    """Rayleigh quotients, and residuals from a fresh product each."""
    values, errors, images = [], [], []
    for v in vectors:
        v /= np.linalg.norm(v)
        image = products(v)
        theta, size = float(v @ image), length(image)
        if products.size <= SMALL:
            images.append(np.array(image))
        image -= np.asarray(theta * v, image.dtype)
        errors.append(length(image) + 1e-15 * (8 + float(np.sqrt(len(v)))) * size)
        values.append(theta)
        del image  # before the next product
    beside = products.beside(vectors, np.array(images)) if images else products.cancelled
    return np.array(values), np.array(errors) + beside, vectors


def _of_the_recurrence(krylov: Krylov, products: Products, chosen: list[int]) -> tuple[Array, Array, Array]:
    """The residuals that the recurrence tells, enlarged by what rounding has done to it.

    With D the error of the recurrence on the k vectors and w a unit vector drawn at random, |D w|^2 has the mean
    |D|_F^2 / k, and |D|_F is no less than the error on any of them. The weights have random signs, and sizes that are
    nowhere small: an error on one vector alone is never overlooked, and errors along one line cancel below
    |D|_F / (SAFETY sqrt k) with a probability of about 1 / SAFETY. They are drawn anew for each function.
    """
    values, residuals, columns = krylov.refined(chosen)
    k, m = len(chosen), krylov.count
    weights = weights_of(values)
    step = krylov.beside / (length(krylov.basis[m]) or 1.0)
    told = np.append(krylov.matrix[:m, :m] @ columns @ weights, step * columns[-1] @ weights)
    krylov.turn(np.column_stack([np.vstack([columns, np.zeros(k)]), told]))
    _shorten(krylov, k + 1)
    mixed = weights.astype(krylov.basis.dtype) @ krylov.basis[:k]
    away = length(products.exact(mixed) - krylov.basis[k])
    _shorten(krylov, k)
    for v in krylov.basis:
        v /= np.linalg.norm(v)
    return values, residuals + SAFETY * float(np.sqrt(k)) * away + products.cancelled, krylov.basis
