"""The cards that the laws are about: all of CARDS, and members of each family that differ in kind."""

from fractions import Fraction

from qed import facts
from qed.facts import Card


def _member(name: str, **parameters: Fraction | int) -> Card:
    found = facts.card(name, **parameters)
    assert found is not None
    return found


FAMILY_MEMBERS = (
    *(_member("integer_pow", y=y) for y in (-3, -2, -1, 0, 1, 2, 3, 4, 7)),
    *(_member("power", exponent=Fraction(text)) for text in ("1/2", "3/2", "-1/2", "-5/2", "1/3")),
    *(_member("psi", m=m) for m in (1, 2, 3)),
)
ALL = (*facts.CARDS.values(), *FAMILY_MEMBERS)


def label(card: Card) -> str:
    return card.name + "".join(f"[{value}]" for _, value in card.parameters)
