"""Points at which a function is saturated: its floats are flat there, and it is not.

The slope has a sign in balls (qed.optimization.hidden). Where along a ray all slopes keep that sign and fade faster
than the distance grows, no minimum is attained; where f is lower along it, the point is simply no minimum.
"""

from __future__ import annotations

import math

import numpy as np

from qed.answer import Answer, Reason
from qed.optimization.bottom import at_the_bottom
from qed.optimization.hidden import ROUNDINGS, Fine, fine_gradient, hidden_gradient, looks, slope_sign
from qed.optimization.point import Judged, as_tree
from qed.optimization.running import curvatures, first_lower
from qed.optimization.solution import Ending, Verdict
from qed.standing import Standing

Array = np.ndarray
DOUBLINGS, BEYOND = 7, 16
"""Over how many doublings of a distance slopes are asked, and over how many of its quadruplings beyond."""
MORE = 3.0
"""How many digits larger its fall along a ray is to be than what a step across it brings."""
KNOWN = 0.01
"""How near the logarithm of the length of a gradient that no rounding hides is to that in balls."""
BENT = 1e-9
"""Above which part of the largest one a curvature is no rounding."""


def saturated(case: Judged, flats: list[Array]) -> Answer[Verdict] | None:
    """The answer that f falls where its floats look flat; None where balls do not say so.

    Args:
        case: the point.
        flats: directions along which it does not bend.
    """
    objective, here = case.objective, case.here
    if not case.bounds.open or not looks(objective):
        return None
    ways, fine = [], fine_gradient(objective, here.x)
    if fine is None:
        return None
    for way in [-fine.unit, *flats[:3]]:
        told = slope_sign(objective, here.x, way)
        if told is not None:
            ways.append(-told[0] * way)
    size = max(1.0, float(np.linalg.norm(here.x)))
    for way, first in ((way, first) for first in {size / 8: 0, 1 / 8: 0} for way in ways):
        found = _for_ever(case, way, first)
        if found is not None:
            return found
    hidden = hidden_gradient(objective, here)
    return None if hidden is None else _lower(case, hidden)


def _for_ever(case: Judged, way: Array, t: float) -> Answer[Verdict] | None:
    """Whether along a ray, from a distance t on, the slopes stay negative and fade faster than the distance grows."""
    logs, distances = [], []
    for k in range(DOUBLINGS):
        told = slope_sign(case.objective, case.here.x + (t if k else 0.0) * way, way)
        if told is None or told[0] > 0 or (logs and told[1] > logs[-1]):
            return None
        logs.append(told[1])
        distances.append(t if k else 0.0)
        t *= 2 if k else 1
    if not logs[-1] + math.log10(distances[-1]) < logs[1] + math.log10(distances[1]) - 0.3:
        return None
    if not _more_than_bent(case, way, logs, distances) or _rises_beyond(case, way, distances[-1]):
        return None
    text = (
        "No minimum is attained as far as was looked: f is saturated. Along a ray it falls on, with a slope of "
        f"-{_power(logs[0])} here and of -{_power(logs[-1])} at a distance of {distances[-1]:.3g}, which values in "
        f"{case.objective.function.dtype} do not show."
    )
    return case.says(Ending.INFIMUM_NOT_ATTAINED, text, _seen(logs[0]), direction=as_tree(case, way))


def _rises_beyond(case: Judged, way: Array, distance: float) -> bool:
    """Whether farther on along a ray a slope is certainly positive: the fall has an end there."""
    for k in range(1, BEYOND):
        told = slope_sign(case.objective, case.here.x + distance * 4.0**k * way, way)
        if told is not None and told[0] > 0:
            return True
    return False


def _more_than_bent(case: Judged, way: Array, logs: list[float], distances: list[float]) -> bool:
    """Whether f falls along the ray by more than a step towards the point's valley would let it fall.

    Where f does not bend along the ray, and a little is left of the slope across it, the ray may fall by that little
    alone, as scaling a vector does to a quotient of two squares: its infimum is then taken close by.
    """
    found = curvatures(case.objective, case.here, case.bounds)
    if found is None:
        return True
    (values, vectors), across = found, np.linalg.qr(np.column_stack([way, np.eye(len(way))]))[0][:, 1:]
    bends, turned = np.linalg.eigh(across.T @ (vectors * values) @ vectors.T @ across)
    size = max(1.0, float(np.linalg.norm(case.here.x)))
    seen = ROUNDINGS * case.objective.eps * max(1.0, abs(case.here.f)) / size**2
    bent = np.abs(bends) > max(seen, BENT * float(np.abs(values).max(initial=0.0)))
    along = turned[:, bent].T @ (across.T @ case.here.g)
    gain = 0.5 * float(np.sum(along**2 / np.abs(bends[bent])))
    if gain == 0.0:
        return True
    parts = [log + math.log10(b - a) for log, a, b in zip(logs[1:], distances, distances[1:], strict=False)]
    return max(parts) > math.log10(gain) + MORE


def _lower(case: Judged, fine: Fine) -> Answer[Verdict] | None:
    there = first_lower(case.objective, case.here, -fine.unit, case.noise)
    if there is None:
        return None
    bottom = at_the_bottom(case)
    if bottom is not None:
        return bottom
    move = there.x - case.here.x
    for share in (0.125, 0.25, 0.5):
        told = slope_sign(case.objective, case.here.x + share * move, -fine.unit)
        if told is None or told[0] > 0:
            return None
    own = float(np.linalg.norm(case.here.g))
    known = own > 0 and abs(math.log10(own) - fine.logarithm) < KNOWN
    why = "is small, and no rounding" if known else f"is lost to rounding in {case.objective.function.dtype}"
    text = (
        f"Not stationary: {'f still falls' if known else 'f is saturated'}. Its gradient, {_power(fine.logarithm)} "
        f"long, {why}; down it, {float(np.linalg.norm(move)):.3g} away, f is {there.f:.6g} instead of "
        f"{case.here.f:.6g}."
    )
    return case.says(Ending.NOT_STATIONARY, text, _seen(fine.logarithm), direction=as_tree(case, -fine.unit))


def _seen(logarithm: float) -> Reason:
    return Reason(
        "slopes in balls", "f'(x; d) < 0", text=f"the slope is -{_power(logarithm)}, its sign certain",
        standing=Standing.MEASURED, unpredicted="it was computed", role="because",
    )  # fmt: skip


def _power(logarithm: float) -> str:
    """A number from its logarithm, too small for a float though it may be."""
    exponent = math.floor(logarithm)
    return f"{10 ** (logarithm - exponent):.2g}e{exponent:+03d}"
