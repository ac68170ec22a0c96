"""An integral over a box enclosed by subdivision, in two or three dimensions.

Cells with the widest enclosures are halved, many at once; each has the better of two enclosures, the midpoint rule with
its remainder where the function is smooth, and its range (see `qed.certificates.box_integral`, which verifies the
result by other code). Stopped at any time, what was found holds. A jump or a kink is cut down to ever smaller cells:
where it lies along no coordinate, d-dimensional cells that meet it lose half a digit for four times the work (d = 2).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.bounding.boxes import OnBoxes, undefined
from qed.certificates.box_integral import IN_BALLS, RANGE, SMOOTH, half
from qed.domains.padded_jets import PaddedBoxes
from qed.graph.trace import Traced

Array = np.ndarray
MOST, FEW = 2**16, 2**12
"""How many cells there are at most; the second where they are to be verified in balls."""
SHARE = 0.7
"""The widest cells that make this share of what is open are halved in one round,"""
AT_LEAST = 32
"""and at least so many."""
PATIENCE = 2**12
"""With so many cells and no finite bound, the search ends."""


@dataclass(frozen=True)
class Enclosure:
    """Bounds of an integral over a box, and the tree of cells that proves them."""

    lower: float
    upper: float
    tree: tuple[int, ...]

    @property
    def value(self) -> float:
        """The middle of the bounds."""
        return self.lower / 2 + self.upper / 2

    @property
    def half_width(self) -> float:
        """Half of how far the bounds lie apart."""
        return (self.upper - self.lower) / 2


class Search:
    """The cells of one function on one box.

    Raises:
        Gap: where a primitive has no rule.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.graph.trace import trace
    >>> from qed.integration.many.boxes import Search
    >>> search = Search(trace(lambda x: x[0] * x[1] ** 2, np.zeros(2)), np.zeros(2), np.ones(2))
    >>> found = search.run(lambda value, size: 1e-4)
    >>> bool(found.lower <= 1 / 6 <= found.upper), found.half_width <= 1e-4
    (True, True)
    """

    def __init__(self, traced: Traced, low: Array, high: Array) -> None:
        self.function = _Function(traced)
        self.size, self.sides = len(low), high - low
        self.axis: list[int] = [SMOOTH]
        self.left: list[int] = [-1]
        self.open = self._cells(np.array([0]), low[None].astype(float), high[None].astype(float))

    def run(self, goal: Callable[[float, float], float], deadline: float = np.inf) -> Enclosure:
        """Halve cells until the half-width is at most goal(value, size), or until the deadline."""
        while True:
            found = self.open
            width = found.upper - found.lower
            lower, upper = float(found.lower.sum()), float(found.upper.sum())
            finite = bool(np.isfinite(lower) and np.isfinite(upper))
            done = finite and upper - lower <= 2 * goal(lower / 2 + upper / 2, _size(found))
            tired = not finite and len(width) > PATIENCE
            if done or tired or self._full() or time.monotonic() > deadline or not self._halved(width):
                break
        return self._enclosure()

    def _full(self) -> bool:
        return len(self.open.kind) >= MOST or int(np.sum(self.open.kind < RANGE)) >= FEW

    def _halved(self, width: Array) -> bool:
        """Halve the widest cells; False where none can be."""
        order = np.argsort(-np.nan_to_num(width, nan=np.inf, posinf=np.inf), kind="stable")
        sizes = np.where(np.isfinite(width[order]), width[order], 1e300 / len(width))
        count = int(np.searchsorted(np.cumsum(sizes), SHARE * sizes.sum())) + 1
        chosen = order[: min(max(count, AT_LEAST), len(order), MOST)]
        chosen = chosen[width[chosen] > 0]
        cells = self.open.at(chosen)
        each = np.arange(len(chosen))
        a, b = cells.low[each, cells.axis], cells.high[each, cells.axis]
        middle = half(a, b)
        good = (a < middle) & (middle < b)
        if not np.any(good):
            return False
        chosen, cells, middle = chosen[good], cells.at(good), middle[good]
        each = np.arange(len(chosen))
        left, right = cells.high.copy(), cells.low.copy()
        left[each, cells.axis] = right[each, cells.axis] = middle
        first = len(self.axis) + 2 * each
        for node, axis, child in zip(cells.node, cells.axis, first, strict=True):
            self.axis[node], self.left[node] = int(axis), int(child)
        self.axis += [SMOOTH] * (2 * len(each))
        self.left += [-1] * (2 * len(each))
        nodes = np.concatenate([first, first + 1])
        new = self._cells(nodes, np.concatenate([cells.low, right]), np.concatenate([left, cells.high]))
        rest = np.ones(len(width), bool)
        rest[chosen] = False
        self.open = self.open.at(rest).joined(new)
        return True

    def _cells(self, node: Array, low: Array, high: Array) -> _Cells:
        """Both enclosures on cells, the better one kept."""
        middle = half(low, high)
        centre, here = self.function(middle, middle, 1), self.function(low, high, 2)
        with np.errstate(all="ignore"):
            volume = np.prod(high - low, axis=1)
            spread = (high - low) ** 2 / 24
            bent = [end * spread for end in here.bent]
            smooth = [volume * (value + term.sum(1)) for value, term in zip(centre.value, bent, strict=True)]
            ends = [
                np.where(np.isnan(end), side, volume * end)
                for end, side in zip(here.value, (-np.inf, np.inf), strict=True)
            ]
            known = np.isfinite(smooth[0]) & np.isfinite(smooth[1]) & np.isfinite(ends[0]) & np.isfinite(ends[1])
            better = known & ~(smooth[1] - smooth[0] > ends[1] - ends[0])
            lower, upper = (np.where(better, smooth[k], ends[k]) for k in range(2))
            axis = _axis(high - low, self.sides, bent[1] - bent[0], better, here.steep)
        return _Cells(
            node, low, high, lower, upper, np.where(better, SMOOTH, RANGE) + np.where(here.in_balls, IN_BALLS, 0), axis
        )

    def _enclosure(self) -> Enclosure:
        """The sums, a little wider than they were rounded, and the tree in the order in which it is walked."""
        found = self.open
        for node, kind in zip(found.node, found.kind, strict=True):
            self.axis[node] = int(kind)
        tree, waiting = [], [0]
        while waiting:
            node = waiting.pop()
            tree.append(self.axis[node])
            if self.axis[node] >= 0:
                waiting += [self.left[node] + 1, self.left[node]]
        room = 1e-13 * _size(found) + 1e-300
        return Enclosure(float(found.lower.sum()) - room, float(found.upper.sum()) + room, tuple(tree))


@dataclass(frozen=True, eq=False)
class _Found:
    """On cells: ends of the value and of the pure second derivatives, how steep f is, and whether balls verify."""

    value: tuple[Array, Array]
    bent: tuple[Array, Array]
    steep: Array
    in_balls: Array

    def with_those(self, index: Array, other: _Found) -> _Found:
        """The same with other cells at some places."""

        def put(first: Array, second: Array) -> Array:
            found = np.array(first)
            if len(found) == len(self.in_balls):
                found[index] = second
            return found

        value, bent = (
            (put(mine[0], its[0]), put(mine[1], its[1]))
            for mine, its in ((self.value, other.value), (self.bent, other.bent))
        )
        return _Found(value, bent, put(self.steep, other.steep), self.in_balls)


class _Function:
    """A function on cells: in padded intervals, where they know it; in intervals rounded outward elsewhere.

    Raises:
        Gap: where neither has a rule for a primitive.
    """

    def __init__(self, traced: Traced) -> None:
        self.padded, self.outward = PaddedBoxes(traced, choices=True), OnBoxes.of(traced)
        self.known = self.padded.known

    def __call__(self, low: Array, high: Array, order: int) -> _Found:
        if not self.known:
            return self._outward(low, high, order)
        found = self.padded(low, high, order)
        i, j = np.triu_indices(self.padded.size)
        bent = [end[i == j].T if order > 1 else end for end in found.hessian]
        steep = np.maximum(np.abs(found.slopes[0]), np.abs(found.slopes[1])).T
        lost = np.isnan(found.value[0]) | np.isnan(found.value[1])
        first = _Found(found.value, (bent[0], bent[1]), steep, lost)
        return (
            first.with_those(np.flatnonzero(lost), self._outward(low[lost], high[lost], order)) if lost.any() else first
        )

    def _outward(self, low: Array, high: Array, order: int) -> _Found:
        found = self.outward(low, high, order)
        i, j = np.triu_indices(self.outward.size)
        lost = undefined(found.value)
        value = [np.where(lost, np.nan, end) for end in found.value.bounds]
        slope, hessian = found.slope, found.hessian
        assert slope is not None and (order < 2 or hessian is not None)
        bent = [end[:, i == j] for end in hessian.bounds] if hessian is not None else [value[0], value[1]]
        steep = np.maximum(*map(np.abs, slope.bounds))
        return _Found((value[0], value[1]), (bent[0], bent[1]), steep, np.ones(len(low), bool))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells that are not halved: place in the tree, ends, bounds of the integral, rule, where it would be halved."""

    node: Array
    low: Array
    high: Array
    lower: Array
    upper: Array
    kind: Array
    axis: Array

    def at(self, index: Any) -> _Cells:
        """Some of them."""
        return _Cells(*(part[index] for part in self._parts()))

    def joined(self, other: _Cells) -> _Cells:
        """These and others."""
        return _Cells(*(np.concatenate(pair) for pair in zip(self._parts(), other._parts(), strict=True)))

    def _parts(self) -> tuple[Array, ...]:
        return self.node, self.low, self.high, self.lower, self.upper, self.kind, self.axis


def _size(found: _Cells) -> float:
    return float(np.sum(np.maximum(np.abs(found.lower), np.abs(found.upper))))


def _axis(sides: Array, whole: Array, bent: Array, smooth: Array, steep: Array) -> Array:
    """The coordinate that makes most of what is open: by curvature, by slope, or the longest side."""
    size = steep * sides
    sloped = np.all(np.isfinite(size), axis=1) & np.any(size > 0, axis=1)
    relative = sides / whole
    rough = np.where(sloped[:, None], size, relative)
    return np.argmax(np.where(smooth[:, None], bent + 1e-9 * bent.max(1, keepdims=True) * relative, rough), axis=1)
