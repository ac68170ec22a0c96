"""The coefficients of a function along a line or a curve, and which of them are zero where the function is flat.

At the point itself they are balls. Where c_2 is not zero but rounding, the flat point is another one, up to s away:
what c_m gives to c_k over such a distance says nothing of c_k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
SAFETY = 4.0
"""By how much what a coefficient may be by the place of the point is multiplied."""
LOST = 16.0
"""How many times as large as its radius in the program's digits a coefficient must be."""


@dataclass(frozen=True, eq=False)
class Line:
    """The coefficients of t -> f(point + t direction).

    Args:
        direction: of the line.
        middle, radius: of their balls.
    """

    direction: Array
    middle: tuple[float, ...]
    radius: tuple[float, ...]

    @property
    def second(self) -> float:
        """How large c_2 may be, which is zero up to rounding."""
        return abs(self.middle[2]) + self.radius[2]

    @property
    def bends(self) -> bool:
        """Whether c_2 is not zero though the slope may be: then it is no other point that is flat."""
        return abs(self.middle[1]) <= self.radius[1] and abs(self.middle[2]) > self.radius[2]

    def nonzero(self, order: int) -> bool | None:
        """Whether the function has that derivative where it is flat: False where it may be none, None if unknown."""
        size = abs(self.middle[order])
        if size <= self.radius[order]:
            return False
        if order == 2 or size > SAFETY * self._shifted(order):
            return True
        return False if abs(self.middle[2]) > self.radius[2] else None

    def _shifted(self, order: int) -> float:
        """What c_m, m > order, give to c_order at a point of the line so far from the flat one that c_2 is what it is.

        At a distance s of the flat point c_2 is the sum of m (m - 1) / 2 c_m s^(m - 2).
        """
        later = self._later(order)
        s = min(((self.second / (math.comb(m, 2) * c)) ** (1 / (m - 2)) for m, c in later), default=0.0)
        return self.brought(order, s)

    def _later(self, order: int) -> list[tuple[int, float]]:
        return [(m, abs(c)) for m, c in enumerate(self.middle) if m > order and abs(c) > self.radius[m]]

    def brought(self, order: int, s: float) -> float:
        """What c_m, m > order, give to c_order over a distance s.

        >>> round(Line(np.ones(1), (0.0, 0.0, 0.0, 0.0, 1.0), (0.0,) * 5).brought(3, 1e-3), 6)
        0.004
        """
        return sum(math.comb(m, order) * c * s ** (m - order) for m, c in self._later(order))
