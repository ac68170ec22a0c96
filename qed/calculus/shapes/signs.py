"""The signs of f' and of f'' on the range of an argument, each enclosed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qed import facts
from qed.domains.card_signs import Bounds, signs_between
from qed.domains.curvature_terms import Form

if TYPE_CHECKING:
    from qed.calculus.shapes.rules import Rules


def signs(rules: Rules, card: facts.Card, form: Form) -> Bounds | None:
    """Bounds of f' and of f'' on the range of the argument; None across a kink or a jump."""
    low, high = rules.a.range(form)
    key = (card.name, card.parameters, low, high)
    if key not in rules.enclosed:
        rules.enclosed[key] = signs_between(card, low, high, rules.formulas)
    return rules.enclosed[key]
