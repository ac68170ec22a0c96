"""The last step of a certificate of bounds: the ball that was found lies between them.

A ball [m - r, m + r] proves lower <= v <= upper for the v in it, if lower <= m - r and m + r <= upper in exact
comparisons. Bounds that are both the same infinity claim that v is that infinity, which a ball of that name proves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qed.domains.precision import flint
from qed.errors import CertificateError


def surely_within(found: Any, lower: float, upper: float) -> None:
    """Raise CertificateError where a ball is not proved to lie in [lower, upper]; within `precision` only.

    >>> from qed.domains.precision import flint, precision
    >>> from qed.certificates.bounded import surely_within
    >>> with precision(64):
    ...     surely_within(flint().arb(2), 1.0, 3.0)
    ...     surely_within(flint().arb.pos_inf(), np.inf, np.inf)
    """
    arb = flint().arb
    if np.isinf(lower) and lower == upper:
        proved = found == (arb.pos_inf() if lower > 0 else arb.neg_inf())
    else:
        proved = found >= arb(lower) and found <= arb(upper)
    if not proved:
        raise CertificateError("lower", f"it is {found.str(12)}, not surely in [{lower!r}, {upper!r}]")


def stated(lower: float, upper: float, enclosed: Callable[[], tuple[float, float]]) -> None:
    """Raise CertificateError unless [lower, upper] is a bounded interval that holds the one that verification finds.

    >>> from qed.certificates.bounded import stated
    >>> stated(0.0, 1.0, lambda: (0.25, 0.5))
    """
    if not (lower <= upper and np.isfinite(lower) and np.isfinite(upper)):
        raise CertificateError("lower", f"[{lower!r}, {upper!r}] is no bounded interval")
    least, most = enclosed()
    if not (least >= lower and most <= upper):
        raise CertificateError("lower", f"it is proved to lie in [{least!r}, {most!r}] only")
