"""The search for eigenvalues by restarted Lanczos, and their residuals from fresh products.

Lanczos (`qed.calculus.lanczos`) goes on until its own estimates of the wanted residuals are small; what is reported are
the residuals |H v - (v'Hv) v| of fresh products, within which an eigenvalue lies.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from qed.calculus.lanczos import Krylov
from qed.calculus.spectra.products import SMALL, Products

Array = np.ndarray
WHICH = ("magnitude", "largest", "smallest")
ROOM, MORE, AMPLE = 15, 60, 20_000_000
"""How many vectors the basis holds beside those of the eigenvalues that are asked for; of a small function MORE, as
long as they have no more than AMPLE numbers together."""
SPARE = 4
"""How many more Ritz vectors a restart keeps."""
CAREFUL = 0.7
"""At which part of the tolerance the search stops: what it estimates is measured afterwards."""
SAFETY = 2.0
"""By how much rounding errors that were measured on one vector are multiplied."""
MOST = 300
"""How many products are spent at most, beside the fresh ones."""


def room_of(size: int, k: int) -> int:
    """How many vectors the basis holds.

    >>> room_of(2_000_000, 5), room_of(400_000, 5), room_of(3, 2)
    (20, 50, 3)
    """
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

    An interruption from the keyboard ends the search with what is known.
    """
    try:
        while krylov.step():
            values, inner = krylov.ritz()
            chosen = wanted(values, k, which)
            residuals = krylov.beside * np.abs(inner[-1, chosen])
            scale = np.maximum(np.abs(values[chosen]), 1e-2 * np.max(np.abs(values)))
            good = int(np.sum(residuals <= CAREFUL * tol * scale))
            if progress is not None:
                progress("eigenvalues", good, k)
            done = good == k and len(chosen) == k and krylov.products >= min(k + 3, krylov.size)
            late = krylov.products >= most or (end is not None and time.monotonic() > end)
            if krylov.count >= krylov.size or done or (late and krylov.count >= k):
                return True
            krylov.extend()
            if krylov.count == krylov.most:
                krylov.restart(wanted(values, min(k + SPARE, krylov.most - 1), which))
    except KeyboardInterrupt:
        if krylov.count < 1:
            raise
        return True
    return False


def measured(krylov: Krylov, products: Products, chosen: list[int]) -> tuple[Array, Array, Array]:
    """Rayleigh quotients, residuals and unit vectors of Ritz pairs, from a fresh product each; this ends the search.

    The vectors take the place of the basis, one by one, so that no memory is needed beside it. Of a small function the
    products are in float64; of a large one in its own arithmetic, and the residuals are enlarged by its rounding errors
    E, as measured on one sum of the vectors with random signs: over the signs |E sum|^2 has the mean sum |E v|^2.
    """
    krylov.restart(chosen)
    k, n = len(chosen), products.size
    krylov.basis.resize((k, n), refcheck=False)  # in place: nothing else looks at it
    signs = np.where(np.random.default_rng(k).integers(0, 2, k), 1.0, -1.0) / np.sqrt(k)
    judged = n > SMALL and products.wide
    mixed, images = (np.zeros(n, krylov.basis.dtype) for _ in range(2))
    values, errors = [], []
    for v, sign in zip(krylov.basis, signs, strict=True):
        v /= np.linalg.norm(v)
        image = products(v)
        theta, size = float(v @ image), float(np.linalg.norm(image))
        if judged:
            mixed += v.dtype.type(sign) * v
            images += v.dtype.type(sign) * image
        image -= np.asarray(theta * v, image.dtype)
        errors.append(float(np.linalg.norm(image)) + 1e-15 * (8 + float(np.sqrt(n))) * size)
        values.append(theta)
        del image  # before the next product
    rounding = SAFETY * float(np.sqrt(k)) * float(np.linalg.norm(products.exact(mixed) - images)) if judged else 0.0
    return np.array(values), np.array(errors) + rounding, krylov.basis
