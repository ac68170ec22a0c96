"""The linear machine by an augmented Lagrangian and Newton's method: few steps, each over the margin's rows only.

The problem min |w|^2 / 2 + sum C_i max(0, 1 - z_i . w) has the multipliers a of the hinges. For given a and s > 0 the
augmented Lagrangian is, in w, a convex and piecewise quadratic function with the gradient and (generalised) Hessian

    G(w) = w - Z' clip(p, 0, C),   p = a + s (1 - Z w),        H = I + s Z_S' Z_S,   S = {i: 0 < p_i < C_i}

so that Newton's method with an exact line search ends after finitely many steps, each at the price of the rows in S;
then a <- clip(p, 0, C), and s grows. H is factored in the smaller of its two sizes, d or |S|,
(I + s Z_S' Z_S)^-1 = I - Z_S' (I / s + Z_S Z_S')^-1 Z_S, or left to conjugate gradients where both are large, or the
rows sparse.

Many rows start where a sample of them ends: n / k rows at k times their prices have nearly the weights of all rows, for
a k-th of the work, and their last penalty s becomes s / k, for as many more rows share the curvature.

The steps are plain floating-point numbers; what is claimed of the result is proved by `problem.linear`.

Reference: Yan and Li, "An efficient augmented Lagrangian method for support vector machine", Optimization Methods and
Software 35, 2020; Niu, Wang and Yang, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg

from qed.optimization.svm.grams import squares
from qed.optimization.svm.problem import Bracket, Rows, dual, linear, values

Array = np.ndarray
DENSE = 1500
"""Systems up to this size are factored."""
SPARSE, TURNS, NEAR = 300, 100, 1e-2
"""Systems of sparse rows above this size are left to so many turns of conjugate gradients first, which mostly bring
the rest down to this part: near the end, where the penalty is large, they do not, and the system is factored."""
NEWTON = 50
"""Newton steps for one augmented Lagrangian at most."""
GROWTH = 3.0
"""What the penalty s is multiplied by."""
FIRST, LARGEST = 50.0, 1e14
"""The first penalty and the last, in parts of 1 / |z|^2, at which a row's curvature equals that of |w|^2 / 2."""
ROUNDING = 2.0**-52
FINISH = 10**8
"""Products that the last step may cost."""
LOOSE = 1e-5
"""From this tolerance on the gap is all that is asked for, and no last step is taken where it is reached."""
PART = 16
"""A sample that is solved first holds one row in so many, or one in fewer, down to `FEWEST`."""
FEWEST = 4
ROWS = 10
"""A sample has at least so many rows for each feature."""
ROUGH = 1e-2
"""The gap to which a sample is solved."""
BISECTIONS = 30
FLAT = 1e-3
"""A line search ends where the slope fell to this part of the first."""


@dataclass(frozen=True)
class Iterate:
    """Where the solver stands: weights with their margins Z w, multipliers, penalty, and the Newton steps so far."""

    weights: Array
    margins: Array
    multipliers: Array
    penalty: float
    newton_steps: int


@dataclass(frozen=True)
class Start:
    """The weights and the penalty that a solver begins with."""

    weights: Array
    penalty: float


@dataclass(frozen=True)
class Fitted:
    """The best weights and the best multipliers that were met, the last penalty, and the work that was done."""

    weights: Array
    multipliers: Array
    bracket: Bracket
    penalty: float
    outer_steps: int
    newton_steps: int


def solve(rows: Any, prices: Array, tol: float, max_iter: int) -> Fitted:
    """The linear machine to a proved relative duality gap of at most tol, if that comes within max_iter multipliers.

    Args:
        rows: Z = diag(y) X, of shape (n, d), dense or sparse (CSR).
        prices: C_i > 0, of shape (n,).
        tol: the gap, in parts of the primal value.
        max_iter: how often the multipliers are moved at most.
    """
    problem = Rows.of(rows)
    best, lowest = np.zeros(rows.shape[1]), math.inf
    held, highest = np.zeros(rows.shape[0]), -math.inf
    fitted: Fitted | None = None
    for outer, found in enumerate(iterates(rows, prices, started(rows, prices, max_iter)), start=1):
        force = rows.T @ found.multipliers
        for weights, margins in ((found.weights, found.margins), (force, rows @ force)):
            if (value := values(margins, weights, prices)) < lowest:
                best, lowest = weights, value
        if (value := dual(force, found.multipliers)) > highest:
            held, highest = found.multipliers, value
        if lowest - highest <= tol * lowest or outer >= max_iter:
            bracket = linear(problem, prices, best, held)
            fitted = Fitted(best, held, bracket, found.penalty, outer, found.newton_steps)
            if bracket.relative <= tol or outer >= max_iter:
                break
    assert fitted is not None  # the iterates have no end
    enough = tol >= LOOSE and fitted.bracket.relative <= tol
    return fitted if enough else finished(problem, prices, fitted)


def finished(problem: Rows, prices: Array, fitted: Fitted) -> Fitted:
    """The same after one more step, with the rows on the margin held there, if that lowers the gap.

    Where S and the rows at their price are right, Z_S w = 1 and w = Z'a determine w; the step solves
    Z_S Z_S' da = 1 - Z_S Z'a in the least-squares sense.
    """
    inside = np.flatnonzero((fitted.multipliers > 0.0) & (fitted.multipliers < prices))
    size, d = len(inside), problem.rows.shape[1]
    if not 0 < size * d * min(size, d) <= FINISH:
        return fitted
    margin = _dense(problem.rows[inside])
    moved = fitted.multipliers.copy()
    for _ in range(2):  # the second step takes away the rounding of the first
        try:
            shift = np.linalg.lstsq(margin, 1.0 - margin @ (problem.rows.T @ moved))[0]
            moved[inside] += np.linalg.lstsq(margin.T, shift)[0]
        except np.linalg.LinAlgError:
            return fitted
    moved = np.clip(moved, 0.0, prices)
    weights = problem.rows.T @ moved
    bracket = linear(problem, prices, weights, moved)
    if not bracket.gap < fitted.bracket.gap:
        return fitted
    steps = fitted.newton_steps + 1
    return replace(fitted, weights=weights, multipliers=moved, bracket=bracket, newton_steps=steps)


def started(rows: Any, prices: Array, max_iter: int) -> Start:
    """Where a sample of the rows ends, drawn with the seed 0; without weights, and a first penalty, for few rows."""
    n, d = rows.shape
    part = min(PART, n // (ROWS * max(d, 1)))
    if part < FEWEST:
        return Start(np.zeros(d), min(float(np.max(prices)), FIRST / max(float(np.mean(squares(rows))), 1e-300)))
    drawn = np.sort(np.random.default_rng(0).integers(n, size=n // part))
    sample = solve(rows[drawn], prices[drawn] * part, ROUGH, max_iter)
    return Start(sample.weights, sample.penalty / part)


def iterates(rows: Any, prices: Array, start: Start) -> Iterator[Iterate]:
    """The iterates of the augmented Lagrangian method, without end: whoever asks judges them and stops.

    Args:
        rows: Z = diag(y) X, of shape (n, d), dense or sparse (CSR).
        prices: C_i > 0, of shape (n,).
        start: what it begins with.
    """
    multipliers = np.zeros(len(prices))
    weights, penalty = start.weights, start.penalty
    largest = LARGEST / max(float(np.max(squares(rows))), 1e-300)
    outer = steps = 0
    first = 0.0
    while True:
        margins = rows @ weights
        for step in range(NEWTON):
            wanted = multipliers + penalty * (1.0 - margins)
            clipped = np.clip(wanted, 0.0, prices)
            gradient = weights - rows.T @ clipped
            size = float(np.linalg.norm(gradient))
            first = first if outer or step else size
            small = min(0.1 * first, 0.1 * max(1e-12, float(np.linalg.norm(weights))) * 0.3**outer)
            if size <= max(1e-10, small) and (step or outer):
                break
            inside = np.flatnonzero((wanted > 0.0) & (wanted < prices))
            direction = -newton(rows[inside], penalty, gradient)
            along = rows @ direction
            length = exact_step(weights, direction, wanted, penalty * along, along, prices)
            if length == 0.0:
                break
            weights = weights + length * direction
            margins = margins + length * along
            steps += 1
        multipliers = np.clip(multipliers + penalty * (1.0 - margins), 0.0, prices)
        yield Iterate(weights, margins, multipliers, penalty, steps)
        outer += 1
        penalty = max(min(penalty * GROWTH, largest), penalty)


def newton(rows: Any, penalty: float, gradient: Array) -> Array:
    """(I + s Z_S' Z_S)^-1 G, by the smaller of the two systems, or by conjugate gradients."""
    n, d = rows.shape
    if n == 0:
        return gradient
    large = min(n, d) > DENSE
    if large or (sparse.issparse(rows) and min(n, d) > SPARSE):
        found, near = conjugate(rows, penalty, gradient)
        if large or near:
            return found
    if d <= n:
        return solve_definite(_dense(rows.T @ rows) * penalty, 1.0, gradient)
    return gradient - rows.T @ solve_definite(_dense(rows @ rows.T), 1.0 / penalty, rows @ gradient)


def solve_definite(system: Array, shift: float, right: Array) -> Array:
    """(A + shift I)^-1 right for a semidefinite A; where rounding hides the shift, the least that keeps A definite.

    >>> np.round(solve_definite(np.eye(2), 1.0, np.array([2.0, 4.0])), 9).tolist()
    [1.0, 2.0]
    """
    room, step = 0.0, ROUNDING * float(np.trace(system))
    while True:
        shifted = system.copy()
        shifted.flat[:: len(system) + 1] += shift + room
        try:
            factor = cho_factor(shifted, overwrite_a=True, check_finite=False)
        except LinAlgError:
            room = max(10.0 * room, step)
            continue
        return cho_solve(factor, right, check_finite=False)


def _dense(matrix: Any) -> Array:
    return matrix.toarray() if sparse.issparse(matrix) else np.array(matrix)


def conjugate(rows: Any, penalty: float, right: Array) -> tuple[Array, bool]:
    """(I + s Z_S' Z_S)^-1 right by conjugate gradients, and whether it came near; an end on the way lowers phi, too.

    >>> found, near = conjugate(np.eye(2), 1.0, np.array([2.0, 4.0]))
    >>> found.tolist(), near
    ([1.0, 2.0], True)
    """
    found, missed = cg(_Hessian(rows, penalty), right, rtol=NEAR, maxiter=TURNS)
    return found, missed == 0


class _Hessian(LinearOperator):
    """v -> v + s Z_S' Z_S v."""

    def __init__(self, rows: Any, penalty: float) -> None:
        self.rows, self.penalty = rows, penalty
        super().__init__(np.float64, (rows.shape[1], rows.shape[1]))

    def _matvec(self, x: Array) -> Array:
        return x + self.penalty * (self.rows.T @ (self.rows @ x))


def exact_step(weights: Array, direction: Array, wanted: Array, rate: Array, along: Array, prices: Array) -> float:
    """The t in [0, 1] at which the slope of the piecewise quadratic function along a direction vanishes, or nearly.

    The slope is (w + t d).d - clip(p - t s Z d, 0, C).(Z d), and rises with t; t = 1 where it is not yet positive.
    """
    at, square = float(weights @ direction), float(direction @ direction)

    def slope(t: float) -> float:
        return at + t * square - float(np.clip(wanted - t * rate, 0.0, prices) @ along)

    start = slope(0.0)
    if start >= 0.0:
        return 0.0
    if slope(1.0) <= 0.0:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        found = slope(middle)
        if abs(found) <= FLAT * abs(start):
            return middle
        low, high = (middle, high) if found < 0.0 else (low, middle)
    return low if low > 0.0 else high
