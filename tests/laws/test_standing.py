"""The laws of `combine`: a chain of standings, its meet, and never more said than is known."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.standing import Standing, combine

standings = st.sampled_from(list(Standing))


def leq(a: Standing, b: Standing) -> bool:
    """The order that the meet defines."""
    return combine(a, b) is a


@given(standings, standings, standings)
def test_combine_is_a_meet(a: Standing, b: Standing, c: Standing) -> None:
    assert combine(a, a) is a
    assert combine(a, b) is combine(b, a)
    assert combine(a, combine(b, c)) is combine(combine(a, b), c) is combine(a, b, c)
    assert combine(a, Standing.PROVED) is a
    assert combine(a, Standing.REFUTED) is Standing.REFUTED
    assert leq(combine(a, b), a) and leq(combine(a, b), b)
    if leq(c, a) and leq(c, b):
        assert leq(c, combine(a, b))


def test_the_order_is_the_chain() -> None:
    chain = [Standing.REFUTED, Standing.UNKNOWN, Standing.MEASURED, Standing.PROVED]
    for (i, a), (j, b) in itertools.product(enumerate(chain), repeat=2):
        assert leq(a, b) == (i <= j) == (a.strength <= b.strength)


@given(st.lists(standings), st.booleans())
def test_measured_never_becomes_proved(premises: list[Standing], one_way: bool) -> None:
    proved = combine(*premises, one_way=one_way) is Standing.PROVED
    assert proved == all(premise is Standing.PROVED for premise in premises)


@given(st.lists(standings), standings, standings)
def test_a_weaker_premise_never_strengthens(premises: list[Standing], a: Standing, b: Standing) -> None:
    weaker, stronger = sorted((a, b), key=lambda standing: standing.strength)
    for one_way in (False, True):
        low, high = (combine(*premises, x, one_way=one_way) for x in (weaker, stronger))
        assert low.strength <= high.strength


def possible_truths(standing: Standing) -> set[bool]:
    """What the standing leaves open; a measurement is evidence, it rules nothing out."""
    return {Standing.PROVED: {True}, Standing.REFUTED: {False}}.get(standing, {True, False})


@given(st.lists(standings, max_size=6))
def test_sound_for_every_world(premises: list[Standing]) -> None:
    """In each world that the premises leave open, what is said of the conclusion holds."""
    for world in itertools.product(*(sorted(possible_truths(premise)) for premise in premises)):
        assert all(world) in possible_truths(combine(*premises))
        # a one-way rule: the conclusion is true where all premises are, and anything elsewhere
        conclusions = {True} if all(world) else {True, False}
        assert conclusions <= possible_truths(combine(*premises, one_way=True)) | {all(world)}


@given(st.lists(standings, max_size=6))
def test_one_way_rules_never_refute(premises: list[Standing]) -> None:
    combined = combine(*premises, one_way=True)
    assert combined is not Standing.REFUTED
    if Standing.REFUTED in premises:
        assert combined is Standing.UNKNOWN


def test_texts_are_standings_and_others_are_not() -> None:
    assert combine("MEASURED", "PROVED") == "MEASURED"
    assert combine() is Standing.PROVED
    with pytest.raises(ValueError, match="TRIED"):
        combine("TRIED")
