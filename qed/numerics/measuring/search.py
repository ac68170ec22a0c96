"""The worst point of a box: where the most bits are lost, as far as a search finds it.

Digits are lost on thin sets (near a zero of the result, near equal arguments, where a number leaves its range), of
which a uniform sample sees nothing. So the candidates are, in this order: the corners and the middle; zero and the
powers of ten in between; points drawn uniformly, by the logarithm of each coordinate, and with coordinates made nearly
equal; places where a sum inside the program changes its sign between two of these points, found by bisection (there
its terms cancel); and then steps of shrinking size from the best so far, in single coordinates and in all. Each
candidate is rounded to the dtype and judged as any point is; what is not defined there is passed over. The best is a
witness, not a maximum: the same question GRIST asks for NaN (Yan et al., FSE 2021), asked for bits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qed.domains.bits import Format

POINTS = 100
"""How many points are judged without a budget, of a small program."""

OPERATIONS = 4_000_000
"""How many operations all of them may take together, without a budget."""

CROSSINGS = 8
"""How many changes of sign are followed."""

HALVINGS = 40
"""How often each is halved: until its ends are neighbours, in float32."""

Point = list[np.ndarray]
Signs = Callable[[Point], Mapping[Hashable, float]]


@dataclass(frozen=True, eq=False)
class Worst:
    """The worst point that was found.

    Args:
        point: an array for each array of the argument.
        bits: how many bits are lost there; None where no point of the box could be judged.
        tried: how many points were judged.
    """

    point: Point
    bits: float | None
    tried: int


def search(
    objective: Callable[[Point], float | None],
    lower: Sequence[np.ndarray],
    upper: Sequence[np.ndarray],
    like: Sequence[np.ndarray],
    seed: int,
    points: int,
    budget: float | None = None,
    sums: Signs | None = None,
) -> Worst:
    """Look for the point of a box where the most bits are lost.

    Args:
        objective: bits lost at a point; None where they are not known.
        lower: the lower ends, an array for each array of the argument.
        upper: the upper ends.
        like: arrays of the right shapes and dtypes; where they lie in the box they are the first candidate.
        seed: of the random candidates.
        points: how many points to judge.
        budget: seconds after which no other point is judged.
        sums: the results of the sums and differences of the program at a point, each by a name that it has everywhere.

    Example:
        >>> worst = search(lambda p: float(-abs(p[0] - 3.0)), [np.array(0.0)], [np.array(10.0)],
        ...                [np.array(1.0)], 0, 100)
        >>> bool(abs(worst.point[0] - 3.0) < 0.1), worst.tried
        (True, 100)
    """
    generator = np.random.default_rng(seed)
    box = _Box(lower, upper, like)
    best: Worst = Worst([np.array(a) for a in like], None, 0)
    deadline = None if budget is None else time.monotonic() + budget
    drawn, tried, failed = box.candidates(generator), 0, 0
    seen: list[Point] = []
    crossings: Iterator[Point] | None = None
    while tried < points and (deadline is None or not tried or time.monotonic() < deadline):
        rest = tried / points
        if rest > 0.5 and crossings is None:
            crossings = iter(()) if sums is None else _crossings(box, sums, seen)
        crossed = None if crossings is None else next(crossings, None)
        if crossed is not None:
            candidate = crossed
        elif rest > 0.5 and best.bits is not None:
            candidate = box.near(best.point, generator, 4.0 * (1 - rest))
        else:
            candidate = next(drawn)
        if candidate is None:  # rounding took it out of the box
            failed += 1
            if failed > 20 * points:
                break
            continue
        tried += 1
        if crossings is None:
            seen.append(candidate)
        bits = objective(candidate)
        if bits is not None and (best.bits is None or bits > best.bits):
            best = Worst(candidate, bits, tried)
    return Worst(best.point, best.bits, tried)


def _crossings(box: _Box, sums: Signs, seen: Sequence[Point]) -> Iterator[Point]:
    """The points on both sides of where a sum changes its sign, for some of the sums, each between two points."""
    values = [sums(point) for point in seen]
    followed = 0
    for name in dict.fromkeys(name for each in values for name in each):
        known = [(k, each[name]) for k, each in enumerate(values) if np.isfinite(each.get(name, np.nan))]
        below = [k for k, value in known if value < 0]
        above = [k for k, value in known if value > 0]
        if not below or not above:
            continue
        ends = (seen[below[0]], seen[above[0]])
        for _ in range(HALVINGS):
            middle = box.between(*ends)
            if middle is None or any(_same(middle, end) for end in ends):
                break
            value = sums(middle).get(name, np.nan)
            if not np.isfinite(value):
                break
            ends = (middle, ends[1]) if value < 0 else (ends[0], middle)
        yield from ends
        followed += 1
        if followed == CROSSINGS:
            return


def _same(one: Point, other: Point) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class _Box:
    """The box as one flat vector, and the formats of its coordinates."""

    def __init__(self, lower: Sequence[np.ndarray], upper: Sequence[np.ndarray], like: Sequence[np.ndarray]) -> None:
        self.like = [np.asarray(a) for a in like]
        self.given = np.concatenate([a.astype(np.float64).ravel() for a in self.like])
        forms = [Format.of(a.dtype) for a in self.like]
        self.largest = np.concatenate([np.full(a.size, f.largest) for a, f in zip(self.like, forms, strict=True)])
        self.tiny = np.concatenate([np.full(a.size, f.tiny) for a, f in zip(self.like, forms, strict=True)])
        self.unit = np.concatenate([np.full(a.size, f.unit) for a, f in zip(self.like, forms, strict=True)])
        self.low = np.maximum(np.concatenate([a.ravel() for a in lower]), -self.largest)
        self.high = np.minimum(np.concatenate([a.ravel() for a in upper]), self.largest)

    def point(self, flat: np.ndarray) -> Point | None:
        """The vector rounded to the dtypes; None where that leaves the box."""
        flat, found, start = np.clip(flat, self.low, self.high), [], 0
        for a in self.like:
            part = flat[start : start + a.size]
            rounded = part.astype(a.dtype)
            wide = rounded.astype(np.float64)
            if np.any((wide < self.low[start : start + a.size]) | (wide > self.high[start : start + a.size])):
                return None
            found.append(rounded.reshape(a.shape))
            start += a.size
        return found

    def candidates(self, generator: np.random.Generator) -> Iterator[Point | None]:
        """The corners, the powers of ten, then random points of several kinds, without end."""
        if np.all((self.given >= self.low) & (self.given <= self.high)):
            yield self.point(self.given)
        yield self.point(self.low)
        yield self.point(self.high)
        yield self.point(self.low / 2 + self.high / 2)
        scales = [0.0, *(10.0**k for k in (-20, -12, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 10, 20))]
        for scale in scales:
            for sign in (1.0, -1.0):
                flat = np.full(self.low.shape, sign * scale)
                if np.all((flat >= self.low) & (flat <= self.high)) and (scale or sign > 0):
                    yield self.point(flat)
        while True:
            yield self.point(self.uniform(generator))
            yield self.point(self.by_size(generator))
            yield self.point(self.nearly_equal(generator))

    def uniform(self, generator: np.random.Generator) -> np.ndarray:
        """A point drawn uniformly."""
        share = generator.uniform(size=self.low.shape)
        return self.low * (1 - share) + self.high * share

    def by_size(self, generator: np.random.Generator) -> np.ndarray:
        """A point whose coordinates have sizes of all orders, or lie at all distances from an end."""
        top = np.maximum(np.abs(self.low), np.abs(self.high))
        least = np.where(self.low > 0, self.low, np.where(self.high < 0, -self.high, self.tiny))
        least = np.maximum(least, np.minimum(top, self.tiny))
        span = np.log(np.maximum(top, self.tiny)) - np.log(np.maximum(least, self.tiny))
        span = np.where(least <= self.tiny, np.minimum(span, 60.0), span)
        size = np.maximum(top, self.tiny) * np.exp(-generator.uniform(size=self.low.shape) * span)
        sign = np.where(
            self.low >= 0, 1.0, np.where(self.high <= 0, -1.0, generator.choice([-1.0, 1.0], self.low.shape))
        )
        return sign * size

    def nearly_equal(self, generator: np.random.Generator) -> np.ndarray:
        """A point whose coordinates are nearly one number; of one coordinate, a point near an end."""
        near = np.exp(-generator.uniform(0, 1, self.low.shape) * -np.log(self.unit))
        if self.low.size == 1:
            width = np.minimum(self.high - self.low, self.largest)
            return np.where(generator.uniform(size=1) < 0.5, self.low + near * width, self.high - near * width)
        base = (self.by_size if generator.uniform() < 0.5 else self.uniform)(generator)
        common = base[generator.integers(base.size)]
        return common * (1 + near * generator.choice([-1.0, 1.0], self.low.shape))

    def between(self, one: Point, other: Point) -> Point | None:
        """The middle of two points: by size where their coordinates have one sign and far other sizes."""
        a, b = (np.concatenate([x.astype(np.float64).ravel() for x in point]) for point in (one, other))
        same = (a * b > 0) & (np.maximum(np.abs(a), np.abs(b)) > 4 * np.minimum(np.abs(a), np.abs(b)))
        return self.point(np.where(same, np.sign(a) * np.sqrt(np.abs(a)) * np.sqrt(np.abs(b)), a / 2 + b / 2))

    def near(self, best: Point, generator: np.random.Generator, scale: float) -> Point | None:
        """A step from a point: in one coordinate or in all, by a factor or by a part of the box."""
        flat = np.concatenate([a.astype(np.float64).ravel() for a in best])
        size = 10.0 ** (-generator.uniform(0, 6 - scale))
        mask = np.ones(flat.shape, bool)
        if flat.size > 1 and generator.uniform() < 0.5:
            mask = np.arange(flat.size) == generator.integers(flat.size)
        noise = generator.normal(size=flat.shape)
        if generator.uniform() < 0.6:
            moved = flat * np.exp(scale * size * noise)
        else:
            moved = flat + size * np.minimum(self.high - self.low, self.largest) * noise
        return self.point(np.where(mask, moved, flat))
