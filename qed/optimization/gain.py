"""What f can still fall by, where parameters are of so different units that no eigenvalue of H itself tells.

Whether H is positive definite does not depend on units: by Sylvester's law of inertia it is if and only if

    C = D H D,   D = diag(H_ii)^(-1/2),

is, whose diagonal is 1. Among matrices scaled by a diagonal C has a condition number within a factor n of the least
(van der Sluis, *Condition numbers and equilibration of matrices*, Numer. Math. 14, 1969). The quadratic model then lets
f fall by g'H^-1 g / 2 = (Dg)' C^-1 (Dg) / 2.

A curvature that is 0 as a real number is computed as one far below the others, of any sign, of which these units would
make a 1. So H is had again at numbers that differ from x in their last places, and C may not change by much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qed.answer import Answer, Reason
from qed.calculus.points.words import all_curvatures
from qed.optimization.point import Judged, jumped
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
NEAR = 1e-3
"""How far away, relative to 1 + |x|, the least point of the model may be."""
ROUGH = 1e-6
"""Above which the least eigenvalue of C is no rounding, where H was had by differences of gradients."""
LAST_PLACES = 2.0
"""By so many unit roundoffs of itself each number is changed to see which curvatures are rounding."""
SHARE = 0.25
"""The change of C, beside its least eigenvalue, that is none."""


@dataclass(frozen=True, eq=False)
class Gain:
    """The step to the least point of the quadratic model, -H^-1 g.

    Args:
        move: the step.
        fall: by how much the model is lower there.
        least: the least eigenvalue of C, positive.
    """

    move: Array
    fall: float
    least: float


def near_by(case: Judged, ends: dict[str, Any]) -> Answer[Verdict] | None:
    """The answer at a point beside which the scaled model has its least point: a minimum, or only its value is known.

    None where the model is not definite, or where what it lets f fall by is above the noise and a step does not
    confirm it.
    """
    gain = scaled_gain(case)
    if gain is None:
        return None
    length, near = float(np.linalg.norm(gain.move)), 1 + float(np.linalg.norm(case.here.x))
    surely = f"in units in which each parameter bends by 1 {all_curvatures(len(gain.move))} at least {gain.least:.2g}"
    model = f"by the quadratic model f can fall by {gain.fall:.2g}, and its values are rounded by {case.noise:.2g}"
    if gain.fall <= case.noise and length > 1e-5 * near:
        text = f"The noise floor: {surely}; {model}, while x may still move by {length:.2g}."
        return case.says(Ending.NOISE_FLOOR, text, **dict[str, Any](ends | {"decrease": gain.fall}))
    there = arrives(case, gain) if gain.fall > case.noise else gain.fall
    if length > NEAR * near or there is None:
        return None
    if (jump := jumped(case, gain.fall, ends)) is not None:
        return jump
    more = ()
    if gain.fall > case.noise:
        text = f"a step of the model lowers f by {there:.3g}, and the slope is gone"
        more = (Reason("the model's step", "g'H^-1 g/2", text=text, predicted=gain.fall, observed=there,
                       standing=Standing.MEASURED),)  # fmt: skip
    text = f"A minimum, about {length:.2g} away: {surely}; {model}."
    return case.says(Ending.MINIMUM, text, *more, **dict[str, Any](ends | {"decrease": gain.fall}))


def scaled_gain(case: Judged) -> Gain | None:
    """What the model lets f fall by, without bounds; None where C is not positive definite beyond its rounding."""
    matrix = case.objective.dense(case.here.x)
    diagonal = matrix.diagonal()
    if not np.all(np.isfinite(matrix)) or not np.all(diagonal > 0) or not case.objective.bends(case.here.x):
        return None
    units = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(matrix * units[:, None] * units[None, :])
    surely = case.rounding(len(values)) if case.objective.computes(case.here.x) else ROUGH
    if not values[0] > surely * values[-1]:
        return None
    for sign in (1, -1):
        places = np.where(np.arange(len(units)) % 2, -sign, sign) * LAST_PLACES * case.objective.eps
        change = units[:, None] * (case.objective.dense(case.here.x * (1 + places)) - matrix) * units[None, :]
        if not np.linalg.norm(change) <= SHARE * values[0]:
            return None
    move = -units * (vectors @ ((vectors.T @ (units * case.here.g)) / values))
    return Gain(move, -0.5 * float(case.here.g @ move), float(values[0]))


def arrives(case: Judged, gain: Gain) -> float | None:
    """By how much f falls along the model's step; None if not by what it says, to a tenth, or a slope is left there.

    Nor where H is not definite there, as on the way to a saddle.
    """
    there = case.objective.at(case.bounds.project(case.here.x + gain.move))
    if not there.finite:
        return None
    fell = case.here.f - there.f
    right = abs(fell - gain.fall) <= 0.1 * gain.fall + 2 * case.noise
    if not (right and float(np.linalg.norm(there.g)) <= 0.1 * float(np.linalg.norm(case.here.g))):
        return None
    return None if scaled_gain(replace(case, here=there)) is None else fell
