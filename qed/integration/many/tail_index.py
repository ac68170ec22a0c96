"""How heavy the tail of importance weights is, by the index of a generalised Pareto law fitted to the largest of them.

References: Zhang and Stephens, Technometrics 51, 2009; Vehtari et al., "Pareto smoothed importance sampling", JMLR 25.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

Array = np.ndarray


def tail_index(sizes: Array) -> float:
    """The index k of a generalised Pareto law fitted to the largest of some sizes (Zhang and Stephens, 2009).

    >>> import numpy as np
    >>> from qed.integration.many.tail_index import tail_index
    >>> u = (np.arange(20000) + 0.5) / 20000
    >>> round(tail_index(u**-0.8), 1), tail_index(np.ones(100)), tail_index(-np.log(u)) < 0.2
    (0.8, 0.0, True)
    """
    x = np.sort(sizes[sizes > 0])
    m = int(min(0.2 * len(x), 3 * math.sqrt(len(x))))
    if m < 10 or x[-1] <= x[-m - 1] * (1 + 1e-9):
        return 0.0
    y = x[-m:] - x[-m - 1]
    y = y[y > 0]
    if len(y) < 10:
        return 0.0
    count = 30 + int(math.sqrt(len(y)))
    quarter = y[max(0, len(y) // 4 - 1)]
    j = np.arange(1, count + 1)
    b = (1 - np.sqrt(count / (j - 0.5))) / (3 * quarter) + 1 / y[-1]
    with np.errstate(all="ignore"):
        k = np.mean(np.log1p(-b[:, None] * y), axis=1)
        profile = len(y) * (np.log(-b / k) - k - 1)
        profile = np.where(np.isfinite(profile), profile, -np.inf)
        weights = np.exp(profile - special.logsumexp(profile))
    best = float(np.sum(b * weights))
    return float(np.mean(np.log1p(-best * y)))
