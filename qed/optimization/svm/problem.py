"""The soft-margin problem, its dual, and a bound of the gap between them that holds in real arithmetic.

With labels y in {-1, 1}, rows z_i = y_i x_i and a price C_i for each row,

    primal   P(w) = |w|^2 / 2 + sum_i C_i max(0, 1 - z_i . w)
    dual     D(a) = sum_i a_i - |Z'a|^2 / 2        for 0 <= a_i <= C_i

and for *every* w and every such a, P(w) - P* <= P(w) - D(a), since D(a) <= P* <= P(w): weak duality is all that the
proof needs, whoever found w and a. Where the plane has a free offset b the dual has the equation y'a = 0 besides, and
a kernel K takes the place of the products x_i . x_j, w = sum_i a_i y_i phi(x_i).

A sum of n products in float64, in any order and with or without fused operations, is off by at most
g(n) sum |products|, g(n) = n u / (1 - n u), u = 2^-53 (Higham, *Accuracy and Stability of Numerical Algorithms*, 2002,
section 3.1), and by n times the smallest normal number where products underflow. The bounds below are sums of such
terms; that it is one of n + 8 instead of n pays for the few roundings of the bounds themselves.

Reference: Vapnik, *Statistical Learning Theory*, 1998, chapter 10; Boyd and Vandenberghe, *Convex Optimization*, 2004,
section 5.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

Array = np.ndarray
UNIT = 2.0**-53
TINY = 2.0**-1022
SPARE = 8
"""Roundings that the bounds themselves may cost."""
WIDE = 64
"""Roundings of the last additions: those of the finder, and of who verifies with other ones."""
LONGEST = 1e100
"""Rows and prices up to here: products of larger ones leave the range of the numbers."""


@dataclass(frozen=True)
class Bracket:
    """What is proved about a point: the primal value at most `primal`, the optimum at least `dual`."""

    primal: float
    dual: float

    @property
    def gap(self) -> float:
        """How far the primal value can be above the optimum, rounded up."""
        return math.nextafter(max(self.primal - self.dual, 0.0), math.inf)

    @property
    def relative(self) -> float:
        """The gap in parts of the primal value."""
        return self.gap / max(self.primal, TINY)


def spread(terms: int) -> float:
    """The greatest relative error of a sum of so many products, with something to spare.

    >>> 0 < spread(100) < 2e-14
    True
    """
    parts = (terms + SPARE) * UNIT
    if parts >= 0.5:
        msg = f"{terms} terms are too many for an error bound"
        raise ValueError(msg)
    return parts / (1.0 - parts)


def dot_upper(weights: Array, values: Array) -> float:
    """An upper bound of sum weights * values, for any finite signs."""
    size = len(weights)
    found = float(weights @ values)
    return found + spread(size) * float(np.abs(weights) @ np.abs(values)) + (size + 1) * TINY


@dataclass(frozen=True)
class Rows:
    """The rows z_i = y_i x_i, dense or sparse, with upper bounds of the lengths of the rows and of the columns."""

    rows: Any
    lengths: Array
    columns: Array

    @classmethod
    def of(cls, rows: Any) -> Rows:
        """The lengths of given rows, of shape (n, d)."""
        n, d = rows.shape
        if sparse.issparse(rows):
            squares = rows.multiply(rows)
            across, down = (np.asarray(squares.sum(axis=axis)).ravel() for axis in (1, 0))
        else:
            across, down = np.einsum("ij,ij->i", rows, rows), np.einsum("ij,ij->j", rows, rows)
        confirm_range(float(across.max(initial=0.0)))
        up = 1.0 + spread(max(n, d))
        return cls(rows, np.sqrt(across * up + d * TINY) * up, np.sqrt(down * up + n * TINY) * up)


def confirm_range(square: float) -> None:
    """Raise ValueError where the square of a row's length is too large for proofs in float64."""
    if not square <= LONGEST**2:
        msg = (
            f"the longest row has the square {square:.3g}, and proofs in float64 end at {LONGEST**2:g}: scale the rows"
        )
        raise ValueError(msg)


def values(margins: Array, weights: Array, prices: Array) -> float:
    """P(w) from the margins Z w, as floating-point numbers give it."""
    return 0.5 * float(weights @ weights) + float(prices @ np.maximum(0.0, 1.0 - margins))


def dual(force: Array, multipliers: Array) -> float:
    """D(a) from the force Z'a, as floating-point numbers give it."""
    return float(multipliers.sum()) - 0.5 * float(force @ force)


def linear(problem: Rows, prices: Array, weights: Array, multipliers: Array) -> Bracket:
    """Bounds for P(w) and P*, of a linear machine; by |sum| <= |z_i| |w| where absolute values are summed.

    Args:
        problem: the rows Z = diag(y) X, of shape (n, d).
        prices: C_i, of shape (n,).
        weights: any w, of shape (d,).
        multipliers: any a with 0 <= a_i <= C_i, of shape (n,).
    """
    n, d = problem.rows.shape
    margins = problem.rows @ weights
    off = spread(d) * length(weights) * problem.lengths + (d + 1) * TINY
    primal = 0.5 * dot_upper(weights, weights) + dot_upper(prices, hinges(margins - off))
    force = np.abs(problem.rows.T @ multipliers)
    force = force + (spread(n) * length(multipliers) * problem.columns + (n + 1) * TINY)
    return outward(primal, -dot_upper(np.ones(n), -multipliers) - 0.5 * dot_upper(force, force))


def length(vector: Array) -> float:
    """An upper bound of the Euclidean length."""
    return math.sqrt(dot_upper(vector, vector)) * (1.0 + SPARE * UNIT)


def hinges(margins: Array) -> Array:
    """max(0, 1 - margin) where the margins carry one rounding, rounded up."""
    return np.maximum(0.0, np.nextafter(1.0 - np.nextafter(margins, -np.inf), np.inf))


def outward(primal: float, dual: float) -> Bracket:
    """The two bounds, moved apart by the roundings of the last additions, here and where they are verified."""
    room = WIDE * UNIT
    return Bracket(primal + room * abs(primal), dual - room * abs(dual))


@dataclass(frozen=True)
class Machine:
    """A machine with a free offset in its kernel: multipliers a, offset b, and f_i = sum_j K_ij y_j a_j."""

    multipliers: Array
    offset: float
    values: Array


def doubts(magnitudes: Array) -> Array:
    """How far values f_i = sum_j K_ij y_j a_j may be off as plain sums, where magnitudes are sum_j |K_ij| a_j."""
    n = len(magnitudes)
    return spread(n) * magnitudes + (n + 1) * TINY


def with_kernel(signs: Array, prices: Array, machine: Machine, off: Array, diagonal: Callable[[int], float]) -> Bracket:
    """Bounds for the primal value and the optimum, of a kernel machine with a free offset.

    The multipliers are floating-point numbers, and y'a = 0 holds but for a rounding e. The dual point that the proof
    is about has one free multiplier moved by -y_k e; that costs at most |e| (1 + |f_k|) + e^2 K_kk / 2.

    Args:
        signs: the labels, -1 or 1, of shape (n,).
        prices: C_i, of shape (n,).
        machine: what is judged; its `values` are of shape (n,).
        off: how far the values may be off, of shape (n,).
        diagonal: K_kk of one row.

    Returns:
        The bracket; its dual end is -inf where no multiplier is free to take the rounding.
    """
    n = len(signs)
    forces = signs * machine.multipliers
    square = float(forces @ machine.values)
    doubt = spread(n) * float(machine.multipliers @ np.abs(machine.values)) + dot_upper(machine.multipliers, off)
    margins = signs * (machine.values + machine.offset)
    off = off + 4 * UNIT * (np.abs(machine.values) + abs(machine.offset))
    primal = 0.5 * (square + doubt) + dot_upper(prices, hinges(margins - off))
    dual = -dot_upper(np.ones(n), -machine.multipliers) - 0.5 * (square + doubt)
    imbalance = abs(math.fsum(forces)) * (1 + 2 * UNIT)
    if imbalance:
        room = np.minimum(machine.multipliers, prices - machine.multipliers)
        taker = int(np.argmax(room))
        if room[taker] <= 2 * imbalance:
            return Bracket(outward(primal, 0.0).primal, -math.inf)
        step = float(abs(machine.values[taker]) + off[taker])
        dual -= imbalance * (1 + step) + 0.5 * imbalance**2 * abs(diagonal(taker))
        dual -= SPARE * UNIT * imbalance * (1 + step)
    return outward(primal, dual)
