"""Directions of descent guessed from gradients alone: the gradient, BFGS, and limited-memory BFGS.

Steps s = x+ - x and changes y = g+ - g satisfy y = B s for a mean Hessian B. BFGS holds its inverse H, n^2 numbers,

    H <- (I - s y'/s'y) H (I - y s'/s'y) + s s'/s'y,

L-BFGS the last m pairs, 2 m n numbers, and applies the same H by two loops (Nocedal and Wright, *Numerical
Optimization*, 2006, algorithms 6.1 and 7.4). A pair with s'y <= 0 holds no curvature and is left out. Of long vectors
fewer pairs are held, rounded to float32: whatever the pairs are, H is positive definite if s'y > 0 for those held.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from qed.optimization.pieces import add, difference, dot

Array = np.ndarray
PAIRS = 10
LONG, FEW = 100_000, 5
"""From so many numbers on vectors are long, and how many pairs of them are held, in float32: as many numbers as FEW
vectors of float64."""


class Gradient:
    """The direction -g; the step length is remembered by its last curvature s'y / s's."""

    def __init__(self) -> None:
        self.scale: float | None = None

    def apply(self, gradient: Array) -> Array:
        """H g, with H the last s's / s'y."""
        return gradient if self.scale is None else self.scale * gradient

    def learn(self, s: Array, y: Array) -> None:
        """Take in a step and the change of the gradient along it."""
        bent = float(s @ y)
        if bent > 0:
            self.scale = float(s @ s) / bent

    def between(self, before: tuple[Array, Array], after: tuple[Array, Array]) -> None:
        """Learn from two points with their gradients."""
        self.learn(after[0] - before[0], after[1] - before[1])

    def forget(self) -> None:
        """Begin again."""
        self.scale = None


class LimitedMemory(Gradient):
    """L-BFGS with m pairs.

    Example:
        >>> import numpy as np
        >>> memory = LimitedMemory(2)
        >>> memory.learn(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
        >>> memory.apply(np.array([4.0, 0.0])).tolist()
        [1.0, 0.0]
    """

    def __init__(self, m: int = PAIRS) -> None:
        super().__init__()
        self.most = m
        self.pairs: deque[tuple[Array, Array, float]] = deque()

    def apply(self, gradient: Array) -> Array:
        """H g by two loops over the pairs."""
        q, kept = gradient.copy(), []
        for s, y, rho in reversed(self.pairs):
            a = rho * dot(s, q)
            kept.append(a)
            add(q, -a, y)
        if self.pairs:
            s, y, rho = self.pairs[-1]
            q *= 1 / (rho * dot(y, y))
        for (s, y, rho), a in zip(self.pairs, reversed(kept), strict=True):
            add(q, a - rho * dot(y, q), s)
        return q

    def learn(self, s: Array, y: Array) -> None:
        """Take in a step and the change of the gradient along it."""
        bent = dot(s, y)
        if bent > 2.2e-16 * dot(y, y) and np.isfinite(1 / bent):
            if len(self.pairs) >= self.most:
                self.pairs.popleft()
            self.pairs.append((s, y, 1 / bent))

    def between(self, before: tuple[Array, Array], after: tuple[Array, Array]) -> None:
        """Learn from two points with their gradients; of long vectors without more than the pair that is held."""
        (x, g), (new_x, new_g) = before, after
        if len(x) < LONG:
            self.learn(new_x - x, new_g - g)
            return
        self.most = min(self.most, FEW)
        if len(self.pairs) >= self.most:
            self.pairs.popleft()
        self.learn(difference(new_x, x), difference(new_g, g))

    def forget(self) -> None:
        """Begin again."""
        self.pairs.clear()


class FullMemory(Gradient):
    """BFGS: the inverse as a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.inverse: Array | None = None

    def apply(self, gradient: Array) -> Array:
        """H g."""
        return gradient if self.inverse is None else self.inverse @ gradient

    def learn(self, s: Array, y: Array) -> None:
        """Take in a step and the change of the gradient along it."""
        bent = float(s @ y)
        if not bent > 2.2e-16 * float(y @ y):
            return
        if self.inverse is None:
            self.inverse = np.eye(len(s)) * (bent / float(y @ y))
        hy = self.inverse @ y
        self.inverse += (
            np.outer(s, s) * ((1 + float(y @ hy) / bent) / bent) - (np.outer(hy, s) + np.outer(s, hy)) / bent
        )

    def forget(self) -> None:
        """Begin again."""
        self.inverse = None
