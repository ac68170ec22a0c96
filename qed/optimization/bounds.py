"""Bounds on single parameters: projection, and which bounds hold a point.

A point x of the box l <= x <= u is stationary for f if x = P(x - g), P the projection onto the box: where a bound holds
x_i, the slope presses against it. The length of P(x - g) - x, the *projected gradient*, is what a run tests. Reference:
Bertsekas, *Nonlinear Programming*, 3rd ed., 2016, section 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from qed.calculus.hessian import shaped
from qed.domains.box import WRONG, Box, spread_over
from qed.errors import QedError
from qed.graph.trace import is_float

Array = np.ndarray
INSTEAD = "bounds=(lower, upper) with lower <= upper, each one number for all, or arrays and trees like x0"


@dataclass(frozen=True, eq=False)
class Bounds:
    """Lower and upper ends of the parameters as vectors, infinite where there is none.

    Example:
        >>> import numpy as np
        >>> box = Bounds(np.array([0.0, -np.inf]), np.array([1.0, np.inf]))
        >>> box.project(np.array([2.0, 3.0])).tolist(), box.slope(np.array([0.0, 3.0]), np.array([5.0, 7.0])).tolist()
        ([1.0, 3.0], [0.0, 7.0])
    """

    lower: Array
    upper: Array

    @cached_property
    def open(self) -> bool:
        """Whether nothing is bounded."""
        return bool(np.all(np.isneginf(self.lower)) and np.all(np.isposinf(self.upper)))

    def project(self, x: Array) -> Array:
        """The nearest point of the box."""
        return x if self.open else np.clip(x, self.lower, self.upper)

    def slope(self, x: Array, gradient: Array) -> Array:
        """The projected gradient, x - P(x - g), each part no longer than the room; far out x - g itself is rounded."""
        return gradient if self.open else np.clip(gradient, x - self.upper, x - self.lower)

    def held(self, x: Array, gradient: Array) -> Array:
        """Which parameters stand at a bound that the slope presses against, or have no room at all."""
        if self.open:
            return np.zeros(len(x), bool)
        at_lower = (x <= self.lower) & (gradient > 0)
        at_upper = (x >= self.upper) & (gradient < 0)
        return at_lower | at_upper | (self.lower == self.upper)


def bounds_of(bounds: Any, x: Any) -> Bounds:
    """The bounds of the floating-point numbers of a tree x, as its dtypes hold them, rounded inward; None is no bound.

    Raises:
        QedError: QED007 where the ends do not fit x, are NaN, or cross.
    """
    leaves = [leaf for leaf in jax.tree.leaves(x) if is_float(leaf)]
    n = sum(int(np.size(leaf)) for leaf in leaves)
    if bounds is None:
        return Bounds(np.broadcast_to(-np.inf, n), np.broadcast_to(np.inf, n))  # one number each, however many x has
    try:
        sides = spread_over(bounds, x)
    except QedError as error:
        raise _said(error, bounds, x) from None
    keep = [is_float(leaf) for leaf in jax.tree.leaves(x)]
    lower, upper = ([end for end, use in zip(side, keep, strict=True) if use] for side in sides)
    pairs = [_held(low, high, leaf) for low, high, leaf in zip(lower, upper, leaves, strict=True)]
    return Bounds(*(_joined(side) for side in zip(*pairs, strict=True)))


def _said(error: QedError, bounds: Any, x: Any) -> QedError:
    """The error that says what to write for bounds that are pairs number by number, or those of SciPy."""
    leaves = jax.tree.leaves(x)
    pairs = "bounds are one pair (lower, upper), each like x0 or one number for all, and no pairs for single numbers"
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return QedError(error.code, error.what, "these are SciPy's Bounds", "bounds=(bounds.lb, bounds.ub)")
    if getattr(bounds, "ndim", 0) == 2 and len(leaves) == 1 and bounds.shape == (np.size(leaves[0]), 2):
        return QedError(error.code, error.what, pairs, "bounds=(bounds[:, 0], bounds[:, 1])")
    if isinstance(bounds, Mapping) and isinstance(x, Mapping) and all(map(_is_pair, bounds.values())):
        lower, upper = ({k: bounds.get(k, (None, None))[side] for k in x} for side in (0, 1))
        return QedError(error.code, error.what, pairs, f"bounds=({lower}, {upper})")
    if isinstance(bounds, Sequence) and bounds and all(map(_is_pair, bounds)) and len(leaves) == 1:
        if len(bounds) == np.size(leaves[0]):
            lower = [-np.inf if low is None else low for low, _ in bounds]
            upper = [np.inf if high is None else high for _, high in bounds]
            instead = f"bounds=(np.array({lower}), np.array({upper})) for a pair each".replace("inf", "np.inf")
            return QedError(error.code, error.what, pairs, instead)
    if error.what != WRONG:
        return error
    return QedError(error.code, "these are no bounds of x0", error.because, f"{INSTEAD}; None or an infinity is open")


def _is_pair(pair: Any) -> bool:
    """Whether something is a pair of numbers or None."""
    pair = pair.tolist() if isinstance(pair, np.ndarray) else pair
    return isinstance(pair, Sequence) and len(pair) == 2 and all(p is None or isinstance(p, int | float) for p in pair)


def _held(lower: Any, upper: Any, leaf: Any) -> tuple[Array, Array]:
    """Ends as a dtype holds them, inside the given ones; the nearest where nothing lies between."""
    dtype = jax.numpy.asarray(leaf).dtype
    lower, upper = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    up, down = np.asarray(np.inf, dtype), np.asarray(-np.inf, dtype)
    with np.errstate(over="ignore"):
        low, high = lower.astype(dtype), upper.astype(dtype)
    within = np.where(low.astype(np.float64) < lower, np.nextafter(low, up), low).astype(np.float64)
    below = np.where(high.astype(np.float64) > upper, np.nextafter(high, down), high).astype(np.float64)
    between = within <= below
    return np.where(between, within, low.astype(np.float64)), np.where(between, below, high.astype(np.float64))


def drawn(bounds: Bounds, start: Array, count: int, see: Callable[[Array], Any]) -> list[Any]:
    """Further starts as they are seen: normal about the start, as wide as it is long, or uniform between finite bounds.

    Args:
        bounds: the box.
        start: the start that is given.
        count: how many are wanted; fewer come where twenty times as many draws do not give them.
        see: evaluates a point; those that are not `finite` are left out.
    """
    rng, found = np.random.default_rng(0), []
    both = np.isfinite(bounds.lower) & np.isfinite(bounds.upper)
    for _ in range(20 * count):
        if len(found) == count:
            break
        x = start + (1.0 + np.abs(start)) * rng.standard_normal(len(start))
        uniform = rng.uniform(np.where(both, bounds.lower, 0.0), np.where(both, bounds.upper, 1.0))
        seen = see(bounds.project(np.where(both, uniform, x)))
        if seen.finite:
            found.append(seen)
    return found


def _joined(ends: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(end) for end in ends]).astype(np.float64)


def spread(region: Any, x: Any) -> Box:
    """A box with ends for every number of x: one end that stands for all says nothing of how many they are.

    Example:
        >>> spread((0.0, None), np.zeros(2)).upper.tolist()
        [inf, inf]
    """
    ends = bounds_of(region, x)
    floats = [leaf for leaf in jax.tree.leaves(x) if is_float(leaf)]

    def tree(side: Array) -> Any:
        parts = iter(shaped(side, floats))
        return jax.tree.map(lambda leaf: next(parts) if is_float(leaf) else leaf, x)

    return Box(tree(ends.lower), tree(ends.upper))
