"""The law of enclosures, for every operation of several numbers: the result on boxes contains the value at every point.

Sums, products, quotients, maxima and remainders are judged by exact fractions, the rest at 200 bits.
"""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qed import facts
from qed.domains import interval, intervals
from qed.domains.ball import Ball
from qed.domains.ball_ends import BallEnds, Ends
from qed.domains.balls import Balls
from qed.domains.interval import Interval
from qed.domains.intervals import Intervals
from qed.domains.precision import precision
from tests.laws.enclosure_points import boxes, exact, holds, inside

arb = flint.arb


def _remainder(x, y):
    quotient = abs(x) // abs(y) if y else None
    return None if quotient is None else (abs(x) - quotient * abs(y)) * (1 if x >= 0 else -1)


EXACT = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y if y else None,
    "max": max,
    "min": min,
    "rem": _remainder,
    "clamp": lambda low, x, high: min(max(low, x), high),
}


def _power(x, y):
    if x == 0:
        return arb(0) if y > 0 else arb(1) if y == 0 else None
    if y.denominator == 1:
        return None if abs(y) > 10**6 else _ball(x) ** int(y) if y >= 0 else 1 / _ball(x) ** int(-y)
    return _ball(x) ** _ball(y) if x > 0 else None


def _ball(x):
    return arb(flint.fmpq(x.numerator, x.denominator))


def _angle(y, x):
    return None if x == y == 0 else arb.atan2(_ball(y), _ball(x))


AT_200_BITS = {"pow": _power, "atan2": _angle}
UNDEFINED = {
    "div": lambda x, y: y == 0,
    "rem": lambda x, y: y == 0,
    "pow": lambda x, y: (x == 0 and y < 0) or (x < 0 and y.denominator != 1),
    "atan2": lambda y, x: x == y == 0,
}
NAMES = [*EXACT, *AT_200_BITS]


def operands(name):
    return 3 if name == "clamp" else 2


def within(lower, upper, value):
    if isinstance(value, arb):
        return holds(lower, upper, value)
    return (lower == -math.inf or Fraction(lower) <= value) and (upper == math.inf or value <= Fraction(upper))


def complaints(name, combine, count, seed=0):
    """What is wrong with a rule on random boxes."""
    rng = np.random.default_rng(seed)
    columns = [list(boxes(rng, count)) for _ in range(operands(name))]
    for box in zip(*columns, strict=False):
        if name == "clamp" and box[0][1] > box[2][0]:
            continue
        lower, upper, undefined = combine(name, box)
        samples = [[exact(x) for x in inside(rng, *ends, count=3)] for ends in box]
        for _ in range(24):
            point = [column[rng.integers(len(column))] for column in samples]
            if name in UNDEFINED and UNDEFINED[name](*point):
                if not undefined:
                    yield f"{name}{point} is not defined in {box} and nothing says so"
                continue
            with precision(200):
                value = (EXACT | AT_200_BITS)[name](*point)
                if value is not None and not within(lower, upper, value):
                    yield f"{name}{tuple(map(float, point))} is not in [{lower!r}, {upper!r}], box {box}"


def by_intervals(name, box):
    found = Interval().combine(name, [Intervals(*ends) for ends in box])
    return float(found.lower), float(found.upper), found.doubt.undefined is not None


def by_balls(name, box):
    if name == "pow" and max(abs(end) for ends in box for end in ends) > 1e6:
        return -math.inf, math.inf, True
    with precision(100):
        found = Ball().combine(name, [Balls.between(*ends) for ends in box])
        lower, upper = found.bounds
    return float(lower), float(upper), found.doubt.undefined is not None


@pytest.mark.parametrize("name", NAMES)
def test_intervals_contain_all_values(name, law_examples):
    assert not list(complaints(name, by_intervals, law_examples(400)))


@pytest.mark.parametrize("name", NAMES)
def test_balls_contain_all_values(name, law_examples):
    assert not list(complaints(name, by_balls, law_examples(200), seed=1))


def by_ends(name, box):
    if name == "pow" and max(abs(end) for ends in box for end in ends) > 1e6:
        return -math.inf, math.inf, True
    with precision(100):
        found = BallEnds().combine(name, [Ends.between(*ends) for ends in box])
        if found is None:
            return -math.inf, math.inf, True
        lower, upper = found.bounds
    return float(lower), float(upper), found.doubt.undefined is not None


@pytest.mark.parametrize("name", NAMES)
def test_ball_ends_contain_all_values(name, law_examples):
    assert not list(complaints(name, by_ends, law_examples(150), seed=2))


def rounded_outwards(lower, upper):
    """One rounding farther out; below the normal numbers, which a machine may flush to 0, by the smallest of these."""
    tiny = float(np.finfo(np.float64).tiny)
    return (
        min(math.nextafter(lower, -math.inf), lower - tiny if abs(lower) < tiny else math.inf),
        max(math.nextafter(upper, math.inf), upper + tiny if abs(upper) < tiny else -math.inf),
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_smaller_box_gives_no_more(name, law_examples):
    rng = np.random.default_rng(2)
    columns = [list(boxes(rng, law_examples(150))) for _ in range(operands(name))]
    for box in zip(*columns, strict=False):
        if name == "clamp" and box[0][1] > box[2][0]:
            continue
        small = [tuple(np.sort(rng.choice([*ends, *inside(rng, *ends)], 2)).tolist()) for ends in box]
        whole, part = by_intervals(name, box), by_intervals(name, small)
        if not part[2]:
            low, high = rounded_outwards(*whole[:2])
            assert low <= part[0] and part[1] <= high, (name, box, small, whole, part)
            assert part[2] <= whole[2]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
@given(a=NUMBERS, b=NUMBERS, c=NUMBERS, d=NUMBERS, s=st.floats(0, 1), t=st.floats(0, 1))
@example(a=-0.0, b=0.0, c=-1.0, d=1.0, s=0.5, t=0.5)
@example(a=5e-324, b=5e-324, c=0.5, d=0.5, s=0.0, t=0.0)
@example(a=1.7976931348623157e308, b=1.7976931348623157e308, c=2.0, d=3.0, s=1.0, t=1.0)
@example(a=-1.0, b=2.0, c=-3.0, d=0.0, s=1.0, t=0.0)
def test_arithmetic_on_any_numbers(name, a, b, c, d, s, t):
    x, y = sorted((a, b)), sorted((c, d))
    lower, upper, undefined = by_intervals(name, [x, y])
    (u, v) = (Fraction(lo) + Fraction(part) * (Fraction(hi) - Fraction(lo)) for (lo, hi), part in ((x, s), (y, t)))
    value = EXACT[name](u, v)
    assert undefined if value is None else within(lower, upper, value)
    corners = [EXACT[name](Fraction(p), Fraction(q)) for p in x for q in y]
    if not undefined and None not in corners and all(abs(corner) < 2**1000 for corner in corners):
        least = min(corners)
        if Fraction(float(least)) == least:
            assert lower == float(least), "exact results are not widened"


def test_one_object_is_one_number():
    x = Intervals(np.array([-1.0, 2.0]), np.array([3.0, 4.0]))
    same = Intervals(x.lower, x.upper)
    assert (x * x).lower.tolist() == [0.0, 4.0]
    assert (x * same).lower.tolist() == [-3.0, 4.0]
    assert (x - x).upper.tolist() == [0.0, 0.0]
    assert (x - same).upper.tolist() == [4.0, 2.0]
    assert (x / x).upper.tolist() == [1.0, 1.0]
    assert (x / x).doubt.undefined.tolist() == [True, False]


def test_infinite_constants_are_marked():
    inf, x = Intervals.point(math.inf), Intervals(-1.0, 2.0)
    assert (inf - Intervals.point(math.inf)).doubt.undefined
    assert (inf * x).doubt.undefined
    assert (inf + x).doubt.undefined is None
    assert (x / inf).doubt.undefined is None
    assert float((x / inf).upper) == 0.0
    unbounded = Intervals(-math.inf, math.inf)
    assert (unbounded - Intervals(-math.inf, math.inf)).doubt.undefined is None
    assert (unbounded * x).doubt.undefined is None
    assert Intervals.point(math.nan).doubt.undefined


# --- a wrong rule is seen --------------------------------------------------------------------------------------


def _nearest(patch):
    patch.setattr(intervals.ro, "below", lambda x: np.asarray(x))
    patch.setattr(intervals.ro, "_PHI", 0.0)


def _first_corner_only(patch):
    patch.setattr(intervals, "products", lambda al, au, bl, bu: (al * bl, au * bu))


def _no_mark_of_zero(patch):
    real = intervals.quotient
    patch.setattr(intervals, "quotient", lambda x, y: Intervals(real(x, y).lower, real(x, y).upper))


def _one_corner_of_a_power(patch):
    real = interval._corner
    patch.setattr(interval, "_corner", lambda base, exponent: real(base, np.maximum(exponent, 0.0)))


def _no_cut(patch):
    real = interval._angles
    patch.setattr(interval, "angle", lambda y, x: Intervals(real(y.lower, x.upper)[0], real(y.upper, x.upper)[1]))
    patch.setitem(interval.COMBINATIONS, "atan2", lambda y, x: interval.angle(y, x))


@pytest.mark.parametrize(
    ("name", "break_it"),
    [
        ("add", _nearest),
        ("mul", _nearest),
        ("div", _nearest),
        ("mul", _first_corner_only),
        ("div", _no_mark_of_zero),
        ("pow", _one_corner_of_a_power),
        ("atan2", _no_cut),
    ],
)
def test_a_wrong_rule_is_seen(name, break_it, monkeypatch):
    monkeypatch.setattr(interval, "COMBINATIONS", dict(interval.COMBINATIONS))
    break_it(monkeypatch)
    assert any(True for _ in complaints(name, by_intervals, 300))


def test_every_operation_is_judged_or_a_declared_gap():
    x, y = Intervals(0.5, 0.75), Intervals(1.0, 2.0)
    for name, card in facts.ARITHMETIC.items():
        operand = [x, y, Intervals(3.0, 4.0)][: len(card.arguments)]
        if name not in NAMES:
            assert Interval().combine(name, operand) is None
