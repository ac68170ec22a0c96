"""Directions of descent guessed from gradients alone: the gradient, BFGS, and limited-memory BFGS.

Steps s = x+ - x and changes y = g+ - g satisfy y = B s for a mean Hessian B. BFGS holds its inverse H, n^2 numbers,

    H <- (I - s y'/s'y) H (I - y s'/s'y) + s s'/s'y,

L-BFGS the last m pairs, 2 m n numbers, and applies the same H by two loops (Nocedal and Wright, *Numerical
Optimization*, 2006, algorithms 6.1 and 7.4). A pair with s'y <= 0 holds no curvature and is left out.
"""

from __future__ import annotations

from collections import deque

import numpy as np

Array = np.ndarray


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

    def __init__(self, m: int = 10) -> None:
        super().__init__()
        self.pairs: deque[tuple[Array, Array, float]] = deque(maxlen=m)

    def apply(self, gradient: Array) -> Array:
        """H g by two loops over the pairs."""
        q, kept = gradient.copy(), []
        for s, y, rho in reversed(self.pairs):
            a = rho * float(s @ q)
            kept.append(a)
            q -= a * y
        if self.pairs:
            s, y, rho = self.pairs[-1]
            q *= 1 / (rho * float(y @ y))
        for (s, y, rho), a in zip(self.pairs, reversed(kept), strict=True):
            q += (a - rho * float(y @ q)) * s
        return q

    def learn(self, s: Array, y: Array) -> None:
        """Take in a step and the change of the gradient along it."""
        bent = float(s @ y)
        if bent > 2.2e-16 * float(y @ y) and np.isfinite(1 / bent):
            self.pairs.append((s, y, 1 / bent))

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
