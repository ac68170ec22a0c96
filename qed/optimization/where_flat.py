"""A point where some curvatures are zero: a minimum, a saddle or a fall, by derivatives of higher order and by values.

`qed.critical_point` names the directions that do not bend; f is asked along them, on curves beside them, and far out.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from qed.answer import Answer
from qed.calculus.hessian import flatten
from qed.calculus.points.case import Case
from qed.calculus.points.corners import NONE, without_hessian
from qed.calculus.spectra.products import SMALL
from qed.certificates.overall_point import OverallPoint
from qed.graph.trace import is_float
from qed.optimization.across import falls_across, falls_along
from qed.optimization.edges import in_steps
from qed.optimization.higher import by_higher, overall
from qed.optimization.in_float64 import falls_in_float64, in_short_numbers, lower_in_float64
from qed.optimization.objective import Seen
from qed.optimization.point import (
    Judged,
    as_tree,
    constant,
    fall_for_ever,
    jumped,
    ways,
)
from qed.optimization.running import curvatures
from qed.optimization.saturation import saturated
from qed.optimization.solution import Ending, Verdict

Array = np.ndarray
STEEP = 0.1
"""From which part of f on, up to its inverse, the slope times the size of x is what f itself is made of."""


def where_flat(case: Judged, part: Answer[Any]) -> Answer[Verdict]:
    """The verdict on a point where some curvatures are zero up to rounding; `part` is that of critical_point."""
    point: Any = part.value
    assert point is not None
    nature = "" if point.moving else point.nature
    flats = [flatten([leaf for leaf in jax.tree.leaves(d.vector) if is_float(leaf)]) for d in point.directions]
    higher = by_higher(case, part, nature, flats)
    if higher is not None:
        return higher
    if nature != "minimum" or not part.proved:
        found = fall_for_ever(case, case.here, [sign * v for v in flats for sign in (1.0, -1.0)])
        found = fall_for_ever(case, case.here, ways(case, None)) if found is None else found
        if found is not None:
            return found
    beside_it = falls_across(case, flats) if not nature and not point.moving else None
    curved = nature == "neither" or beside_it is not None
    steps = in_steps(case, flats) if nature in ("", "neither") else None
    if steps is not None:
        return steps
    along_it = falls_along(case, flats) if nature in ("", "neither") else None
    if curved or along_it is not None:
        along = "on a curve beside" if curved else "along"
        way = next((v for v in (along_it, beside_it, *flats) if v is not None), None)
        many = f"{len(flats)} directions do not bend, and {along} one of them"
        text = f"Not a minimum: {many if len(flats) != 1 else f'one direction does not bend, and {along} it'} f falls."
        return case.says(Ending.SADDLE, text, parts=(part,), direction=None if way is None else as_tree(case, way))
    if nature == "maximum":
        return case.says(Ending.MAXIMUM, "A maximum, by derivatives of higher order.", parts=(part,))
    names = "; ".join(d.named() for d in point.directions[:3])
    if nature != "minimum":
        away = falls_in_float64(case, flats)
        away = saturated(case, flats) if away is None else away
        away = lower_in_float64(case) if away is None else away
        away = jumped(case, 0.0, {}) if away is None else away
        if away is not None:
            return away
    steep = None if part.proved else _steep(case)
    if steep is not None:
        return steep
    if nature == "minimum" or not point.negative:
        sure = "" if nature == "minimum" else " as far as was looked"
        sure = ", and f is convex, so that no point is lower" if point.everywhere else sure
        names = names or "some direction"
        text = f"A flat minimum{sure}: f does not bend along {names}."
        if any(d.why for d in point.directions):
            text = f"A flat minimum{sure}: f is determined and x is not, f does not bend along {names}."
        elif point.strict:
            text = f"A flat minimum, and a strict one{sure}: f rises by derivatives of higher order along {names}."
        text = constant(case, int(point.flat)) or text
        answer = case.says(Ending.FLAT_MINIMUM, text, parts=(part,))
        return overall(answer, part) if isinstance(part.certificate, OverallPoint) else answer
    return case.unknown(Ending.UNDECIDED, "Undecided: some curvatures are zero up to rounding.", "higher derivatives")


def rough(case: Judged) -> Answer[Verdict] | None:
    """The answer at a tie whose zero curvatures are of that point only: x^2 (2 + sin(1/x)) is not flat at 0.

    Where the Hessian jumps, as that of max(x, 0)^2, those on one side may be zero, and f flat there.
    """
    if len(case.here.x) > SMALL:
        return None
    fun, _, args = case.asked
    why = without_hessian(Case(fun, as_tree(case, case.here.x), args, case.read()))
    if not why or why.startswith(NONE):
        return None
    return case.unknown(Ending.UNDECIDED, f"Undecided: {why}.", "a point off the tie")


def _steep(case: Judged) -> Answer[Verdict] | None:
    """The answer where f is as large as its slope times |x|: no minimum, though slope and curvatures are rounding.

    Near a minimum |g| |x| is rounding beside the terms of f, or, where these cancel, much larger than f. A run that
    falls along a ray for ever comes to numbers so large that the sums in which f bends are rounding, with its slope and
    its curvatures. The part of the slope along what does not bend, in short numbers, may be that ray.
    """
    x, g = case.here.x, case.here.g
    fall = float(np.linalg.norm(g)) * (1 + float(np.linalg.norm(x)))
    size = abs(case.here.f)
    if not case.bounds.open or size < 1 or not STEEP * size < fall < size / STEEP:
        return None
    ways = [_unbent(case, at) for at in (case.start, case.here) if at is not None]
    short = in_short_numbers([way for way in ways if way is not None])
    away = None if case.start is None else fall_for_ever(case, case.start, short)
    away = fall_for_ever(case, case.here, short) if away is None else away
    if away is not None:
        return away
    far = float(np.linalg.norm(x))
    text = f"Undecided: at {far:.3g} from 0 the slope is rounding, and over such a distance f may fall by {fall:.3g}."
    return case.unknown(Ending.UNDECIDED, text, "more digits, or a start from which x stays smaller")


def _unbent(case: Judged, at: Seen) -> Array | None:
    """Down the slope here, without what the curvatures at a point bend."""
    found = curvatures(case.objective, at, case.bounds)
    if found is None:
        return None
    values, vectors = found
    bent = vectors[:, np.abs(values) > 8 * len(values) * case.objective.eps * np.abs(values).max(initial=0.0)]
    return bent @ (bent.T @ case.here.g) - case.here.g
