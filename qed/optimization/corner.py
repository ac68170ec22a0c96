"""A point that bounds hold with no force: what f does into the box, where out of it it would fall.

x^2 + 3 x y + y^2 bends down along (1, -1), which leads out of the box x, y >= 0 from its corner; into it f only rises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed.answer import Answer
from qed.optimization.cone import least_on_cone
from qed.optimization.point import Judged, as_tree, falls
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray


def in_the_corner(case: Judged, held: Array) -> Answer[Verdict] | None:
    """The answer where bounds without force decide how f bends; None where none are, or they do not decide.

    Args:
        case: a point of the box whose free parameters bend down somewhere.
        held: which parameters bounds hold by force.
    """
    here, box = case.here, case.bounds
    weak = ~held & ((here.x <= box.lower) | (here.x >= box.upper))
    if not np.any(weak) or case.left > 1e-8 * max(1.0, abs(here.f)):
        return None
    matrix = case.objective.matrix(here.x)
    matrix = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
    unit, size = np.eye(len(here.x)), float(np.abs(matrix).max(initial=0.0))
    if not np.isfinite(size):
        return None
    inward = np.where(here.x <= box.lower, 1.0, -1.0)[weak, None] * unit[weak]
    zero = max(1e-8, case.rounding(len(here.x))) * size
    found = least_on_cone(matrix, unit[held], inward, zero)
    if found is None or abs(found.curvature) <= zero:
        return None
    ends: dict[str, Any] = {"lowest": found.curvature} if np.isfinite(found.curvature) else {}
    count = int(np.sum(weak))
    if found.curvature > 0:
        text = (
            f"A minimum in the box: {of_bounds(int(held.sum()))}"
            f"{count} parameter{'s stand at bounds' if count > 1 else ' stands at a bound'} with no force, and along "
            "all directions into the box f bends up" + (f", by {found.curvature:.3g} at least." if ends else ".")
        )
        return None if falls(case, [found.vector] if ends else []) else case.says(Ending.MINIMUM, text, **ends)
    if not falls(case, [found.vector]):
        return None
    way = case.named(found.vector)
    text = f"Not a minimum: into the box, along {way}, f falls, with a curvature of {found.curvature:.3g}."
    return case.says(Ending.SADDLE, text, direction=as_tree(case, found.vector), **ends)


def of_bounds(count: int) -> str:
    """The clause about the parameters that bounds hold by force; empty where there is none.

    >>> of_bounds(0), of_bounds(1)
    ('', '1 parameter is held by bounds, and ')
    """
    return "" if not count else f"{count} parameter{'s are' if count > 1 else ' is'} held by bounds, and "
