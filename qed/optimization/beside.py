"""The critical point beside the point at which a run ended, where it is one of many.

A run ends where the gradient is within a tolerance, a little off the place that it nears. Where this is one of a whole
valley of minima, a curvature that is 0 along the valley is not 0 beside it: at the distance s it is about s times a
third derivative, positive on one side. So what the point is is asked where Newton's steps along all that bends lead.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qed.answer import Answer, Reason
from qed.optimization.point import Judged, as_tree
from qed.optimization.running import curvatures
from qed.optimization.solution import Verdict
from qed.standing import Standing

Array = np.ndarray
STEPS, NEAR, BENT = 3, 1e-6, 1e-7
"""How many steps of Newton's method; how far they may lead, relative to 1 + |x|; which curvatures, relative to the
largest, bend."""


def beside(case: Judged) -> Judged | None:
    """The case at the point to which Newton's steps across a valley lead; None where they lead off or nowhere better.

    Args:
        case: a point without bounds that is no critical point, by a gradient that rounding does not explain.
    """
    here = case.here
    for _ in range(STEPS):
        found = curvatures(case.objective, here, case.bounds)
        if found is None or not len(found[0]):
            break
        values, vectors = found
        bends = np.abs(values) > BENT * float(np.abs(values).max())
        move = vectors[:, bends] @ ((vectors[:, bends].T @ here.g) / values[bends])
        there = case.objective.at(here.x - move) if np.all(np.isfinite(move)) else here
        if not there.finite or not np.linalg.norm(there.g) < np.linalg.norm(here.g):
            break
        here = there
    far = float(np.linalg.norm(here.x - case.here.x))
    if not 0 < far <= NEAR * (1 + float(np.linalg.norm(case.here.x))):
        return None
    fun, _, args = case.asked
    return replace(case, here=here, asked=(fun, as_tree(case, here.x), args))


def placed_from(case: Judged, there: Judged, answer: Answer[Verdict]) -> Answer[Verdict]:
    """An answer about the point beside as one about the point that was asked, with how far off it is."""
    assert answer.value is not None
    far = float(np.linalg.norm(there.here.x - case.here.x))
    text = f"it was asked {far:.2g} away, where Newton's steps across what bends lead: the gradient left is " + (
        f"{float(np.abs(there.here.g).max()):.2g} instead of {case.left:.2g}"
    )
    why = Reason("Newton's steps", text=text, standing=Standing.MEASURED, unpredicted="it was observed", role="where")
    value = replace(answer.value, fun=case.here.f, gradient=case.left)
    within = f"{1.01 * far:.2e}"
    return replace(
        answer, value=value, reasons=(*answer.reasons, why),
        claim=f"of a point within {within} of the one that was asked: {answer.claim}",
        headline=f"Within {within} of this point: {answer.headline}",
    )  # fmt: skip
