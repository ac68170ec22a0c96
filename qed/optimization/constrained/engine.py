"""What the solvers that iterate have in common: how they see a problem, and what one of them ends with.

The iterations are done by well-kept solvers, each behind one function ``(problem, start, most) -> Outcome``; what they
say of themselves is kept as words and believed by nobody: the residuals are recomputed
(`qed.optimization.constrained.residuals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.residuals import Lagrange

Array = np.ndarray


class Said(StrEnum):
    """What a solver says of itself."""

    CONVERGED = "converged"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where a solver ended.

    Args:
        engine: its name.
        x: the point.
        multipliers: its own, in our signs, or None.
        said: what it says of itself, in one word; `words` in its own.
        steps: its iterations.
        outside: the first point it asked for where a value or a row is not finite, or None.
    """

    engine: str
    x: Array
    multipliers: Lagrange | None
    said: Said
    words: str
    steps: int
    outside: Array | None = None


class Callbacks:
    """A problem as a solver asks for it, value by value: what belongs to one point is computed once."""

    def __init__(self, problem: Constrained) -> None:
        self.problem = problem
        self._values: tuple[Array, tuple[float, Array]] | None = None
        self._first: tuple[Array, tuple[Array, Any]] | None = None
        self.outside: Array | None = None

    def values(self, x: Array) -> tuple[float, Array]:
        """f and c; the first point where one is not finite is kept in `outside`."""
        if self._values is None or not np.array_equal(self._values[0], x):
            found = self.problem.values(x)
            self._values = (np.array(x, np.float64), found)
            if self.outside is None and not (np.isfinite(found[0]) and np.all(np.isfinite(found[1]))):
                self.outside = np.array(x, np.float64)
        return self._values[1]

    def first(self, x: Array) -> tuple[Array, Any]:
        """The gradient of f and the Jacobian of c."""
        if self._first is None or not np.array_equal(self._first[0], x):
            self._first = (np.array(x, np.float64), self.problem.first(x))
        return self._first[1]
