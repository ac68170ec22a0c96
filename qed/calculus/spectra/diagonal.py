"""The diagonal of a matrix that is known by its products, each entry with an interval that is kept.

Of a random vector g of signs, g_i (H g)_i has the mean H_ii and the variance sum_(j != i) H_ij^2. As for the trace, the
large part of H is taken out first: with Q an orthonormal basis of H S for a random S,

    diag H = diag(Q Q'H) + diag((I - Q Q') H),

the first exactly from the products H Q, the second as a mean over g (Baston and Nakatsukasa, *Stochastic diagonal
estimation: probabilistic bounds and an improved algorithm*, 2022). The intervals are Student's, from the spread of the
probes at each entry, at 99 % for each entry by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

Array = np.ndarray
LEVEL = 0.99


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A diagonal with its intervals.

    Args:
        values: the estimates.
        errors: half the widths of intervals that hold an entry with a probability of 99 % each.
        products: how many products were spent.
    """

    values: Array
    errors: Array
    products: int


def diagonal(product: Callable[[Array], Array], size: int, most: int = 120, seed: int = 0) -> Diagonal:
    """The diagonal, from `most` products.

    >>> found = diagonal(lambda v: np.arange(200.0) * v, 200)
    >>> bool(np.mean(np.abs(found.values - np.arange(200)) <= found.errors + 1e-9) > 0.95), found.products
    (True, 120)
    """
    rng = np.random.default_rng(seed)
    rank = max(2, most // 4)
    image = np.array([product(rng.standard_normal(size)) for _ in range(rank)])
    basis, _ = np.linalg.qr(image.T)
    known = np.zeros(size)
    for q in basis.T:
        known += q * product(np.ascontiguousarray(q))
    probes = most - 2 * rank
    mean, spread = np.zeros(size), np.zeros(size)
    for k in range(1, probes + 1):  # Welford's sums, so that no samples are kept
        g = np.where(rng.integers(0, 2, size), 1.0, -1.0)
        found = np.asarray(product(g), float)
        sample = g * (found - basis @ (basis.T @ found))
        away = sample - mean
        mean += away / k
        spread += away * (sample - mean)
    quantile = float(stdtrit(probes - 1, (1 + LEVEL) / 2))
    return Diagonal(known + mean, quantile * np.sqrt(spread / (probes - 1) / probes), most)
