"""What two near densities differ by, roughly: the mean of the log-ratio, and half its variance.

To second order KL(p || q) = Var_p(log p/q) / 2, whatever the constants of the densities are: that is the scale on which
it is enclosed (`qed.certificates.near_divergence`), and the mean is what is taken off first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qed.certificates.near_divergence import NEAR
from qed.integration.laws import Density
from qed.integration.quadrature import ends_in_float64, measured

SHARES = (1e-6, 1e-3)
"""How closely near densities are compared, in parts of their divergence."""
LEAST = 1e-27
"""Smaller scales are those of rounding: log-densities that differ by less are told alike by float64."""
BY_EXCESS = "the mean of exp(v) - 1 - v, which has no digits to lose"
EXCESS = "E_p[exp(v) - 1 - v] - (y - log(1 + y)),  v = log q/p + a,  y = E_p exp(v) - 1"


def mean_and_scale(ratio: Callable[[Any], Any], p: Density) -> tuple[float, float] | None:
    """The mean of the log-ratio under p and half its variance; None where that is no small positive number.

    Args:
        ratio: the log-ratio in float64, with any constant.
        p: a density whose mass was searched.
    """
    assert p.u is not None
    inner = [c for c in p.cuts if np.isfinite(c)]
    for ends in (ends_in_float64(p.u, p.cuts), inner):  # the ratio may be no number at the ends
        if (mean := measured(ratio, p.u, ends, True) if len(ends) > 1 else None) is None:
            continue
        at = mean.value
        square = measured(lambda x, at=at: (ratio(x) - at) ** 2, p.u, ends, True)
        if square is not None:
            return (at, square.value / 2) if LEAST < square.value / 2 < NEAR else None
    return None
