"""What certificates on boxes ask of a function, asked of many boxes at once in padded float64 intervals.

The questions are those of `qed.certificates.boxes`: f >= b on a box, a partial derivative of one sign, a positive
definite Hessian, bounds of derivatives. On a box X with middle m, slopes G and Hessian H a lower bound of f is the
largest of

    min f(X),    f(m) + min G (X - m),    f(m) + min (grad f(m) (X - m) + (X - m)^T H (X - m) / 2),

the last with -g^2/(2h) for the least value of g t + h t^2/2, h > 0 (Hansen and Walster, *Global Optimization Using
Interval Analysis*, 2nd ed., 2004, chapters 6 and 7). What one box does not give its halves are asked for, some times. A
symmetric interval matrix A is definite if V^T A V has dominant positive diagonal for a matrix V (Gershgorin,
Sylvester). The answer yes is a proof; where it is no, the question goes to balls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from qed.certificates.boxes import OutOfTime, split
from qed.domains import padded
from qed.domains.padded import Pair
from qed.domains.padded_jets import Derivatives, PaddedBoxes
from qed.graph.trace import Traced

Array = np.ndarray
ROUNDS = 10
"""How often boxes are halved."""
PARTS = 256
"""How many parts one box is cut into at most,"""
ALTOGETHER = 2**17
"""and how many parts all boxes together, but for the first four rounds."""

LARGE, LEAST = 1e300, 1e-140
"""Twice a number up to here is finite; the square of one above is a normal number."""


class Together:
    """A traced function, questioned on boxes (count, n); OutOfTime is raised after the deadline (time.monotonic()).

    Where `negative` is set the questions are about -f.

    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> from qed.certificates.boxes_together import Together
    >>> from qed.graph.trace import trace
    >>> ask = Together(trace(lambda x: jnp.sum(x * x - x), np.zeros(1)))
    >>> low, high = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    >>> ask.at_least(low, high, np.array([-0.26, 0.1])).tolist(), ask.sloped(low, high, [0, 0], [False] * 2).tolist()
    ([True, False], [False, True])
    """

    def __init__(self, traced: Traced, deadline: float = np.inf, negative: bool = False) -> None:
        boxes = PaddedBoxes(traced)
        self.size, self.known = boxes.size, boxes.known
        self.f: Callable[..., Derivatives] = _negated(boxes) if negative else boxes
        self.deadline = deadline

    def at_least(self, lower: Array, upper: Array, bound: Array, strictly: bool = True) -> Array:
        """Return on which boxes f > bound is proved (f >= bound with `strictly` False)."""

        def settled(low: Array, high: Array, owner: Array) -> tuple[Array, Array]:
            least, weights = self.bounds(low, high)
            goal = bound[owner]
            return (least > goal if strictly else least >= goal), weights

        return self._everywhere(settled, lower, upper)

    def sloped(self, lower: Array, upper: Array, coordinate: Any, down: Any) -> Array:
        """Return on which boxes the slope in a coordinate is proved to be > 0 (< 0 where `down`)."""
        coordinate, down = np.asarray(coordinate, int), np.asarray(down, bool)

        def settled(low: Array, high: Array, owner: Array) -> tuple[Array, Array]:
            slopes = self.f(low, high, 1).slopes
            i, each = coordinate[owner], np.arange(len(low))
            return np.where(down[owner], slopes[1][i, each] < 0, slopes[0][i, each] > 0), _widths(low, high)

        return self._everywhere(settled, lower, upper)

    def convex(self, lower: Array, upper: Array, free: Array) -> bool:
        """Whether the Hessian in the free coordinates is proved to be positive definite on one box (n,)."""

        def settled(low: Array, high: Array, owner: Array) -> tuple[Array, Array]:
            return self._definite(self.f(low, high, 2).hessian, free), _widths(low, high)

        return bool(self._everywhere(settled, lower[None], upper[None])[0])

    def gradient_within(self, lower: Array, upper: Array, bound: float) -> Array:
        """Return on which boxes the Euclidean norm of the gradient is proved to be below a bound."""
        square = bound * bound * (1 - padded.PART) if LEAST < bound < LARGE**0.5 else -1.0

        def settled(low: Array, high: Array, owner: Array) -> tuple[Array, Array]:
            found = self.f(low, high, 1)
            slopes, squares = found.slopes, padded.squared(found.slopes)
            width = np.where(low < high, high - low, 0.0)
            weights = np.where(np.isfinite(width), (slopes[1] - slopes[0]).T * width, np.finfo(float).max)
            known = np.all(np.isfinite(weights), -1, keepdims=True)
            short = (padded.total(squares, 0)[1] < square) & _defined(found)
            return short, np.where(known, weights, _widths(low, high))

        return self._everywhere(settled, lower, upper)

    def hessian_within(self, lower: Array, upper: Array, bound: float) -> Array:
        """Return on which boxes the eigenvalues of the Hessian are proved to lie between -bound and bound."""
        free = np.ones(self.size, bool)
        i, j = np.triu_indices(self.size)
        shift = np.where(i == j, bound, 0.0)[:, None]

        def settled(low: Array, high: Array, owner: Array) -> tuple[Array, Array]:
            found = self.f(low, high, 2)
            sides = [padded.plus((shift, shift), h) for h in (found.hessian, padded.negative(found.hessian))]
            inside = self._definite(sides[0], free) & self._definite(sides[1], free)
            return inside & _defined(found), _widths(low, high)

        return self._everywhere(settled, lower, upper)

    # --- on boxes as they are ---

    def bounds(self, low: Array, high: Array) -> tuple[Array, Array]:
        """Lower bounds of f, and how much each coordinate makes of what is missing."""
        bounded = np.all(np.isfinite(low) & np.isfinite(high), -1, keepdims=True)
        with np.errstate(all="ignore"):
            middle = np.where(bounded, low / 2 + high / 2, np.nan)
        centre = self.f(middle, middle, 1)
        here = self.f(low, high, 2)
        with np.errstate(all="ignore"):
            away = padded.plus((low.T, high.T), (-middle.T, -middle.T))
            least = _best(here.value[0], self._by_slopes(centre, here, away))
            second, weights = self._by_curvature(centre, here, away)
            least = np.where(_defined(here), _best(least, second), np.nan)
        return least, np.where(np.isfinite(weights).all(0), weights, _widths(low, high).T).T

    def _by_slopes(self, centre: Derivatives, here: Derivatives, away: Pair) -> Array:
        terms = padded.total(padded.times(here.slopes, away), 0)
        return padded.plus(centre.value, terms)[0]

    def _by_curvature(self, centre: Derivatives, here: Derivatives, away: Pair) -> tuple[Array, Array]:
        n = self.size
        i, j = np.triu_indices(n)
        on = i == j
        linear = padded.times(centre.slopes, away)
        curvature = here.hessian[0][on], here.hessian[1][on]
        bent = padded.scaled(padded.times(curvature, padded.squared(away)), 0.5)
        each = padded.plus(linear, bent)[0]
        hollow = (curvature[0] > 0) & (curvature[0] < LARGE)
        steep = padded.squared(centre.slopes)[1]
        vertex = -padded.up(steep / (2.0 * np.where(hollow, curvature[0], 1.0)))  # twice a number is exact
        each = np.where(hollow, np.maximum(each, vertex), each)
        mixed = here.hessian[0][~on], here.hessian[1][~on]
        a, b = i[~on], j[~on]
        products = padded.times((away[0][a], away[1][a]), (away[0][b], away[1][b]))
        others = padded.times(mixed, products)[0]
        lowest = np.concatenate([each, others])
        weights = np.abs(each)
        for row, p, q in zip(np.abs(others), a, b, strict=True):
            weights[p] += row
            weights[q] += row
        return padded.plus(centre.value, padded.total((lowest, lowest), 0))[0], weights

    def _definite(self, entries: Pair, free: Array) -> Array:
        """Which symmetric interval matrices are positive definite in the free coordinates."""
        n = self.size
        index = np.flatnonzero(free)
        i, j = np.triu_indices(n)
        full = []
        for end in entries:
            matrix = np.empty((end.shape[1], n, n))
            matrix[:, i, j] = matrix[:, j, i] = end.T
            full.append(matrix[:, index[:, None], index])
        finite = np.isfinite(full[0]).all((1, 2)) & np.isfinite(full[1]).all((1, 2))
        low, high = (np.where(finite[:, None, None], end, np.eye(len(index))) for end in full)
        _, v = np.linalg.eigh(low / 2 + high / 2)
        with np.errstate(all="ignore"):
            right = _matrix_product((low, high), (v, v))
            turned = _matrix_product((np.swapaxes(v, 1, 2), np.swapaxes(v, 1, 2)), right)
            sizes = np.maximum(np.abs(turned[0]), np.abs(turned[1]))
            k = np.arange(len(index))
            sizes[:, k, k] = 0.0
            others = padded.total((sizes, sizes), -1)[1]
        return finite & np.all(turned[0][:, k, k] > others, -1)

    # --- halving ---

    def _everywhere(
        self, settled: Callable[[Array, Array, Array], tuple[Array, Array]], lower: Array, upper: Array
    ) -> Array:
        """On which boxes a question is settled, on the box or on all of its parts."""
        count = len(lower)
        lost, parts = np.zeros(count, bool), np.ones(count, int)
        low, high, owner = lower, upper, np.arange(count)
        for turn in range(ROUNDS):
            if not len(low):
                break
            if time.monotonic() > self.deadline:
                raise OutOfTime
            done, weights = settled(low, high, owner)
            rest = np.flatnonzero(~done)
            low, high, owner, weights = low[rest], high[rest], owner[rest], weights[rest]
            np.add.at(parts, owner, 1)
            lost[owner[parts[owner] > PARTS]] = True
            if turn == ROUNDS - 1 or (turn > 3 and 2 * len(low) > ALTOGETHER):
                lost[owner] = True
            keep = ~lost[owner]
            low, high, owner = _halves(low[keep], high[keep], owner[keep], weights[keep], lost)
        return ~lost


def _halves(low: Array, high: Array, owner: Array, weights: Array, lost: Array) -> tuple[Array, Array, Array]:
    """Both halves of boxes in the coordinate of the largest weight; the owner of one that has none is lost."""
    if not len(low):
        return low, high, owner
    each = np.arange(len(low))
    i = np.argmax(np.where(low < high, weights, -1.0), -1)
    a, b = low[each, i], high[each, i]
    middle = np.array([split(float(x), float(y)) for x, y in zip(a, b, strict=True)])
    good = (a < middle) & (middle < b)
    lost[owner[~good]] = True
    left, right = high.copy(), low.copy()
    left[each, i] = right[each, i] = middle
    keep = ~lost[owner]
    lower, upper = np.concatenate([low[keep], right[keep]]), np.concatenate([left[keep], high[keep]])
    return lower, upper, np.concatenate([owner[keep]] * 2)


def _negated(boxes: PaddedBoxes) -> Callable[..., Derivatives]:
    """The derivatives of -f."""

    def negated(lower: Array, upper: Array, order: int = 2) -> Derivatives:
        found = boxes(lower, upper, order)
        return Derivatives(*map(padded.negative, (found.value, found.slopes, found.hessian)))

    return negated


def _defined(found: Derivatives) -> Array:
    """On which boxes a function is known to be defined."""
    return ~np.isnan(found.value[0]) & ~np.isnan(found.value[1])


def _best(first: Array, second: Array) -> Array:
    """The larger of two lower bounds; one that is not known is no bound."""
    return np.fmax(first, second)


def _widths(low: Array, high: Array) -> Array:
    return np.where(np.isfinite(high - low), high - low, np.finfo(float).max)


def _matrix_product(a: Pair, b: Pair) -> Pair:
    left = a[0][:, :, :, None], a[1][:, :, :, None]
    right = b[0][:, None, :, :], b[1][:, None, :, :]
    return padded.total(padded.times(left, right), 2)
