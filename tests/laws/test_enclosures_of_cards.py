"""The law of enclosures, for every card: the range on a box contains the value at every point of it.

Judged at 200 bits. A box on which the function is not defined throughout is marked; a smaller box gives no more.
"""

import math

import flint
import numpy as np
import pytest

from qed import facts
from qed.domains import hull
from qed.domains.ball import Ball
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.balls import Balls
from qed.domains.doubt import Doubt
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.precision import precision
from tests.laws.card_lists import ALL, label
from tests.laws.enclosure_points import boxes, holds, inside, special_places

arb = flint.arb
SLOW_VALUES = {"bessel_i0e", "bessel_i1e", "digamma", "lgamma", "psi", "erf_inv"}
BIG = 2.0**40


def sampled(card, count, seed=0):
    rng = np.random.default_rng(seed)
    places = special_places(card)
    for low, high in boxes(rng, count, places):
        points = [x for x in inside(rng, low, high, places) if abs(x) <= BIG or card.name not in SLOW_VALUES]
        points = [x for x in points if not (card.name in ("sinh", "cosh", "bessel_i0e") and abs(x) > 1e5)]
        yield low, high, points


def value(card, x):
    with precision(200):
        return card.ball(arb(x))


def defined(card, x):
    """Whether the function is defined at a float64 number, none of which is an irrational pole."""
    lattice = card.poles.lattice
    irrational = lattice is not None and "pi" in lattice.period.symbols
    return x in card.domain and (irrational or not card.poles.meets(x, x))


def complaints(card, image, count, seed=0):
    """What is wrong with a rule on random boxes."""
    for low, high, points in sampled(card, count, seed):
        lower, upper, undefined = image(card, low, high)
        assert lower <= upper
        if not undefined and max(abs(low), abs(high)) < 1e6:
            hit = next((p for p in card.poles.between(low, high) if low < p.lower and p.upper < high), None)
            if hit is not None:
                yield f"{label(card)} has a pole at {hit} in [{low!r}, {high!r}] and nothing says so"
        for x in points:
            if not defined(card, x):
                if not undefined:
                    yield f"{label(card)} is not defined at {x!r} in [{low!r}, {high!r}] and nothing says so"
                continue
            if not holds(lower, upper, value(card, x)):
                yield f"{label(card)}({x!r}) is not in [{lower!r}, {upper!r}], box [{low!r}, {high!r}]"


def by_intervals(card, low, high):
    found = Interval().image(card, Intervals(low, high))
    return float(found.lower), float(found.upper), found.doubt.undefined is not None


def by_balls(card, low, high):
    with precision(100):
        found = Ball().image(card, Balls.between(low, high))
        lower, upper = found.bounds
    return float(lower), float(upper), found.doubt.undefined is not None


def by_ends(card, low, high):
    with precision(100):
        found = BallEnds().image(card, Ends.between(low, high))
        lower, upper = found.bounds
    return float(lower), float(upper), found.doubt.undefined is not None


def balls_can(card, low, high):
    """Balls of huge exponents take python-flint ages in these; intervals do not ask for them."""
    far = max(abs(low), abs(high))
    return not (far > 1e5 and card.name in ("sinh", "cosh", "tanh", "bessel_i0e", "bessel_i1e"))


@pytest.mark.parametrize("card", ALL, ids=label)
def test_intervals_contain_all_values(card, law_examples):
    assert not list(complaints(card, by_intervals, law_examples(60)))


@pytest.mark.parametrize("card", ALL, ids=label)
def test_balls_contain_all_values(card, law_examples):
    def image(c, low, high):
        return by_balls(c, low, high) if balls_can(c, low, high) else (-math.inf, math.inf, True)

    assert not list(complaints(card, image, law_examples(40), seed=1))


@pytest.mark.parametrize("card", ALL, ids=label)
def test_ball_ends_contain_all_values(card, law_examples):
    def image(c, low, high):
        return by_ends(c, low, high) if balls_can(c, low, high) else (-math.inf, math.inf, True)

    assert not list(complaints(card, image, law_examples(18), seed=5))


@pytest.mark.parametrize("card", ALL, ids=label)
def test_a_smaller_box_gives_no_more_but_for_the_last_place(card, law_examples):
    rng = np.random.default_rng(2)
    for low, high, points in sampled(card, law_examples(24), seed=3):
        whole = by_intervals(card, low, high)
        for _ in range(2):
            a, b = np.sort(rng.choice([low, high, *points], 2))
            if not (card.domain.lower.value <= b and a <= card.domain.upper.value):
                continue
            lower, upper, undefined = by_intervals(card, float(a), float(b))
            below, above = math.nextafter(whole[0], -math.inf), math.nextafter(whole[1], math.inf)
            assert undefined <= whole[2] and (undefined or (below <= lower and upper <= above)), (low, high, a, b)


@pytest.mark.parametrize("card", ALL, ids=label)
def test_an_array_of_boxes_is_each_box(card):
    found = [(low, high) for low, high, _ in sampled(card, 24, seed=4)][:18]
    lower, upper = np.array(found).T.reshape(2, 3, 6)
    together = Interval().image(card, Intervals(lower, upper))
    assert list(zip(together.lower.ravel().tolist(), together.upper.ravel().tolist(), strict=True)) == [
        by_intervals(card, low, high)[:2] for low, high in found
    ]


@pytest.mark.parametrize(
    ("name", "low", "high", "lower", "upper"),
    [
        ("sin", 0.0, math.pi, 0.0, 1.0),
        ("cos", -1.0, 1.0, 0.5403023058681397, 1.0),
        ("cos", 3.0, 3.5, -1.0, -0.9364566872907963),
        ("exp", -math.inf, 0.0, 0.0, 1.0),
        ("cosh", -1.0, 2.0, 1.0, 3.7621956910836314),
        ("tan", -1.0, 1.0, -1.5574077246549023, 1.5574077246549023),
        ("sqrt", 4.0, 9.0, 2.0, 3.0),
        ("log", 1.0, math.inf, 0.0, math.inf),
        ("floor", -1.5, 2.5, -2.0, 2.0),
        ("round", 0.5, 1.5, 0.0, 2.0),
        ("tanh", -math.inf, math.inf, -1.0, 1.0),
        ("square", -3.0, 2.0, 0.0, 9.0),
        ("abs", -3.0, 2.0, 0.0, 3.0),
        ("lgamma", 1.0, 2.0, -0.12148629053584961, 0.0),
    ],
)
def test_ranges_are_as_tight_as_float64_allows(name, low, high, lower, upper):
    found = by_intervals(facts.card(name), low, high)
    assert found[0] == pytest.approx(lower, rel=1e-15, abs=1e-15)
    assert found[1] == pytest.approx(upper, rel=1e-15, abs=1e-15)
    assert not found[2]


def test_infinite_constants_have_their_limits():
    inf = Intervals.point(np.array([-math.inf, math.inf]))
    exp = Interval().image(facts.card("exp"), inf)
    assert exp.lower.tolist() == [0.0, math.inf]
    assert exp.doubt.infinite.tolist() == [False, True]
    assert Interval().image(facts.card("tanh"), inf).upper.tolist() == [-1.0, 1.0]
    assert Interval().image(facts.card("sin"), inf).doubt.undefined.all()
    assert Interval().image(facts.card("log"), inf).doubt.undefined.tolist() == [True, False]
    unbounded = Intervals(-math.inf, math.inf)
    assert Interval().image(facts.card("sin"), unbounded).doubt.undefined is None


# --- a wrong rule is seen --------------------------------------------------------------------------------------


def _mutant_without_turns(card, low, high):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hull, "_turns", lambda *_: iter(()))
        found = hull.image(card, Intervals(low, high))
    return float(found.lower), float(found.upper), found.doubt.undefined is not None


def _mutant_without_poles(card, low, high):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hull, "poles_meet", lambda c, a, b: np.zeros(a.shape, bool))
        found = hull.image(card, Intervals(low, high))
    return float(found.lower), float(found.upper), found.doubt.undefined is not None


def _mutant_of_numpy(card, low, high):
    with np.errstate(all="ignore"):
        a, b = float(card.numpy(low)), float(card.numpy(high))
    if not (a <= b):
        a, b = -math.inf, math.inf
    return a, b, True


def _mutant_without_marks(card, low, high):
    lower, upper, _ = by_intervals(card, low, high)
    return lower, upper, False


MUTANTS = [
    *((_mutant_without_turns, name) for name in ("sin", "cos", "cosh", "lgamma", "bessel_i0e", "bessel_i1e")),
    (_mutant_without_poles, "tan"),
    *((_mutant_of_numpy, name) for name in ("exp", "log", "log1p", "tanh", "erf", "atan", "lgamma", "digamma")),
    *((_mutant_without_marks, name) for name in ("log", "sqrt", "rsqrt", "acos", "atanh", "tan", "digamma")),
]


@pytest.mark.parametrize(("mutant", "name"), MUTANTS, ids=lambda x: x if isinstance(x, str) else x.__name__[8:])
def test_a_wrong_rule_is_seen(mutant, name):
    assert any(True for _ in complaints(facts.card(name), mutant, 120))


def test_doubt_keeps_the_first_place():
    assert Doubt().place is None
