"""Every single mistake in a card is noticed: thousands of wrong cards, each differing from a true one in one fact.

A mutant is caught if the functions that judge the true cards complain about it. The mutants that are no mistakes are
listed, with the reason.
"""

from __future__ import annotations

from collections import Counter

import pytest

from qed.facts import ARITHMETIC
from tests.laws import arithmetic_checks, card_mutants
from tests.laws.card_checks import complaints
from tests.laws.card_lists import ALL, label
from tests.laws.card_mutants import mutants

EQUIVALENT = {
    "bessel_i1e": "sign(y)",  # f has the sign of x
    "rem": "-sign(x*y)",  # a product has the sign of the quotient
    "clamp": "else 1/1000000",  # chosen only where lower >= upper, outside the domain
}
LEAST = {"derivative": 1, "range": 2, "limits": 6, "domain": 2, "parity": 2, "log": 3, "turns": 1, "bends": 1}
"""How many mutants of each field there must be at least, for every card: no field is left out."""


def survivors(card):
    """Return the mutants that nobody complains about, and how many there were of each field."""
    alive, made = [], Counter()
    for field, what, wrong in mutants(card):
        made[field] += 1
        if EQUIVALENT.get(card.name, "\0") not in what and next(complaints(wrong, field), None) is None:
            alive.append(f"{field} {what}")
    return alive, made


@pytest.mark.parametrize("card", ALL, ids=label)
def test_every_mistake_in_a_card_is_noticed(card):
    alive, made = survivors(card)
    assert alive == []
    assert all(made[field] >= least for field, least in LEAST.items())


def test_there_are_thousands_of_mutants():
    assert sum(1 for card in ALL for _ in mutants(card)) > 2700
    assert sum(1 for card in ARITHMETIC.values() for _ in arithmetic_checks.mutants(card)) > 350


@pytest.mark.slow
@pytest.mark.parametrize("card", ALL, ids=label)
def test_mistakes_of_one_in_a_billion_are_noticed(card, monkeypatch):
    monkeypatch.setattr(card_mutants, "SLIGHTLY", card_mutants.SLIGHTLY / 1000)
    alive, _ = survivors(card)
    assert alive == []


@pytest.mark.parametrize("name", [name for name in ARITHMETIC if name not in arithmetic_checks.NO_BALLS])
def test_every_mistake_in_an_arithmetic_card_is_noticed(name):
    wrong = [
        what
        for what, mutant in arithmetic_checks.mutants(ARITHMETIC[name])
        if next(arithmetic_checks.complaints(mutant), None) is None and EQUIVALENT.get(name, "\0") not in what
    ]
    assert wrong == []
