"""A KKT point that some constraints hold with no force: the second-order test along what they allow to one side."""

from __future__ import annotations

import numpy as np

from qed.optimization.constrained.curvature import on_the_cone
from qed.optimization.constrained.nearby import NEAR, bent_down, lower_nearby
from qed.optimization.constrained.portfolio import Solved
from qed.optimization.constrained.problem import Constrained
from qed.optimization.constrained.told import Told
from qed.optimization.solution import Ending


def one_sided(problem: Constrained, best: Solved, held: str) -> Told | None:
    """The words where constraints hold the point with no force, by how L bends along what they allow to one side."""
    assert best.curvature is not None
    found = on_the_cone(problem, best.kkt, best.curvature.zero)
    if found is None:
        return None
    if found.curvature > best.curvature.zero:
        least = "" if found.curvature == np.inf else f", by {found.curvature:.3g} at least,"
        text = (
            f"A minimum under the constraints: {held}, and the Lagrangian bends up{least} along all that they allow, "
            "though some hold the point with no force."
        )
        return Told(Ending.MINIMUM, text)
    if not found.curvature < -best.curvature.zero:
        return None
    lower = bent_down(problem, best.kkt, found.vector, found.curvature)
    lower = lower_nearby(problem, best.kkt, found.vector, NEAR) if lower is None else lower
    if lower is None:
        return None
    text = (
        f"Not a minimum: {held}, but along a direction that constraints without force allow the Lagrangian bends down "
        f"({found.curvature:.3g}), and nearby a feasible point is {best.kkt.seen.f - lower[1]:.3g} lower."
    )
    return Told(Ending.SADDLE, text, direction=found.vector)
