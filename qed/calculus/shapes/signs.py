"""The signs of f' and of f'' on the range of an argument, from the fact card of f.

The derivatives of the card are enclosed on the range; where an enclosure meets 0 only because it is wide, the sign
between two neighbouring bends (of f'') or turns (of f') is that at one point between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qed import facts
from qed.domains.curvature_terms import Form
from qed.domains.formulas import Formulas
from qed.domains.intervals import Intervals

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules


def signs(rules: Rules, card: facts.Card, form: Form) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Bounds of f' and of f'' on the range of the argument; None across a kink or a jump."""
    low, high = rules.a.range(form)
    if low == high:
        return (0.0, 0.0), (0.0, 0.0)
    if card.jumps and card.jumps.meets(low, high):
        return None
    if card.kinks and any(low < p.upper and p.lower < high for p in card.kinks.between(low, high)):
        return None
    key = (card.name, card.parameters, low, high)
    if key not in rules.enclosed:
        rules.enclosed[key] = _enclosed(rules, card, low, high)  # type: ignore[assignment]
    return rules.enclosed[key]  # type: ignore[return-value]


def _enclosed(rules: Rules, card: facts.Card, low: float, high: float) -> Any:
    x = Intervals(low, high)
    found = []
    try:
        y = rules.formulas.domain.image(card, x)
        for order in (1, 2):
            bound = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=rules.formulas)
            found.append((float(bound.lower), float(bound.upper)))
    except KeyError:
        return None
    if not found[1][0] >= 0 and not found[1][1] <= 0:
        found[1] = _by_bends(card, low, high, found[1], rules.formulas)
    if not found[0][0] >= 0 and not found[0][1] <= 0:
        found[0] = _by_turns(card, low, high, found[0], rules.formulas)
    return tuple(found)


def _by_bends(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas) -> Any:
    """The sign of f'' between neighbouring bends, from its sign at a point."""
    return _one_signed(card, low, high, bounds, formulas, 2)


def _by_turns(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas) -> Any:
    return _one_signed(card, low, high, bounds, formulas, 1)


def _one_signed(card: facts.Card, low: float, high: float, bounds: Any, formulas: Formulas, order: int) -> Any:
    shape = card.shape_on
    endless = any(p.lattice is not None for p in (card.bends, card.turns, card.poles, card.jumps))
    if low < shape.lower.value or high > shape.upper.value or (endless and not np.isfinite(high - low)):
        return bounds
    marks = (card.bends if order == 2 else card.turns, card.poles, card.kinks, card.jumps)
    if any(low < p.upper and p.lower < high for points in marks for p in points.between(low, high)):
        return bounds
    inside = _between(low, high)
    x = Intervals(inside, inside)
    y = formulas.domain.image(card, x)
    try:
        there = facts.derivative_of(card, order).evaluate(x=x, y=y, arithmetic=formulas)
    except KeyError:
        return bounds
    if float(there.lower) > 0:
        return 0.0, bounds[1]
    return (bounds[0], 0.0) if float(there.upper) < 0 else bounds


def _between(low: float, high: float) -> float:
    """A number well inside."""
    low, high = max(low, -1e3 if high > -1e3 else high - 1.0), min(high, 1e3 if low < 1e3 else low + 1.0)
    return float(np.clip(low / 2 + high / 2, low, high))
