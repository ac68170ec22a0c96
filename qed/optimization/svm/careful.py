"""What is proved of a kernel machine whose plain sums are in doubt by more than its gap.

Rows on the margin cost C_i times the doubt about their values, and a doubt of n u sum_j |K_ij| a_j is much where C is
large. Two ways out are tried, the cheap one first.

* Where no multiplier is at its price, w and b that are longer by twice the doubt bring the rows on the margin beyond
  it, at a cost of the doubt times |w|^2 only.
* The values are summed again with their roundings: the error of a product (Dekker, 1971) and that of a sum (Knuth,
  1969) are floating-point numbers, and the sum with these errors added is as good as one in twice the digits,

      |found - exact| <= u |exact| + g(n)^2 sum_j |K_ij| a_j.

Reference: Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Scientific Computing 26, 2005, theorem 5.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qed.optimization.svm import kernel as kernels
from qed.optimization.svm.problem import SPARE, TINY, UNIT, Bracket, Machine, doubts, spread, with_kernel

Array = np.ndarray
SPLIT = 2.0**27 + 1.0
LARGE = 2.0**400
"""Numbers up to here are split and multiplied without overflow."""


def longer(
    kernel: kernels.Kernel, signs: Array, prices: Array, machine: Machine, tol: float
) -> tuple[Machine, Bracket] | None:
    """The machine with w and b a little longer, and what is proved of it; None where a multiplier has no room."""
    doubt = float(doubts(kernel.apply(machine.multipliers, absolute=True)).max(initial=0.0))
    factor = 1.0 + 2.0 * doubt + SPARE * UNIT * (1.0 + abs(machine.offset))
    multipliers = factor * machine.multipliers
    if not np.all(multipliers <= prices):
        return None
    moved = Machine(multipliers, factor * machine.offset, kernel.apply(signs * multipliers))
    return moved, kernels.proved(kernel, signs, prices, moved, tol)


def summed(
    blocks: Iterable[tuple[Array, Array]], kernel: kernels.Kernel, signs: Array, prices: Array, machine: Machine
) -> tuple[Machine, Bracket] | None:
    """The machine with its values summed again, and what is proved of it; None where numbers are too large for that.

    Args:
        blocks: indices of rows with these rows of K, all of them once.
        kernel: the kernel of the n training rows, asked for one entry of its diagonal.
        signs: the labels, -1 or 1.
        prices: C_i > 0.
        machine: what is judged.
    """
    forces = signs * machine.multipliers
    held = np.flatnonzero(forces)
    values, off = np.zeros(len(signs)), np.zeros(len(signs))
    for at, rows in blocks:
        found = dot(rows[:, held].T, forces[held])
        if found is None:
            return None
        values[at], off[at] = found
    again = Machine(machine.multipliers, kernels.offset(values, signs, prices), values)
    return again, with_kernel(signs, prices, again, off, kernel.diagonal)


def dot(columns: Array, weights: Array) -> tuple[Array, Array] | None:
    """sum_j weights_j columns_j with a bound of its error; None where a number is too large.

    >>> values, off = dot(np.array([[1e16], [1.0], [-1e16]]), np.ones(3))
    >>> values.tolist(), bool(off[0] < 1e-12)
    ([1.0], True)
    """
    columns = np.ascontiguousarray(columns)
    count, width = columns.shape
    if count == 0:
        return np.zeros(width), np.zeros(width)
    if not (np.abs(columns).max() < LARGE and np.abs(weights).max() < LARGE):
        return None
    total, lost, sizes = np.zeros(width), np.zeros(width), np.zeros(width)
    for column, weight in zip(columns, weights, strict=True):
        high = column * weight
        a, b = column * SPLIT, weight * SPLIT
        a, b = a - (a - column), b - (b - weight)
        rest, tail = column - a, weight - b
        low = ((a * b - high) + a * tail + rest * b) + rest * tail
        before, total = total, total + high
        part = total - before
        lost += ((before - (total - part)) + (high - part)) + low
        sizes += np.abs(high)
    found = total + lost
    size = spread(count)
    off = 2 * UNIT * np.abs(found) + 2 * size**2 * sizes * (1.0 + size) + 8 * (count + 1) * TINY
    return found, off
