"""The trace of a matrix that is known by its products, with an interval that is kept.

Of a random vector g with independent standard normal numbers, g'Hg has the mean tr H and the variance 2 |H|_F^2.
Hutch++ takes the large part of H out first: with Q an orthonormal basis of H S for a random S,

    tr H = tr(Q'HQ) + tr((I - QQ') H (I - QQ')),

the first term exactly, the second, tr R, as a mean of g'Rg over n probes g, whose spread is then small (Meyer, Musco,
Musco and Woodruff, *Hutch++*, SOSA 2021). Its variance 2 |R|_F^2 / n is read from |Rg|^2, whose mean is |R|_F^2 and
which spreads less than the squares of the deviations. Such a mean is skew, most so where one eigenvalue is left: then
W = mean / tr R is a chi-square variable of n degrees over n, and the interval mean -/+ q sqrt(2 mean |Rg|^2 / n) misses
low at W < w where q = (1 - w) / sqrt(2 w / n). In general the skewness is at most sqrt(8 / v), that of v degrees, with
v = |R|_F^4 / |R^2|_F^2 >= 1, and (g'R^2 h)^2 of two probes has the mean |R^2|_F^2: so q is taken from n v degrees, at
99 %. It stops early where the interval is short, and short ones miss more often: the 1 % is shared among all looks
(Bonferroni).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

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
    left = _Left()
    spent = 2 * rank
    level = 1 - (1 - LEVEL) / (1 + sum(look < most - spent for look in LOOKS))
    while spent < most:
        g = rng.standard_normal(size)
        g -= basis @ (basis.T @ g)
        image = np.asarray(product(g), np.float64)
        left.add(float(g @ image), image - basis @ (basis.T @ image))
        spent += 1
        if left.count in LOOKS and left.half(level) <= tolerance * abs(inner + left.mean):
            break
    return Trace(inner + left.mean, left.half(level), spent)


class _Left:
    """What is known of the trace of R from its probes."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.square = 0.0
        self.fourth = 0.0
        self._before: Array | None = None

    def add(self, sample: float, image: Array) -> None:
        """One more probe g: g'Rg and Rg."""
        if self._before is not None:
            self.fourth += (float(self._before @ image) ** 2 - self.fourth) / self.count
        self.count += 1
        self.mean += (sample - self.mean) / self.count
        self.square += (float(image @ image) - self.square) / self.count
        self._before = image

    def half(self, level: float) -> float:
        """Half the width of the interval."""
        degrees = self.count * max(1.0, self.square**2 / self.fourth if self.fourth > 0 else 1.0)
        least = float(chdtri(degrees, (1 + level) / 2)) / degrees
        return (1 - least) * float(np.sqrt(degrees / self.count / least * self.square))
