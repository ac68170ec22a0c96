"""Derivatives of the digamma function in NumPy, below 0 by reflection.

SciPy sums Hurwitz's zeta function, from x < 0 on in |x| terms, which never ends where x is -1e30. Far below 0 the
reflection formula leads to one argument above it (DLMF 5.15.6)::

    psi_m(x) = (-1)^m psi_m(1 - x) - pi d^m/dx^m cot(pi x),
    d^m/dx^m cot(pi x) = pi^m Q_m(cot(pi x)),   Q_0 = c,   Q_(k+1) = -(1 + c^2) Q_k'
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

FAR = -100.0
"""Below this number the sum is left to the reflection."""


def polygamma(m: Any, x: Any) -> Any:
    """The m-th derivative of the digamma function at x.

    Args:
        m: orders >= 0, a number or an array.
        x: real numbers.

    >>> from qed.facts.polygammas import polygamma
    >>> polygamma(1, np.array([-0.5, -100.75, -1e9 - 0.25])).round(9).tolist()
    [8.934802201, 19.729332339, 19.739208801]
    """
    from scipy import special

    m, x = np.broadcast_arrays(m, np.asarray(x))
    far = (x < FAR) & (x != np.round(x))
    found = np.asarray(special.polygamma(m, np.where(far, 1 - x, np.where(x < FAR, 0, x))))
    for order in map(int, np.unique(m[far])):
        at = far & (m == order)
        past = x[at].astype(np.float64)
        slope = np.pi ** (order + 1) * _cotangent(order)(1 / np.tan(np.pi * (past - np.round(past))))
        found[at] = (-1) ** order * found[at] - slope
    return found.astype(np.result_type(x, np.float32), copy=False)[()]


def _cotangent(order: int) -> Polynomial:
    """Q of that order."""
    found = Polynomial([0.0, 1.0])
    for _ in range(order):
        found = -Polynomial([1.0, 0.0, 1.0]) * found.deriv()
    return found


def zeta(s: Any, q: Any) -> Any:
    """Hurwitz's zeta function; nan where q <= 0, where it is no sum of powers of positive numbers."""
    from scipy import special

    return special.zeta(s, np.where(np.asarray(q) > 0, q, np.nan))
