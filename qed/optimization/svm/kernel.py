"""The kernel machine's last steps: Newton's method on the rows that hold the margin, from another solver's point.

With f_i = sum_j K_ij y_j a_j, a free offset b, and p_i = a_i + s (1 - y_i (f_i + b)), the optimum is where

    a_i = clip(p_i, 0, C_i)   for every i,         y'a = 0.

They are piecewise linear. Where S = {i: 0 < p_i < C_i} is right, the rows of S have y_i (f_i + b) = 1, the others lie
at 0 or C_i, and one symmetric system of |S| + 1 equations gives all of a and b; else the next guess of S is made from
its solution (Newton's method for a semismooth equation, which is an active-set method here). libsvm's decomposition
comes near, but its tolerance is no gap; a few of these steps reach the gap from there.

The best offset for given multipliers minimises sum C_i max(0, 1 - y_i (f_i + b)), whose slope in b starts at -sum of
the C_i with y_i = 1 and rises by C_i at each kink y_i - f_i: it is the kink where the slope passes zero.

Reference: Hintermueller, Ito and Kunisch, "The primal-dual active set strategy as a semismooth Newton method", SIAM J.
Optimization 13, 2003; Platt, 1999; Chang and Lin, "LIBSVM", 2011.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, LinAlgWarning, cho_factor, cho_solve, solve

from qed.optimization.svm.problem import Bracket, Machine, doubts, with_kernel

Array = np.ndarray
STEPS = 20
"""Newton steps from one start at most."""
PATIENCE = 6
"""Newton steps in a row that may fail to lower the gap."""
LOOSE, SMALL = 1e-5, 100
"""For a gap below the first, and with so few rows, a step costs so little that they go on while they help."""
LARGEST = 6000
"""Rows on the margin up to which the system is factored."""
RIDGE = 1e-11
"""What is added to the diagonal, in parts of its mean: the step stays defined where kernel rows are dependent."""
FEW = 8
"""Of so many columns at hand less than one is used: then it is picked out."""
EXACT = 1e-10
"""How far the equations of a step may be off, relative, if they were solved by Cholesky factors."""
KEPT = 2**25
"""Numbers of kernel columns that are kept between steps, at most (256 MB)."""
BLOCK = 2**22
"""Numbers of the kernel that are computed at a time."""


class Kernel:
    """Columns of the kernel matrix of the training rows, computed when they are needed and kept while they fit.

    Args:
        block: gives K[rows, columns] for two vectors of indices.
        size: the number of rows n.
        diagonals: K_kk for all k up to rounding, where they are known without the matrix.
        symmetric: whether the blocks are those of a matrix that is symmetric to the last bit.
    """

    def __init__(
        self,
        block: Callable[[Array, Array], Array],
        size: int,
        diagonals: Array | None = None,
        symmetric: bool = False,
    ) -> None:
        self.block, self.size, self._diagonals, self.symmetric = block, size, diagonals, symmetric
        self._slots = np.full(size, -1)
        self._kept = np.zeros((size, 0), order="F")
        self._whole = False

    def keep(self, indices: Array) -> bool:
        """Have K[:, indices] at hand; False where that is too much to keep."""
        new = indices[self._slots[indices] < 0]
        held = self._kept.shape[1]
        if self.size * (held + len(new)) > KEPT:
            return False
        if len(new):
            found = self.block(np.arange(self.size), new)
            self._kept = np.asfortranarray(found if held == 0 else np.concatenate([self._kept, found], axis=1))
            self._slots[new] = np.arange(held, held + len(new))
        return True

    def whole(self) -> Array | None:
        """The whole matrix K, of shape (n, n), or None where that is too much to keep."""
        if self.size**2 > KEPT:
            return None
        if self._kept.shape[1] < self.size:
            everything = np.arange(self.size)
            self._kept, self._slots, self._whole = self.block(everything, everything), everything, True
        return self._kept

    def square(self, indices: Array) -> Array:
        """K[indices, indices]."""
        if not self.keep(indices):
            return self.block(indices, indices)
        return self._kept[np.ix_(indices, self._slots[indices])]

    def diagonal(self, index: int) -> float:
        """One entry K_kk."""
        at = np.array([index])
        return float(self.block(at, at)[0, 0])

    @cached_property
    def diagonals(self) -> Array:
        """K_kk for all k, up to rounding."""
        if self._diagonals is not None:
            return self._diagonals
        step = 128
        parts = [np.arange(at, min(at + step, self.size)) for at in range(0, self.size, step)]
        found = np.concatenate([np.zeros(0), *(np.diag(self.block(part, part)) for part in parts)])
        worst = int(np.argmin(found)) if self.size else 0
        if self.size and found[worst] < -1e-12 * float(np.max(np.abs(found))):
            msg = f"the kernel is not positive semidefinite: of row {worst} with itself it is {found[worst]:.6g}"
            raise ValueError(msg)
        return found

    @cached_property
    def mean_diagonal(self) -> float:
        """The mean of K_kk: what one multiplier's move does to its own value; 1 where all are 0."""
        found = float(np.mean(self.diagonals)) if self.size else 0.0
        return found if found > 0 else 1.0

    def magnitudes(self, forces: Array) -> Array:
        """Bounds of |K| |forces|, since |K_ij|^2 <= K_ii K_jj of a semidefinite matrix; no column is looked at."""
        roots = np.sqrt(np.maximum(self.diagonals, 0.0)) * (1 + 1e-12)
        return roots * float(roots @ np.abs(forces)) * (1 + 1e-12)

    def apply(self, forces: Array, absolute: bool = False) -> Array:
        """K forces, of shape (n,), or |K| |forces|."""
        held = np.flatnonzero(forces)
        if self.keep(held):
            if self._whole and self.symmetric and 2 * len(held) < self.size:  # rows lie together
                rows = np.take(self._kept, held, axis=0)
                return np.abs(forces[held]) @ np.abs(rows, out=rows) if absolute else forces[held] @ rows
            if not absolute and FEW * len(held) < self._kept.shape[1]:
                return self._kept[:, self._slots[held]] @ forces[held]
            spread_out = np.zeros(self._kept.shape[1])
            spread_out[self._slots[held]] = np.abs(forces[held]) if absolute else forces[held]
            used = self._kept[:, : len(spread_out)]
            if not absolute:
                return used @ spread_out
            return _in_blocks(lambda at: np.abs(used[at]) @ spread_out, self.size, len(spread_out))
        if absolute:
            return _in_blocks(lambda at: np.abs(self.block(at, held)) @ np.abs(forces[held]), self.size, len(held))
        return _in_blocks(lambda at: self.block(at, held) @ forces[held], self.size, len(held))


def _in_blocks(part: Callable[[Array], Array], size: int, width: int) -> Array:
    """A vector computed for some of its rows at a time."""
    rows = max(1, BLOCK // max(width, 1))
    starts = range(0, size, rows)
    return np.concatenate([np.zeros(0), *(part(np.arange(at, min(at + rows, size))) for at in starts)])


@dataclass(frozen=True)
class Polished:
    """A machine, its values P and D as floating-point numbers give them, and the Newton steps that were made."""

    machine: Machine
    primal: float
    dual: float
    newton_steps: int

    @property
    def relative(self) -> float:
        """The gap in parts of the primal value."""
        return (self.primal - self.dual) / max(self.primal, 1e-300)


def offset(values: Array, signs: Array, prices: Array) -> float:
    """The best offset for given values f.

    >>> float(offset(np.array([1.0, -1.0]), np.array([1.0, -1.0]), np.array([1.0, 1.0])))
    0.0
    """
    kinks = signs - values
    order = np.argsort(kinks, kind="stable")
    risen = np.cumsum(prices[order])
    place = int(np.searchsorted(risen, float(prices[signs > 0].sum()) * (1 - 1e-12)))
    place = min(place, len(order) - 1)
    return float(kinks[order[place]])


def balanced(multipliers: Array, signs: Array, prices: Array) -> Array:
    """The multipliers, clipped to [0, C_i] and moved so that y'a = 0 but for rounding."""
    found = np.clip(multipliers, 0.0, prices)
    for _ in range(4):
        excess = float(signs @ found)
        if excess == 0.0:
            break
        room = np.where(signs * excess > 0, found, prices - found)
        room = np.where((found > 0) & (found < prices), room, 0.0) if _movable(found, prices, room, excess) else room
        share = min(1.0, abs(excess) / max(float(room.sum()), 1e-300))
        found = np.clip(found - signs * np.sign(excess) * share * room, 0.0, prices)
    return found


def _movable(found: Array, prices: Array, room: Array, excess: float) -> bool:
    return float(room[(found > 0) & (found < prices)].sum()) >= abs(excess)


def judged(kernel: Kernel, signs: Array, prices: Array, multipliers: Array, steps: int = 0) -> Polished:
    """Multipliers as they are, with the best offset, and both values."""
    found = kernel.apply(signs * multipliers)
    level = offset(found, signs, prices)
    square = float((signs * multipliers) @ found)
    primal = 0.5 * square + float(prices @ np.maximum(0.0, 1.0 - signs * (found + level)))
    return Polished(Machine(multipliers, level, found), primal, float(multipliers.sum()) - 0.5 * square, steps)


def proved(kernel: Kernel, signs: Array, prices: Array, machine: Machine, tol: float = 0.0) -> Bracket:
    """What is proved of a machine: by the diagonal of the kernel, and by all its entries where that misses tol."""
    off = doubts(kernel.magnitudes(machine.multipliers))
    found = with_kernel(signs, prices, machine, off, kernel.diagonal)
    if found.relative <= tol:
        return found
    off = doubts(kernel.apply(machine.multipliers, absolute=True))
    return with_kernel(signs, prices, machine, off, kernel.diagonal)


def polish(
    kernel: Kernel, signs: Array, prices: Array, multipliers: Array, tol: float, most: int = STEPS,
    offset: float | None = None,
) -> Polished:  # fmt: skip
    """Newton steps from multipliers until the relative gap is at most tol, or they no longer help; the best of them.

    Args:
        kernel: the kernel of the n training rows.
        signs: the labels, -1 or 1.
        prices: C_i > 0.
        multipliers: where to start, of shape (n,).
        tol: the wanted gap, in parts of the primal value.
        most: steps at most; none from a start that is far from the optimum.
        offset: that of the start, where the multipliers fit it better than y'a = 0; None for the best one.
    """
    best = judged(kernel, signs, prices, balanced(multipliers, signs, prices))
    raw, level, values, since = best.machine.multipliers, best.machine.offset, best.machine.values, 0
    if offset is not None:
        raw, level, values = multipliers, offset, kernel.apply(signs * multipliers)
    for step in range(1, most + 1):
        enough = since > 0 or tol > LOOSE or np.count_nonzero(raw) > SMALL
        if (best.relative <= tol and enough) or since >= PATIENCE:
            break
        stepped = newton(kernel, signs, prices, raw, values, level)
        if stepped is None:
            break
        raw, level = stepped
        at = judged(kernel, signs, prices, balanced(raw, signs, prices), step)
        same = np.array_equal(raw, at.machine.multipliers)
        values = at.machine.values if same else kernel.apply(signs * raw)
        best, since = (at, 0) if at.relative < best.relative else (best, since + 1)
    return best


def newton(
    kernel: Kernel, signs: Array, prices: Array, multipliers: Array, values: Array, level: float
) -> tuple[Array, float] | None:
    """One step: multipliers and offset with y (f + b) = 1 on the guessed margin; None where the system is too large."""
    wanted = multipliers + (1.0 - signs * (values + level)) / kernel.mean_diagonal
    inside = np.flatnonzero((wanted > 0.0) & (wanted < prices))
    if not 0 < len(inside) <= LARGEST:
        return None
    moved = np.where(wanted >= prices, prices, 0.0)
    moved[inside] = multipliers[inside]
    shift = kernel.apply(signs * (moved - multipliers))
    right = signs[inside] - values[inside] - shift[inside]
    found = bordered(kernel.square(inside), right, -float(signs @ moved))
    if found is None:
        return None
    size = len(inside)
    moved[inside] += signs[inside] * found[:size]
    return moved, float(found[size])


def bordered(block: Array, right: Array, last: float) -> Array | None:
    """The solution (d, b) of K d + b 1 = right, 1'd = last, with a ridge on K; None where there is none.

    By Cholesky factors of K, which is positive semidefinite, where they exist: d = K^-1 right - b K^-1 1.

    >>> bordered(np.eye(2), np.array([1.0, 3.0]), 0.0).round(6).tolist()
    [-1.0, 1.0, 2.0]
    """
    size = len(block)
    matrix, ridge = np.array(block, order="C"), RIDGE * float(np.mean(np.diag(block)))
    matrix.flat[:: size + 1] += ridge
    try:  # of the transpose, which is laid out as LAPACK wants it
        factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
        both = cho_solve(factor, np.column_stack([right, np.ones(size)]))
        level = (float(both[:, 0].sum()) - last) / float(both[:, 1].sum())
        moves = both[:, 0] - level * both[:, 1]  # cancels where K is nearly singular
        off = np.abs(block @ moves + ridge * moves + level - right).max(), abs(float(moves.sum()) - last)
        if off[0] <= EXACT * (1.0 + np.abs(right).max() + np.abs(moves).max()) and off[1] <= EXACT * (
            1.0 + np.abs(moves).sum()
        ):
            return np.append(moves, level)
    except (LinAlgError, ValueError, ZeroDivisionError):
        pass
    system = np.ones((size + 1, size + 1))
    system[:size, :size] = 0.5 * (block + block.T) + ridge * np.eye(size)
    system[size, size] = 0.0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinAlgWarning)  # the gap judges, not the condition number
            found = solve(system, np.append(right, last), assume_a="sym")
    except (LinAlgError, ValueError):
        return None
    return found if np.all(np.isfinite(found)) else None
