"""What holds a KKT point: the fields that certificates of such points share, and what is checked of them alone.

A set of rows of c = (h, g) holds, all rows of h among them, and numbers of x stand at their lower or upper bound; the
others are free. The box about x and the multipliers of the rows lies within the bounds, with room beside those that
hold nothing, and multipliers of inequalities are positive all over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.certificates.certificate import Pointed, given, vector
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
BESIDE = 2.0**-100
"""How far beside a bound that holds a number the functions are enclosed, at least."""


@dataclass(frozen=True, eq=False)
class Active:
    """What holds the point, as arrays: rows, numbers at their lower and upper bound, and those that none holds."""

    rows: Array
    lower: Array
    upper: Array
    free: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldPoint(Pointed):
    """A KKT point in a box; vectors are the arrays of x laid end to end, those of rows come behind them.

    The function is (f, h..., g...) (`qed.certificates.stacked`), `equalities` the number of rows of h. `rows` are those
    that hold, all rows of h among them; `at_lower` and `at_upper` the numbers of x that stand at a bound. `center` and
    `radius` are of x and then of the multipliers of `rows`.
    """

    equalities: int
    rows: tuple[int, ...]
    at_lower: tuple[int, ...]
    at_upper: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    center: tuple[float, ...]
    radius: tuple[float, ...]
    distance: float
    least: float
    most: float

    @staticmethod
    def fields_of(
        equalities: int, rows: Sequence[int], center: Sequence[float], radius: Sequence[float], distance: float,
        value: tuple[float, float], at_lower: Sequence[int], at_upper: Sequence[int], bounds: tuple[Any, Any] | None,
    ) -> dict[str, Any]:  # fmt: skip
        """The fields by name, of their types; without bounds all are infinite."""
        n = len(center) - len(rows)
        lower, upper = (np.full(n, -np.inf), np.full(n, np.inf)) if bounds is None else bounds
        return {
            "equalities": int(equalities), "rows": tuple(map(int, rows)), "at_lower": tuple(map(int, at_lower)),
            "at_upper": tuple(map(int, at_upper)), "lower": tuple(map(float, lower)),
            "upper": tuple(map(float, upper)), "center": tuple(map(float, center)),
            "radius": tuple(map(float, radius)), "distance": float(distance), "least": float(value[0]),
            "most": float(value[1]),
        }  # fmt: skip

    @property
    def positive(self) -> int:
        """How many eigenvalues of K are positive: as many as numbers of x are held by no bound."""
        return len(self.center) - len(self.rows) - len(self.at_lower) - len(self.at_upper)

    def active(self, n: int, count: int) -> Active:
        """What holds the point, if the fields name rows and numbers that there are."""
        rows, low, high = (np.array(part, int) for part in (self.rows, self.at_lower, self.at_upper))
        if (
            not 0 <= self.equalities <= count
            or len(set(self.rows)) != len(rows)
            or np.any((rows < 0) | (rows >= count))
        ):
            raise CertificateError("rows", "they are no rows of the constraints")
        if not set(range(self.equalities)) <= set(self.rows):
            raise CertificateError("rows", "a row of an equality is left out")
        held = np.concatenate([low, high])
        if len(set(held.tolist())) != len(held) or np.any((held < 0) | (held >= n)):
            raise CertificateError("at_lower", "they are no numbers of the argument, each once")
        return Active(rows, low, high, np.setdiff1d(np.arange(n), held))

    def placed(self, traced: Traced) -> tuple[Active, Array, Array, Array]:
        """What holds, the point, and the box, which lies where the bounds and the signs of multipliers have it."""
        n = len(given(traced))
        active = self.active(n, count_rows(traced))
        point = vector(self.point, n, "point")
        center, radius = (vector(getattr(self, name), n + len(active.rows), name) for name in ("center", "radius"))
        self._placed_within(active, center, radius, n)
        return active, point, center, radius

    def _placed_within(self, active: Active, center: Array, radius: Array, n: int) -> None:
        lower, upper = np.array(self.lower, np.float64), np.array(self.upper, np.float64)
        if lower.shape != (n,) or upper.shape != (n,) or not np.all(lower <= upper):
            raise CertificateError("lower", "they are no bounds of the argument")
        for numbers, bound, name in ((active.lower, lower, "at_lower"), (active.upper, upper, "at_upper")):
            if not np.all(np.isfinite(bound[numbers]) & (center[numbers] == bound[numbers])):
                raise CertificateError(name, "a number does not stand at its bound")
            if np.any(radius[numbers] != 0):
                raise CertificateError("radius", "a number that stands at its bound has a half-width")
        free = np.concatenate([active.free, np.arange(n, len(center))])
        if np.any(radius[free] <= 0):
            raise CertificateError("radius", "a half-width is not positive")
        low, high = self.box(center, radius)
        if np.any(low[active.free] <= lower[active.free]) or np.any(high[active.free] >= upper[active.free]):
            raise CertificateError("radius", "the box reaches a bound that is said to have slack")
        if np.any(low[n:][active.rows >= self.equalities] <= 0):
            raise CertificateError("center", "the multiplier of an inequality is not proved to be positive")

    def box(self, center: Array, radius: Array) -> tuple[Array, Array]:
        """Ends beyond center - radius and center + radius; where nothing varies, the center itself."""
        low, high = np.nextafter(center - radius, -np.inf), np.nextafter(center + radius, np.inf)
        return np.where(radius > 0, low, center), np.where(radius > 0, high, center)

    def inward(self, active: Active, low: Array, high: Array) -> tuple[Array, Array]:
        """The box with room beside the bounds that hold numbers: slopes at a bound say nothing of f beyond a jump."""
        low, high = low.copy(), high.copy()
        for j in active.lower:
            high[j] = min(self.upper[j], max(np.nextafter(low[j], np.inf), low[j] + BESIDE))
        for j in active.upper:
            low[j] = max(self.lower[j], min(np.nextafter(high[j], -np.inf), high[j] - BESIDE))
        return low, high


def count_rows(traced: Traced) -> int:
    """How many rows there are, if the function is (f, c...)."""
    shapes = [atom.shape for atom in traced.graph.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] < 1:
        raise CertificateError("function", "it does not return f and the rows in one vector")
    return int(shapes[0][0]) - 1
