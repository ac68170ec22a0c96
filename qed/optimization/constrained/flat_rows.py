"""Lower points that only the tolerance of a row allows.

A row like x0^3 = 0 is off by 1e-10 where x0 is 5e-4: within what counts as feasible, and where f = -x0^2 is lower by
2e-7. It is no feasible point. So a lower point is put back onto the constraints to a ten thousandth of the violation;
where f rises most of the way back, it was the tolerance that let it be lower.
"""

from __future__ import annotations

import numpy as np

from qed.optimization.constrained.nearby import allowed, lower_nearby, violated
from qed.optimization.constrained.polish import KKT
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
TIGHT = 1e-4
"""By how much less the constraints are to be violated."""
KEPT = 0.5
"""Which part of the fall has to stay."""


def surely_lower_nearby(problem: Constrained, kkt: KKT, vector: Array) -> bool:
    """Whether a feasible point near a KKT point is lower, and not by the tolerance of the constraints alone."""
    found = lower_nearby(problem, kkt, vector)
    if found is None:
        return False
    x, f = found
    off = violated(problem, problem.values(x)[1])
    if problem.sparse or off == 0.0:
        return True
    points = allowed(problem, x, TIGHT * off)
    return any(kkt.seen.f - problem.values(point)[0] >= KEPT * (kkt.seen.f - f) for point in points)
