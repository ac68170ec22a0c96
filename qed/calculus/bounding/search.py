"""Branch and bound: which parts of a box can hold a global minimum, with a reason for each part that cannot.

The domain is a tree of boxes. The boxes that are still open are taken a few hundred at a time, those with the lowest
bound first, and enclosed together in one pass over the graph. A box is

- *above* where a lower bound of f on it exceeds an upper bound of the minimum;
- *sloped* where one partial derivative has a sign on it and the box does not touch the face of the domain on that side;
  where it does, only that *face* can hold a minimiser, and takes the box's place;
- *inside* a region on which f has at most one local minimum (`qed.calculus.bounding.regions`);
- else halved, in the coordinate in which f varies most.

What is left at the end is *open*. References: Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, SIAM
2009, chapter 11; Hansen and Walster, *Global Optimization Using Interval Analysis*, 2nd ed., 2004, chapter 12; Ratz and
Csendes, "On the selection of subdivision directions in interval branch-and-bound methods", J. Global Optim. 7 (1995).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qed.calculus.bounding.boxes import OnBoxes, undefined
from qed.calculus.bounding.descent import Descent
from qed.calculus.bounding.forms import definite, mean_value, second_order
from qed.calculus.bounding.regions import Region, region
from qed.certificates.boxes import split
from qed.certificates.global_minimum import ABOVE, FACE, HALVED, INSIDE, OPEN, SLOPED
from qed.domains.jet import Jet

Array = np.ndarray
BATCH = 192
MARGIN = 1e-3
"""How far above the minimum a box must be to be left, in parts of the tolerance: room for other arithmetic."""
CLEAR = 0.02
"""How far from 0 a slope must be to decide, in parts of its enclosure's width; for the same reason."""
FINEST = 2.0**-40
DESCENT = 0.2
"""Which part of the time local descent takes at most, and the regions about the points where it ends."""
NARROW = 1e-6
"""Boxes that may hold a minimiser are halved until they are so small a part of the domain, if there is time."""
SMALL = 1e-2
"""From here on few boxes on which f may be undefined are looked at together."""
PATIENCE = 60
"""How many passes are made only to narrow such boxes,"""
EFFORT = 2000
"""and how many boxes they enclose, if those before were fewer."""


@dataclass(eq=False)
class Tree:
    """The boxes: their ends, what became of each, and with which number (a coordinate, a region)."""

    lower: list[Array] = field(default_factory=list)
    upper: list[Array] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    children: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, lower: Array, upper: Array) -> int:
        """A new open box."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.kind.append(OPEN)
        self.number.append(0)
        self.children.append(())
        return len(self.kind) - 1

    def close(self, node: int, kind: int, number: int = 0) -> None:
        """Say what became of a box."""
        self.kind[node], self.number[node] = kind, number


@dataclass(eq=False)
class Search:
    """A search for the global minimum of a function on a box.

    Args:
        function: the function.
        lower, upper: the domain (n,).
        tol: how wide the enclosure of the minimum may be.
        deadline: when to stop (time.monotonic()).
        seed: for the starting points of descent.
        progress: called with (what, done, total).
        reach: by which factor regions are made smaller than they might be.
        corners: whether slopes are used where f is not smooth; the verification must know all its primitives then.
    """

    function: OnBoxes
    lower: Array
    upper: Array
    tol: float
    deadline: float
    seed: int = 0
    progress: Callable[[str, int, int], Any] | None = None
    reach: float = 1.0
    corners: bool = False
    tree: Tree = field(default_factory=Tree)
    regions: list[Region] = field(default_factory=list)
    best: float = np.inf
    witness: Array | None = None
    evaluated: int = 0
    finished: bool = False
    gap: Any = None
    stuck: list[tuple[int, float]] = field(default_factory=list)
    doubtful: dict[int, float] = field(default_factory=dict)

    def run(self) -> None:
        """Search until the bounds are within the tolerance, or the time is over."""
        root = self.tree.add(self.lower, self.upper)
        first = self.function(self.lower[None], self.upper[None], 1)
        self.ids = np.array([root])
        self.bounds = np.where(undefined(first.value), -np.inf, first.value.lower)
        self._descend()
        passes, before = 0, 0
        while time.monotonic() < self.deadline:
            self._discharge()
            low = self.low
            wanted = self.bounds < self.best - self.tol
            if not np.any(wanted):
                wanted = self._wide()
                passes += 1
                before = before or self.evaluated
                if not np.any(wanted) or passes > PATIENCE or self.evaluated > before + max(before, EFFORT):
                    self.finished = True
                    return
            if self.progress is not None:
                self.progress(f"minimum in [{low:.6g}, {self.best:.6g}]", self.evaluated, 0)
            if any(self.doubtful.get(int(i), np.inf) <= NARROW for i in self.ids):
                return  # f has no value near some point, and so no bound
            self._treat(self._next(np.flatnonzero(wanted)))
        self._discharge()
        self.finished = not np.any(self.bounds < self.best - self.tol)

    @property
    def low(self) -> float:
        """A lower bound of the minimum."""
        inside = [r.bound for r in self.regions]
        return float(min([self.best, *inside, *self.bounds.tolist(), *(bound for _, bound in self.stuck)]))

    def _next(self, candidates: Array) -> Array:
        """The boxes with the least bounds; of those on which f may be undefined the smallest, to see where it is."""
        widths = np.array([self.doubtful.get(int(i), np.inf) for i in self.ids[candidates]])
        order = np.lexsort((widths, self.bounds[candidates]))
        count = 8 if widths.min() < SMALL else self._batch()
        return candidates[order[:count]]

    def _batch(self) -> int:
        return BATCH if self.evaluated > 4 * BATCH else 32

    # --- upper bounds ---

    def _descend(self) -> None:
        """Candidates from a few starting points, each evaluated rigorously."""
        self.descent = Descent(self.function, self.lower, self.upper)
        rng = np.random.default_rng(self.seed)
        low, high = _finite(self.lower, self.upper)
        starts = [low / 2 + high / 2, *rng.uniform(low, high, (7, len(low)))]
        begun, descents = time.monotonic(), []
        for start in starts:
            descents.append(self.descent(start))
            if time.monotonic() > begun + DESCENT * (self.deadline - begun):
                break
        ends = [x for x in descents if x is not None]
        self._try(np.array([*starts, *ends]))
        for x in self._distinct(ends):
            if time.monotonic() > begun + 2 * DESCENT * (self.deadline - begun):
                break
            self._region_at(x)

    def _distinct(self, points: list[Array]) -> list[Array]:
        """Those with the lowest values, one of each place."""
        if not points:
            return []
        values = self.function.at(np.array(points)).value.upper
        found: list[Array] = []
        for k in np.argsort(values, kind="stable"):
            close = [np.max(np.abs(points[k] - x) / (1.0 + np.abs(x))) < 1e-4 for x in found]
            if not any(close) and np.isfinite(values[k]):
                found.append(points[k])
        return found[:6]

    def _try(self, points: Array) -> None:
        """The least value at points as an upper bound of the minimum."""
        jet = self.function.at(points, 1)
        self._seen(jet, points)

    def _seen(self, jet: Jet, points: Array) -> None:
        upper = np.where(undefined(jet.value), np.inf, jet.value.upper)
        k = int(np.argmin(upper))
        if upper[k] < self.best:
            self.best, self.witness = float(upper[k]), points[k].copy()

    def _region_at(self, point: Array) -> None:
        if any(r.holds(point, point) for r in self.regions) or len(self.regions) >= 64:
            return
        found = region(self.function, point, self.lower, self.upper, self.reach)
        if found is not None and (found.one or found.bound >= self.best - self.tol):  # else its halves bound better
            self.regions.append(found)
            if found.value < self.best:
                self.best, self.witness = found.value, found.point

    # --- boxes ---

    def _discharge(self) -> None:
        """Leave the boxes that lie above the minimum or in a region."""
        above = self.bounds > self.best + MARGIN * self.tol
        for node in self.ids[above]:
            self.tree.close(int(node), ABOVE)
        keep = ~above
        if len(self.ids):
            lower, upper = (np.array([side[i] for i in self.ids]) for side in (self.tree.lower, self.tree.upper))
            for k, r in enumerate(self.regions):
                within = r.holds(lower, upper) & keep
                for node in self.ids[within]:
                    self.tree.close(int(node), INSIDE, k)
                keep &= ~within
        self.ids, self.bounds = self.ids[keep], self.bounds[keep]

    def _wide(self) -> Array:
        """The open boxes that are not narrow."""
        return np.array([self._width(i) > NARROW for i in self.ids], bool)

    def _width(self, node: int) -> float:
        """How wide a box is, in parts of the domain."""
        low, high = _finite(self.lower, self.upper)
        scale = np.where(high > low, high - low, 1.0)
        return float(np.max((self.tree.upper[node] - self.tree.lower[node]) / scale))

    def _treat(self, order: Array) -> None:
        """Enclose the chosen boxes together, and decide on each."""
        ids, inherited = self.ids[order], self.bounds[order]
        kept = np.setdiff1d(np.arange(len(self.ids)), order)
        self.ids, self.bounds = self.ids[kept], self.bounds[kept]
        lower, upper = (np.array([side[i] for i in ids]) for side in (self.tree.lower, self.tree.upper))
        self.evaluated += len(ids)
        for node in map(int, ids):
            self.doubtful.pop(node, None)
        jet = self.function(lower, upper, 2)
        middle = _middle(lower, upper)
        centre = self.function.at(middle, 1)
        self._seen(centre, middle)
        bounds, definite_here = self._bounded(jet, centre, middle, lower, upper)
        bounds = np.maximum(bounds, inherited)
        self._near_minima(bounds, definite_here, middle)
        self._decide(ids, bounds, jet, lower, upper)

    def _bounded(self, jet: Jet, centre: Jet, middle: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
        """The best of the lower bounds, and where the Hessian is definite."""
        assert jet.slope is not None and jet.hessian is not None and centre.slope is not None
        doubt = undefined(jet.value)
        if np.any(doubt) and self.gap is None:
            self.gap = jet.value.doubt.place
        value = mean_value(centre.value, jet.slope, middle, lower, upper)
        better = second_order(centre.value, centre.slope, jet.hessian, middle, lower, upper)
        bounds = np.where(self._steady(jet, lower, upper), np.fmax(jet.value.lower, value.lower), jet.value.lower)
        bounds = np.where(_smooth(jet, lower, upper), np.maximum(bounds, better), bounds)
        free = lower < upper
        convex = definite(jet.hessian, self.function.size, free)
        tangent = mean_value(centre.value, centre.slope, middle, lower, upper)
        bounds = np.where(convex, np.maximum(bounds, tangent.lower), bounds)
        return np.where(doubt | np.isnan(bounds), -np.inf, bounds), convex & np.any(free, -1)

    def _steady(self, jet: Jet, lower: Array, upper: Array) -> Array:
        """On which boxes the mean value theorem holds with the slopes that are known."""
        assert jet.slope is not None
        if not self.corners:
            return _smooth(jet, lower, upper)
        ends = (lower, upper, *jet.slope.bounds)
        return np.all([np.all(np.isfinite(end), -1) for end in ends], 0) & ~undefined(jet.value)

    def _near_minima(self, bounds: Array, convex: Array, middle: Array) -> None:
        """Descend from the lowest boxes on which f is convex, and look for a region there."""
        lowest = np.flatnonzero(convex & (bounds <= self.best))
        for k in lowest[np.argsort(bounds[lowest], kind="stable")][:2]:
            x = self.descent(middle[k])
            if x is not None:
                self._try(x[None])
                self._region_at(x)

    def _decide(self, ids: Array, bounds: Array, jet: Jet, lower: Array, upper: Array) -> None:
        assert jet.slope is not None and jet.hessian is not None
        steady, doubt = self._steady(jet, lower, upper), undefined(jet.value)
        with np.errstate(all="ignore"):
            room = CLEAR * (jet.slope.upper - jet.slope.lower)
        up, down = jet.slope.lower > room, jet.slope.upper < -room
        varies = lower < upper
        weight = self._weights(jet, lower, upper, doubt)
        new_ids: list[int] = []
        new_bounds: list[float] = []
        for k, node in enumerate(map(int, ids)):
            if bounds[k] > self.best + MARGIN * self.tol:
                self.tree.close(node, ABOVE)
                continue
            sloped = np.flatnonzero(varies[k] & (up[k] | down[k])) if steady[k] else ()
            done = False
            low, high = lower[k], upper[k]
            faces: list[int] = []
            for i in sloped:
                end, domain = (low[i], self.lower[i]) if up[k, i] else (high[i], self.upper[i])
                if end != domain:
                    self.tree.close(node, SLOPED, 2 * int(i) + int(down[k, i]))
                    done = True
                    break
                if np.isfinite(end):
                    faces.append(int(i))
            if done:
                continue
            if faces:
                node = self._onto_faces(node, faces, down[k], low, high)
                new_ids.append(node)
                new_bounds.append(float(bounds[k]))
                continue
            for child in self._halved(node, weight[k], float(bounds[k])):
                if doubt[k]:
                    self.doubtful[child] = self._width(child)
                new_ids.append(child)
                new_bounds.append(float(bounds[k]))
        self.ids = np.concatenate([self.ids, np.array(new_ids, int)])
        self.bounds = np.concatenate([self.bounds, np.array(new_bounds)])

    def _onto_faces(self, node: int, faces: list[int], down: Array, low: Array, high: Array) -> int:
        """The faces on which the slopes press the box take its place, one after the other."""
        for i in faces:
            low, high = low.copy(), high.copy()
            low[i] = high[i] = high[i] if down[i] else low[i]
            child = self.tree.add(low, high)
            self.tree.close(node, FACE, 2 * i + int(down[i]))
            self.tree.children[node] = (child,)
            node = child
        return node

    def _weights(self, jet: Jet, lower: Array, upper: Array, doubt: Array) -> Array:
        """How much f may vary along each coordinate of a box; its width where f may be undefined."""
        assert jet.slope is not None
        low, high = _finite(self.lower, self.upper)
        scale = np.where(high > low, high - low, 1.0)
        width = (upper - lower) / scale
        with np.errstate(all="ignore"):
            steep = np.maximum(np.abs(jet.slope.lower), np.abs(jet.slope.upper)) * scale
            plain = np.any(~np.isfinite(steep), -1, keepdims=True) | doubt[:, None]
            weight = np.where(plain, width, np.where(width > 0, width * np.where(plain, 1.0, steep), 0.0))
        thin = width < FINEST
        return np.where(thin, -1.0, np.where(np.isfinite(weight), weight, np.finfo(float).max))

    def _halved(self, node: int, weight: Array, bound: float) -> list[int]:
        i = int(np.argmax(weight))
        low, high = self.tree.lower[node], self.tree.upper[node]
        middle = split(float(low[i]), float(high[i]))
        if weight[i] < 0 or not low[i] < middle < high[i]:  # it cannot be halved: it stays open
            self.stuck.append((node, bound))
            return []
        left, right = high.copy(), low.copy()
        left[i] = right[i] = middle
        children = (self.tree.add(low, left), self.tree.add(right, high))
        self.tree.close(node, HALVED, i)
        self.tree.children[node] = children
        return list(children)


def _smooth(jet: Jet, lower: Array, upper: Array) -> Array:
    """On which bounded boxes f is proved to be smooth."""
    assert jet.hessian is not None
    bounded = np.all(np.isfinite(lower) & np.isfinite(upper), -1)
    return bounded & np.all(np.isfinite(jet.hessian.lower) & np.isfinite(jet.hessian.upper), -1) & ~undefined(jet.value)


def _finite(lower: Array, upper: Array) -> tuple[Array, Array]:
    """The box cut to where descent can start."""
    reach = 10.0 * (1.0 + np.where(np.isfinite(lower), np.abs(lower), np.where(np.isfinite(upper), np.abs(upper), 0)))
    low = np.where(np.isfinite(lower), lower, np.where(np.isfinite(upper), upper - reach, -reach))
    high = np.where(np.isfinite(upper), upper, np.where(np.isfinite(lower), lower + reach, reach))
    return low, high


def _middle(lower: Array, upper: Array) -> Array:
    with np.errstate(all="ignore"):
        plain = lower / 2 + upper / 2
        low, high = np.isfinite(lower), np.isfinite(upper)
        other = np.where(low, lower, np.where(high, upper, 0.0))
        return np.where(low & high, plain, other)
