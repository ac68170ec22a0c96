"""Lines m k + b in one whole number k, exactly: what domains of sums begin with."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.known import Known
from qed.domains.one_number import Undecided


@dataclass(frozen=True, eq=False)
class Line:
    """m k + b, exactly."""

    m: Fraction
    b: Fraction


def line_of(x: Any) -> Any:
    """A known number as a constant line; what is no known number as it is."""
    if not isinstance(x, Known):
        return x
    value = float(np.asarray(x.array).astype(np.float64))
    if not np.isfinite(value):
        raise Undecided
    return Line(Fraction(0), Fraction(value))
