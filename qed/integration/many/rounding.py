"""What the rounding of an integrand adds to the error of a sampled rule.

A program f in float64 gives f(x (1 + d)) for some d of a few units u = 2^-53, or no worse, where it is backward stable.
The mean over points of |f(x (1 + d)) - f(x)|, with d = 4 u of random signs, is of the size of the error that rounding
makes of the mean of f: nothing beside f, unless f is small by cancellation, as p_1 + p_2 - 1 is on a simplex.

Reference: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

UNITS = 4 * 2.0**-53
POINTS = 1024
"""At most so many points are moved."""


def rounding_of(terms_at: Callable[[Array, Array], Array], x: Array, terms: Array, seed: int) -> float:
    """The mean of the change of terms when their points are moved by a few units in the last place.

    Args:
        terms_at: (moved points, their positions) -> terms.
        x: the points, one a row.
        terms: their terms.
        seed: of the signs.

    Example:
        >>> first = np.random.default_rng(0).random(500)
        >>> x = np.stack([first, 1 - first], axis=1)
        >>> def cancelled(x, _=None):
        ...     return (x.sum(1) - 1) * 1e6
        >>> rounding_of(cancelled, x, cancelled(x), 0) > 1e-11, rounding_of(lambda x, _: x[:, 0], x, first, 0) < 1e-15
        (True, True)
    """
    some = np.arange(0, len(x), max(1, len(x) // POINTS))
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=x[some].shape)
    with np.errstate(all="ignore"):
        change = np.abs(terms_at(x[some] * (1 + UNITS * signs), some) - terms[some])
    return float(np.where(np.isfinite(change), change, 0.0).mean())
