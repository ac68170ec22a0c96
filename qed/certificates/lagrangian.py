"""The Lagrangian of a constrained problem with its derivatives, enclosed for all x of a box and all y of another.

Of c = (f, c_1, ..., c_m) and rows with multipliers y, L = f - sum y_i c_i. Enclosed are the values and slopes of f and
of all rows, and the Hessian of L in those numbers of x that are not held. Padded intervals are tried first
(`qed.domains.padded_jets`), blocks of directions at a time; where they know no rule, series of balls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from qed.domains import padded
from qed.domains.ball_boxes import BITS, BallBoxes
from qed.domains.balls import between
from qed.domains.padded_jets import MOST, PaddedBoxes
from qed.domains.precision import precision
from qed.errors import CertificateError
from qed.graph.trace import Traced

Array = np.ndarray
SERIES = 400_000
"""How many series of balls one equation may hold."""


@dataclass(frozen=True, eq=False)
class Enclosed:
    """Balls of values (1 + m), slopes (1 + m, n), and the Hessian of the Lagrangian (k, k) in k numbers of x.

    The Hessian is empty where only first derivatives were asked for.
    """

    values: Array
    slopes: Array
    hessian: Array


class Encloses(Protocol):
    """From (lower, upper) of x and of y, and the order of the derivatives, 1 or 2."""

    def __call__(self, lower: Array, upper: Array, y_lower: Array, y_upper: Array, order: int = 2) -> Enclosed:
        """The enclosures on a box."""
        ...


def by_padded(traced: Traced, rows: Array, free: Array) -> Encloses:
    """Enclosures by padded intervals.

    Args:
        traced: the function (f, c...).
        rows: which of c have a multiplier, counted from 0.
        free: which numbers of x second derivatives are taken in.

    Returns:
        A function of (lower, upper) of x and (lower, upper) of y that returns `Enclosed`, and raises CertificateError
        where something is not known.
    """
    boxes = PaddedBoxes(traced)
    block = next((b for b in (1024, 48, 24, 12, 6) if (2 * min(b, len(free))) ** 2 * boxes.weight <= 4 * MOST), 3)

    def enclose(lower: Array, upper: Array, y_lower: Array, y_upper: Array, order: int = 2) -> Enclosed:
        n = len(lower)
        whole = len(free) == n <= block  # then one pass has the slopes too
        first = boxes.arrays(lower, upper, 2 if order > 1 and whole else 1, np.arange(n))
        if first is None or not all(np.all(np.isfinite(end[: 1 + n])) for end in first):
            raise CertificateError("radius", "no enclosure by padded intervals")
        values, slopes = _balls(first, 0)[0], _balls(first, slice(1, 1 + n)).T
        if order < 2:
            return Enclosed(values, slopes, np.zeros((0, 0), object))
        parts = [free[k : k + block] for k in range(0, len(free), block)]
        ends = [np.zeros((n, n)) for _ in range(2)]
        for i, one in enumerate(parts):
            for j, other in enumerate(parts[: i + 1]):
                if j == i and len(parts) > 1:
                    continue
                along = one if i == j else np.sort(np.concatenate([one, other]))
                second = first if whole else boxes.arrays(lower, upper, 2, along)
                if second is None:
                    raise CertificateError("radius", "no enclosure by padded intervals")
                bent = tuple(end[1 + len(along) :] for end in second)
                held = padded.times((y_lower, y_upper), tuple(end[:, 1 + rows] for end in bent))
                total = padded.plus(tuple(end[:, 0] for end in bent), padded.negative(padded.total(held, -1)))
                u, v = np.triu_indices(len(along))
                for end, found in zip(ends, total, strict=True):
                    end[along[u], along[v]] = end[along[v], along[u]] = found
        within = tuple(end[np.ix_(free, free)] for end in ends)
        if not all(np.all(np.isfinite(end)) for end in within):
            raise CertificateError("radius", "second derivatives may be infinite")
        return Enclosed(values, slopes, _balls(within, slice(None)))

    return enclose


def _balls(ends: Any, part: Any) -> Array:
    """Balls of intervals of floats."""
    low, high = (np.atleast_2d(end[part]) for end in ends)
    found = np.empty(low.shape, object)
    with precision(BITS):
        for k in np.ndindex(low.shape):
            found[k] = between(float(low[k]), float(high[k]))
    return found


def by_balls(traced: Traced, rows: Array, free: Array) -> Encloses:
    """The same by series of balls; raises NotSmooth where the function may not be smooth."""
    boxes = BallBoxes(traced)
    weight = PaddedBoxes(traced).weight

    def enclose(lower: Array, upper: Array, y_lower: Array, y_upper: Array, order: int = 2) -> Enclosed:
        n, k = len(lower), len(free)
        if weight * max(n, k * (k + 1) // 2) > SERIES:
            raise CertificateError("function", "it is too large for balls")
        unit = np.eye(n)
        whole = order > 1 and k == n  # then one pass has the slopes too
        pairs = [(i, j) for i in range(k) for j in range(i)] if order > 1 else []
        sums = [unit[free[i]] + unit[free[j]] for i, j in pairs]
        low, high, series = boxes.arrays(lower, upper, np.array([*unit, *sums]) if whole else unit, 1 + whole)
        with precision(BITS) as flint:
            values = np.array([a.union(b) for a, b in zip(low, high, strict=True)] + [None], object)[:-1]
            slopes = np.array([[s[1] for s in row] for row in series[:n]], object).reshape(n, len(values)).T
            y = [between(float(a), float(b)) for a, b in zip(y_lower, y_upper, strict=True)]
            hessian = np.full((k, k), flint.arb(0), object)
        if not k or order < 2:
            return Enclosed(values, slopes, hessian if not k else hessian[:0, :0])
        bent = series if whole else boxes.arrays(lower, upper, np.array([*unit[free], *sums]), 2)[2]
        with precision(BITS):
            squares = [2 * (s[0][2] - sum((v * s[1 + i][2] for v, i in zip(y, rows, strict=True)), 0)) for s in bent]
            for i in range(k):
                hessian[i, i] = squares[i]
            for (i, j), square in zip(pairs, squares[k:], strict=True):
                hessian[i, j] = hessian[j, i] = (square - squares[i] - squares[j]) / 2
        return Enclosed(values, slopes, hessian)

    return enclose
