"""Kinks: where the derivative jumps, and every value between the one-sided derivatives is a legitimate one.

At x = 0 the slope of |x| is -1 from the left and 1 from the right; automatic differentiation returns something in
[-1, 1], and no value is wrong. In general the derivatives at points around x fill Clarke's generalised gradient,

    df(x) = conv { lim grad f(x_k) : x_k -> x, f differentiable at x_k },

and a rule is refuted only outside of it. The probe evaluates the derivative (not a difference quotient, so nothing
cancels) at points around x at distance 1e-12 and again at 1e-9, relative: at a kink the spread is the same at
both, at a smooth point it shrinks with the distance, and a kink *near* x lies beyond both.

Reference: Clarke, *Optimization and Nonsmooth Analysis*, Wiley 1983, section 2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qed.calculus.gradient.directions import directions

DISTANCES = (1e-12, 1e-9)
AROUND = 4
"""How many pairs of opposite points are looked at at each distance."""

WIDE = 1e-6
"""The relative spread from which on a derivative jumps."""


@dataclass(frozen=True, eq=False)
class Hull:
    """The derivatives around a point, element by element.

    Args:
        lower: the least of them.
        upper: the greatest.
        jumps: where the derivative jumps at the point.
        flat: where it is the same all around the point, at both distances.
    """

    lower: np.ndarray
    upper: np.ndarray
    jumps: np.ndarray
    flat: np.ndarray

    def holds(self, found: np.ndarray) -> np.ndarray:
        """Where a value lies between the one-sided derivatives, at a kink."""
        slack = 1e-9 + 1e-6 * (self.upper - self.lower) + 1e-9 * np.maximum(np.abs(self.lower), np.abs(self.upper))
        return self.jumps & (found >= self.lower - slack) & (found <= self.upper + slack)


def perturbed(point: Sequence[Any], distance: float, seed: int, array: Any = np) -> list[Any]:
    """A point nearby: each element moved by `distance` times itself, a zero by `distance` times the largest.

    Args:
        point: arrays in float64.
        distance: relative; its sign is that of the direction.
        seed: of the direction.
        array: `numpy`, or `jax.numpy` inside a compiled program.
    """
    along = directions([array.shape(x) for x in point], 7919 + seed, array)
    moved = []
    for x, v in zip(point, along, strict=True):
        top = array.max(array.abs(x), initial=0.0)
        top = array.where((top > 0) & array.isfinite(top), top, 1.0)
        moved.append(x + distance * v * array.where(x == 0, top, array.abs(x)))
    return moved


def hull(derivative: Callable[[list[Any]], np.ndarray], point: Sequence[Any], seed: int = 0) -> Hull:
    """Look at the derivative around a point.

    Args:
        derivative: point -> derivatives as one vector.
        point: arrays in float64.
        seed: of the directions.

    Example:
        >>> found = hull(lambda x: np.array([np.sign(x[0]), 2 * x[0]]), [np.float64(0.0)])
        >>> found.jumps.tolist(), found.lower.tolist()[0], found.upper.tolist()[0]
        ([True, False], -1.0, 1.0)
    """
    near, far = (rows_around(derivative, point, distance, seed) for distance in DISTANCES)
    return hull_of(near, far)


def rows_around(
    derivative: Callable[[list[Any]], np.ndarray], point: Sequence[Any], distance: float, seed: int = 0
) -> np.ndarray:
    """The derivatives at pairs of opposite points around a point, one a row; the directions do not depend on how far.

    >>> rows_around(lambda x: 2 * x[0], [np.zeros(1)], 0.5).shape
    (8, 1)
    """
    return np.stack(
        [derivative(perturbed(point, sign * distance, seed + k)) for k in range(AROUND) for sign in (1.0, -1.0)]
    )


def hull_of(near: np.ndarray, far: np.ndarray) -> Hull:
    """What derivatives around a point say, in rows, at two distances."""
    lowest, highest = [rows.min(axis=0) for rows in (near, far)], [rows.max(axis=0) for rows in (near, far)]
    with np.errstate(invalid="ignore"):  # inf - inf, where the derivative is nowhere finite
        near, far = (high - low for low, high in zip(lowest, highest, strict=True))
    size = np.maximum(np.abs(lowest[0]), np.abs(highest[0]))
    with np.errstate(all="ignore"):
        jumps = (near > WIDE * size) & (far < 2 * near) & (far > 0.5 * near) & np.isfinite(near)
        flat = np.maximum(highest[0], highest[1]) - np.minimum(lowest[0], lowest[1]) <= WIDE * size
    return Hull(lowest[0], highest[0], jumps, flat)
