"""The signs of f' and of f'' on an interval, from the fact card of f.

The derivatives of the card are enclosed on the interval; where an enclosure meets 0 only because it is wide, the sign
between two neighbouring bends (of f'') or turns (of f') is that at one point between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qed import facts
from qed.domains.formulas import Formulas
from qed.domains.intervals import Intervals

Bounds = tuple[tuple[float, float], tuple[float, float]]


def signs_between(card: facts.Card, low: float, high: float, formulas: Formulas) -> Bounds | None:
    """Bounds of f' and of f'' on [low, high]; None across a kink or a jump, or where no derivative is known.

    >>> from qed import facts
    >>> from qed.domains.card_signs import signs_between
    >>> from qed.domains.formulas import Formulas
    >>> from qed.domains.interval import Interval
    >>> (least, _), (low, high) = signs_between(facts.card("tanh"), 0.0, 3.0, Formulas(Interval()))
    >>> least >= 0, high <= 0, signs_between(facts.card("abs"), -1.0, 1.0, Formulas(Interval()))
    (True, True, None)
    """
    if low == high:
        return (0.0, 0.0), (0.0, 0.0)
    if card.jumps and card.jumps.meets(low, high):
        return None
    if card.kinks and any(low < p.upper and p.lower < high for p in card.kinks.between(low, high)):
        return None
    x = Intervals(low, high)
    found = []
    try:
        y = formulas.domain.image(card, x)
        for order in (1, 2):
            bound = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=formulas)
            found.append((float(bound.lower), float(bound.upper)))
    except KeyError:
        return None
    for order, places in ((2, card.bends), (1, card.turns)):
        if not found[order - 1][0] >= 0 and not found[order - 1][1] <= 0:
            found[order - 1] = _one_signed(card, places, (low, high), found[order - 1], formulas, order)
    return found[0], found[1]


def _one_signed(
    card: facts.Card, places: Any, between: tuple[float, float], bounds: Any, formulas: Formulas, order: int
) -> Any:
    """The sign of a derivative between neighbouring places where it changes, from its sign at a point."""
    low, high = between
    shape = card.shape_on
    endless = any(p.lattice is not None for p in (card.bends, card.turns, card.poles, card.jumps))
    if low < shape.lower.value or high > shape.upper.value or (endless and not np.isfinite(high - low)):
        return bounds
    marks = (places, card.poles, card.kinks, card.jumps)
    if any(low < p.upper and p.lower < high for points in marks for p in points.between(low, high)):
        return bounds
    inside = _inside(low, high)
    x = Intervals(inside, inside)
    y = formulas.domain.image(card, x)
    try:
        there = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=formulas)
    except KeyError:
        return bounds
    if float(there.lower) > 0:
        return 0.0, bounds[1]
    return (bounds[0], 0.0) if float(there.upper) < 0 else bounds


def _inside(low: float, high: float) -> float:
    """A number well inside."""
    low, high = max(low, -1e3 if high > -1e3 else high - 1.0), min(high, 1e3 if low < 1e3 else low + 1.0)
    return float(np.clip(low / 2 + high / 2, low, high))
