"""Local minima by compiled descent: only candidates, each of which is then evaluated rigorously.

L-BFGS-B (Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995) in SciPy, with value and gradient of the graph
compiled in float64.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from qed.calculus.bounding.boxes import OnBoxes
from qed.domains.widened import Widened, compiled, widen

Array = np.ndarray


class Descent:
    """Local descent from points of a box."""

    def __init__(self, function: OnBoxes, lower: Array, upper: Array) -> None:
        traced = function.traced
        self.function, self.lower, self.upper = function, lower, upper
        self.broken = False

        def value(parameters: Any) -> Any:
            inputs = list(traced.leaves)
            for position, array in zip(traced.free, parameters, strict=True):
                inputs[position] = array
            return Widened()(traced.graph, [widen(x) for x in inputs])[0]

        self._value_and_slope = compiled(jax.value_and_grad(value))

    def __call__(self, start: Array) -> Array | None:
        """A point where descent from `start` ended, within the box; None where it cannot be followed."""
        if self.broken:
            return None
        from scipy.optimize import minimize

        ends = zip(self.lower, self.upper, strict=True)
        finite = [tuple(end if np.isfinite(end) else None for end in pair) for pair in ends]
        try:
            with np.errstate(all="ignore"):
                found = minimize(self._of, start, jac=True, method="L-BFGS-B", bounds=finite, options={"maxiter": 200})
        except Exception:  # whatever the user's function raises in float64: descent is a convenience
            self.broken = True
            return None
        x = np.clip(np.asarray(found.x, np.float64), self.lower, self.upper)
        return x if np.all(np.isfinite(x)) else None

    def _of(self, x: Array) -> tuple[float, Array]:
        parameters = tuple(leaf[0] for leaf in self.function.leaves(x[None]))
        value, slopes = self._value_and_slope(parameters)
        slope = np.concatenate([np.ravel(s) for s in slopes]).astype(np.float64)
        if not np.isfinite(value) or not np.all(np.isfinite(slope)):
            return 1e300, np.zeros_like(slope)
        return float(value), slope
