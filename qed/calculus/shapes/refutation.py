"""A search for two points at which a function lies above its chord: witnesses against convexity.

Points on a dyadic grid, so that midpoints are exact; segments of lengths from the whole box down to a thousandth of it,
in random directions and along coordinates; then the points with the most negative curvature are improved. Of a
quadratic function exact elimination knows a direction that bends down, however slightly. What is found in float64 is
only a proposal: the certificate replays it in balls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.shapes.polynomials import negative_between, second_derivatives_by_variable
from qed.domains.curvature_algebra import Algebra
from qed.domains.curvature_quadratics import direction_below, quadratic
from qed.domains.curvature_terms import Form

Array = np.ndarray
GRID = 20
"""Points are multiples of 2^-20 of the scale of the box."""
FINE = 50
"""Along a direction that is known, points are multiples of 2^-50 of their size."""
REACH = 8.0
"""How far to go where the box is infinite."""


@dataclass(frozen=True)
class Candidate:
    """Two points, and by how much f at their midpoint is above the mean of f at them, in float64."""

    x: Array
    y: Array
    gap: float


class Search:
    """Random segments in a box of n numbers; `value` maps an array (points, n) to values.

    Args:
        value: the function, in float64.
        lower: the lower ends of the box.
        upper: the upper ends.
        seed: of the random numbers.
    """

    def __init__(self, value: Callable[[Array], Array], lower: Array, upper: Array, seed: int) -> None:
        self.value, self.lower, self.upper = value, lower, upper
        self.random = np.random.default_rng(seed)

    def candidates(self, seconds: float, marks: Sequence[tuple[int, float]] = ()) -> Iterator[Candidate]:
        """Proposals, the best of every round first; rounds go on until the time is over."""
        deadline = time.monotonic() + seconds
        best: Candidate | None = None
        for k, mark in marks:
            yield from list(self._judged(*self._about(k, mark)))[:2]
        rounds = 0
        while rounds < 2 or time.monotonic() < deadline:
            reach = REACH * 4.0 ** (rounds % 6 - 1)
            x, y = self._random(reach, 192)
            found = list(self._judged(x, y))
            yield from found[:3]
            pool = [c for c in (*found[:4], best) if c is not None]
            if pool:
                best = max(pool, key=lambda c: c.gap)
            near = self._near(best) if best is not None else None
            if near is not None:
                yield from list(self._judged(*near))[:2]
            rounds += 1

    def _random(self, reach: float, count: int) -> tuple[Array, Array]:
        low, high = finite(self.lower, self.upper, reach)
        n = len(low)
        x = low + (high - low) * self.random.random((count, n))
        if count > 8:  # faces and corners
            edge = self.random.random((count, n)) < 0.2
            side = self.random.random((count, n)) < 0.5
            x = np.where(edge, np.where(side, low, high), x)
        d = self.random.standard_normal((count, n))
        single = self.random.random(count) < 0.3
        one = np.zeros((count, n))
        one[np.arange(count), self.random.integers(0, max(n, 1), count)] = 1.0
        d = np.where(single[:, None], one, d)
        pair = (self.random.random(count) < 0.2)[:, None]
        keep = self.random.random((count, n)) < min(1.0, 2.0 / max(n, 1))
        d = np.where(pair & keep.any(1, keepdims=True), np.sign(d) * keep, d)
        size = 10.0 ** self.random.uniform(-3, 0.5, (count, 1))
        span = np.where(high > low, high - low, 0.0)
        return self._segments(x, d * span * size)

    def _about(self, k: int, mark: float) -> tuple[Array, Array]:
        """Segments whose middle, or one end, has the number `mark` at place k."""
        count = 48
        x, _ = self._random(REACH, count)
        x = np.round(x[:count] * 64) / 64
        x[:, k] = mark
        d = np.zeros(x.shape)
        d[:, k] = 2.0 ** -self.random.integers(0, 12, len(x)) * self.random.choice([-1.0, 1.0], len(x))
        firsts, seconds = np.concatenate([x - d, x]), np.concatenate([x + d, x + 2 * d])
        inside = np.all((firsts >= self.lower) & (firsts <= self.upper), -1)
        inside &= np.all((seconds >= self.lower) & (seconds <= self.upper), -1)
        return firsts[inside], seconds[inside]

    def _near(self, best: Candidate) -> tuple[Array, Array]:
        """Segments about the best one."""
        count = 64
        m, d = best.x / 2 + best.y / 2, best.y / 2 - best.x / 2
        size = float(np.abs(d).max()) + 1e-9
        scale = 2.0 ** self.random.uniform(-6, 1, (count, 1))
        centres = m + size * scale * self.random.standard_normal((count, len(m)))
        directions = d * 2.0 ** self.random.uniform(-3, 1, (count, 1))
        directions = directions + 0.3 * size * scale * self.random.standard_normal((count, len(m)))
        return self._segments(centres, directions)

    def _segments(self, x: Array, d: Array) -> tuple[Array, Array]:
        """Segments x - d, x + d cut to the box, on the grid: both ends differ by an even number of steps."""
        x = np.clip(x, self.lower, self.upper)
        with np.errstate(all="ignore"):
            room = np.where(d > 0, np.minimum(self.upper - x, x - self.lower), np.inf)
            room = np.where(d < 0, np.minimum(self.upper - x, x - self.lower), room)
            share = np.min(np.where(d != 0, room / np.abs(d), np.inf), axis=-1, keepdims=True, initial=np.inf)
        shift = np.where(np.isfinite(share), np.minimum(share, 1.0), 1.0)
        stuck = shift[:, 0] < 1e-3  # at a face: one end is the point itself
        first = np.where(stuck[:, None], x, x - shift * d)
        second = np.where(stuck[:, None], x + 2 * np.where(self._fits(x, d), d, -d), x + shift * d)
        first, second = np.clip(first, self.lower, self.upper), np.clip(second, self.lower, self.upper)
        step = self._step(first, second)
        first, second = np.round(first / step) * step, np.round(second / step) * step
        odd = np.mod(np.round(first / step) + np.round(second / step), 2) == 1
        second = np.where(odd, second - step * np.sign(second - first), second)
        inside = np.all((first >= self.lower) & (first <= self.upper), -1)
        inside &= np.all((second >= self.lower) & (second <= self.upper), -1)
        inside &= np.any(first != second, -1)
        return first[inside], second[inside]

    def _fits(self, x: Array, d: Array) -> Array:
        return (x + 2 * d <= self.upper) & (x + 2 * d >= self.lower)

    def _step(self, first: Array, second: Array) -> Array:
        """A power of two that is small beside a segment and its distance from 0."""
        size = np.maximum(np.abs(first), np.abs(second)) + np.abs(second - first)
        length = np.max(np.abs(second - first), axis=-1, keepdims=True, initial=0.0)
        wanted = np.maximum(np.minimum(size, np.maximum(length, 1e-300)) * 2.0**-GRID, size * 2.0**-50)
        return 2.0 ** np.floor(np.log2(np.maximum(wanted, 1e-290)))

    def _judged(self, x: Array, y: Array) -> Iterator[Candidate]:
        """The segments on which f at the middle is above the chord, the surest first."""
        if not len(x):
            return
        middle = x / 2 + y / 2
        with np.errstate(all="ignore"):
            a, b, m = (np.asarray(self.value(p), float) for p in (x, y, middle))
            gap = m - (a / 2 + b / 2)
            noise = 2.0**-50 * (np.abs(a) + np.abs(b) + np.abs(m)) + 1e-300
            sure = np.where(np.isfinite(gap), gap / noise, -np.inf)
        for i in np.argsort(-sure):
            if not sure[i] > 1.0:
                return
            yield Candidate(x[i], y[i], float(gap[i]))


def finite(lower: Array, upper: Array, reach: float) -> tuple[Array, Array]:
    """A finite box within a box: the box itself, or what of it is not far from an end or from 0."""
    base = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper - 2 * reach, -reach))
    return base, np.where(np.isfinite(upper), upper, base + 2 * reach)


def bent_down(a: Algebra, form: Form, lower: Array, upper: Array) -> tuple[Array, Array] | None:
    """Two points of the box along which a quadratic is concave; None for a convex one, and for no quadratic.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x, y = a.variable(0, "x0", (-1.0, 1.0)), a.variable(1, "x1", (0.0, 4.0))
    >>> first, second = bent_down(a, a.multiply(x, y), np.array([-1.0, 0.0]), np.array([1.0, 4.0]))
    >>> first.tolist(), second.tolist()
    ([1.0, 0.0], [-1.0, 4.0])
    """
    q = quadratic(a, form)
    direction = None if q is None or not q.q else direction_below(q.hessian(a.zero), a.zero)
    if q is None or direction is None:
        return None
    places = {v.index: int(str(v.data)[1:]) for v in a.variables}
    largest = max(map(abs, direction))
    way = np.zeros(len(lower))
    for index, number in zip(q.variables, direction, strict=True):
        share = number / largest
        way[places[index]] = int(share.p) / int(share.q)
    low, high = finite(lower, upper, REACH)
    middle = low / 2 + high / 2
    room = np.minimum(high - middle, middle - low)[way != 0] / np.abs(way[way != 0])
    step = 2.0 ** (np.ceil(np.log2(max(float(np.abs(middle).max()), float(room.min()), 1e-290))) - FINE)
    middle, half = (np.trunc(v / step) * step for v in (middle, float(room.min()) * way))
    first, second = middle - half, middle + half
    inside = np.all((lower <= first) & (first <= upper) & (lower <= second) & (second <= upper))
    return (first, second) if inside else None


def bent_along_one(a: Algebra, form: Form, lower: Array, upper: Array) -> Iterator[tuple[Array, Array]]:
    """Two points along a variable of which the form is a polynomial, where its second derivative is below 0.

    >>> from qed.domains.curvature_algebra import Algebra
    >>> a = Algebra()
    >>> x = a.variable(0, "x0", (-1.0, 1.0))
    >>> form = a.combine([(a.unary("integer_pow", x, y=4), a.one), (a.unary("square", x), a.q(-6, 2**40))])
    >>> ((x, y),) = bent_along_one(a, form, np.array([-1.0]), np.array([1.0]))
    >>> float(x[0]), float(y[0])
    (-4.76837158203125e-07, 4.76837158203125e-07)
    """
    low, high = finite(lower, upper, REACH)
    centre = np.round((low / 2 + high / 2) * 64) / 64
    centre = np.where((lower <= centre) & (centre <= upper), centre, np.clip(0.0, lower, upper))
    for variable, bend in second_derivatives_by_variable(a, form):
        k = int(str(variable.data)[1:])
        for left, right in negative_between(bend, lower[k], upper[k]):
            step = 2.0 ** np.floor(np.log2((right - left) / 16))
            middle = np.round((left / 2 + right / 2) / step) * step
            x, y = centre.copy(), centre.copy()
            x[k], y[k] = middle - 4 * step, middle + 4 * step
            yield x, y


def split(point: Array, shapes: Any) -> list[Any]:
    """A point of n numbers as arrays of shapes."""
    found, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape, dtype=int))
        found.append(np.asarray(point[start : start + size]).reshape(shape))
        start += size
    return found
