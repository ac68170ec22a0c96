"""Bounds of the smallest and the largest eigenvalue from a run of Lanczos, with a stated probability of failure.

No number of products short of n proves anything of the eigenvalues that were not seen: H may hide a direction outside
the Krylov space. But a start that is uniform on the sphere hardly misses one. For an eigenpair (l, u), with q_1 the
start, theta_i the k Ritz values and beta_j all k of the numbers beside the diagonal, the characteristic polynomial of T
gives

    prod_i |l - theta_i| |<q_1, u>| <= prod_j beta_j,

and P(|<q_1, u>| < t) <= d for t = d B(1/2, (n - 1)/2) / 2, B the beta function (Hochstenbach, *Probabilistic upper
bounds for the matrix two-norm*, J. Sci. Comput. 57, 2013). So with probability 1 - d no eigenvalue lies below the root
x < theta_1 of

    sum_i log(theta_i - x) = sum_j log beta_j - log t.

A start of signs +-1 would invalidate it.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

Array = np.ndarray
TINY = 1e-14


def below(ritz: Array, betas: Array, size: int, failure: float) -> float:
    """A number that all eigenvalues exceed, but for a probability `failure`.

    Args:
        ritz: the k Ritz values.
        betas: the k numbers beside the diagonal, the last step's included.
        size: n.
        failure: the probability.

    >>> import numpy as np
    >>> below(np.array([1.0, 2.0]), np.array([0.5, 0.0]), 2, 1e-3) > 0.99
    True
    """
    k, low = len(ritz), float(np.min(ritz))
    scale = max(float(np.max(np.abs(ritz))), float(np.max(betas, initial=0.0)), 1e-300)
    if k >= size or float(np.min(betas)) == 0:  # the space is closed: it holds every eigenvalue, almost surely
        return low - TINY * scale
    log_t = np.log(failure) + float(betaln(0.5, (size - 1) / 2)) - np.log(2.0)
    goal = float(np.sum(np.log(np.maximum(betas[:k], TINY * scale)))) - log_t
    away = ritz - low

    def beyond(shift: float) -> bool:
        return float(np.sum(np.log(away + shift))) >= goal

    near, far = TINY * scale, scale
    while not beyond(far):
        far *= 4
    if beyond(near):
        return low - near
    for _ in range(200):
        middle = np.sqrt(near * far)
        near, far = (near, middle) if beyond(middle) else (middle, far)
    return low - far


def above(ritz: Array, betas: Array, size: int, failure: float) -> float:
    """A number that no eigenvalue exceeds, but for a probability `failure`."""
    return -below(-np.asarray(ritz), betas, size, failure)
