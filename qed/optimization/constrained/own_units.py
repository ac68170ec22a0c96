"""A Hessian whose numbers are of very different units: does it bend up in each number's own?

1e8 x_0^2 + 1e-8 x_1^2 bends up in every direction, by curvatures 16 digits apart; next to the largest the smallest
looks like rounding. With D the diagonal, D^-1/2 H D^-1/2 has numbers of one size (Jacobi scaling; van der Sluis,
*Condition numbers and equilibration of matrices*, Numer. Math. 14, 1969, theorem 4.1: no other diagonal does much
better). Since what seems to be a small curvature may be rounding all the same, f itself has to rise by what it says.
"""

from __future__ import annotations

import numpy as np

from qed.optimization.constrained.polish import KKT, active_set
from qed.optimization.constrained.problem import Constrained

Array = np.ndarray
APART, LEAST, SEEN = 1e6, 1e-6, 1e-2
"""How far apart curvatures lie that are scaled; the least eigenvalue of the scaled Hessian; how exactly f follows."""


def bends_in_own_units(problem: Constrained, kkt: KKT) -> float | None:
    """The least curvature of f, where all of them are positive in units of each number; None where that is not seen.

    Asked where no constraint holds the point, so that steps to either side are feasible.
    """
    active, x = active_set(problem, kkt), kkt.seen.x
    if problem.sparse or any(len(part) for part in (active.rows, active.lower, active.upper)):
        return None
    H = problem.hessian(x, np.zeros(problem.rows))
    diagonal = np.diag(H)
    if not np.all(np.isfinite(H)) or not diagonal.min() > 0 or not diagonal.max() > APART * diagonal.min():
        return None
    root = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(H / np.outer(root, root))
    if not values[0] > LEAST:
        return None
    here = kkt.seen.f
    for value, way in zip(values, (vectors / root[:, None]).T, strict=True):
        t = np.sqrt(2e-4 * max(1.0, abs(here)) / value)  # to rise by 1e-4, far above the rounding of f
        for sign in (t, -t):
            rise = problem.values(x + sign * way)[0] - here
            if not abs(rise - value * t * t / 2) <= SEEN * value * t * t:
                return None
    return float(1.0 / np.linalg.eigvalsh(np.linalg.inv(H / np.outer(root, root)) / np.outer(root, root))[-1])
