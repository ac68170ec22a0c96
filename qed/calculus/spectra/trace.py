"""The trace of a matrix that is known by its products, with an interval that is kept.

Of a random vector g with independent standard normal numbers, g'Hg has the mean tr H and the variance 2 |H|_F^2.
Hutch++ takes the large part of H out first: with Q an orthonormal basis of H S for a random S,

    tr H = tr(Q'HQ) + tr((I - QQ') H (I - QQ')),

the first term exactly, the second as a mean over probes g, whose spread is then small (Meyer, Musco, Musco and
Woodruff, *Hutch++*, SOSA 2021). The interval is Student's, from the spread of the probes themselves, at 99 %. It stops
early where the interval is short, and short ones miss more often: the 1 % is shared among all looks (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

Array = np.ndarray
LEVEL = 0.99
LOOKS = (16, 32, 64, 128, 256, 512)
"""After how many probes it may stop: seldom, since stopping at a small spread of few samples would be too early."""


@dataclass(frozen=True)
class Trace:
    """A trace with its interval.

    Args:
        value: the estimate.
        error: half the width of the interval that holds the trace with a probability of 99 %.
        products: how many products were spent.
    """

    value: float
    error: float
    products: int


def trace(
    product: Callable[[Array], Array], size: int, tolerance: float = 0.05, most: int = 120, seed: int = 0
) -> Trace:
    """The trace, to a relative half-width `tolerance` or with `most` products.

    >>> found = trace(lambda v: np.arange(200.0) * v, 200, seed=3)
    >>> bool(abs(found.value - 19900) <= found.error), found.products
    (True, 120)
    """
    rng = np.random.default_rng(seed)
    rank = max(2, most // 4)
    image = np.array([product(rng.standard_normal(size)) for _ in range(rank)])
    basis, _ = np.linalg.qr(image.T)
    inner = sum(float(q @ product(np.ascontiguousarray(q))) for q in basis.T)
    samples: list[float] = []
    spent = 2 * rank
    level = 1 - (1 - LEVEL) / (1 + sum(look < most - spent for look in LOOKS))
    while spent < most:
        g = rng.standard_normal(size)
        g -= basis @ (basis.T @ g)
        samples.append(float(g @ product(g)))
        spent += 1
        if len(samples) in LOOKS and _half(samples, level) <= tolerance * abs(inner + float(np.mean(samples))):
            break
    return Trace(inner + float(np.mean(samples)), _half(samples, level), spent)


def _half(samples: list[float], level: float) -> float:
    count = len(samples)
    quantile = float(stdtrit(count - 1, (1 + level) / 2))
    return quantile * float(np.std(samples, ddof=1)) / np.sqrt(count)
