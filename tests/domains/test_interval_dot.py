"""Sums of products of wide intervals hold the exact ones, hardly wider; exact and narrow sums are left alone."""

from fractions import Fraction

import numpy as np
import pytest

from qed.domains.doubt import Doubt
from qed.domains.interval import Interval
from qed.domains.interval_dot import dot_of_wide
from qed.domains.intervals import Intervals

RNG = np.random.default_rng(0)


def random_pair(count):
    scale = 2.0 ** RNG.integers(-40, 40, (2, count))
    low = RNG.normal(size=(2, count)) * scale
    high = low + np.abs(RNG.normal(size=(2, count))) * scale * 2.0 ** RNG.integers(-12, 3)
    return [Intervals(a, b) for a, b in zip(low, high, strict=True)]


def exact(x, y):
    ends = [[Fraction(float(v)) for v in end] for end in (x.lower, x.upper, y.lower, y.upper)]
    products = [[p * q for p in (a, b) for q in (c, d)] for a, b, c, d in zip(*ends, strict=True)]
    return sum(map(min, products)), sum(map(max, products))


def test_they_hold_the_exact_sums_and_are_hardly_wider():
    found = 0
    for _ in range(100):
        x, y = random_pair(int(RNG.integers(64, 70)))
        low, high = exact(x, y)
        sum_ = dot_of_wide(x, y)
        if sum_ is None:
            continue
        found += 1
        assert Fraction(float(sum_.lower)) <= low and high <= Fraction(float(sum_.upper))
        assert float(sum_.upper - sum_.lower) <= float(high - low) * (1 + 1e-5)
    assert found > 80


def test_matrices_in_parts_are_those_of_single_sums():
    a, b = (RNG.normal(size=shape) for shape in ((2, 5, 9000), (2, 9000, 3)))
    x, y = Intervals(a, a + 0.5), Intervals(b, b + 0.25)
    whole = Interval().contract(x, y)
    careful = (x.map(lambda e: e[0, 1]) * y.map(lambda e: e[0, :, 2])).sum(0)
    assert whole.shape == (2, 5, 3)
    assert whole.lower[0, 1, 2] <= careful.lower and careful.upper <= whole.upper[0, 1, 2]
    assert whole.upper[0, 1, 2] - whole.lower[0, 1, 2] <= (careful.upper - careful.lower) * (1 + 1e-5)


@pytest.mark.parametrize(
    ("low", "high"), [([2.0], [2.0]), ([-np.inf], [1.0]), ([1e200], [1e201]), ([1.0], [1.0 + 2.0**-50])]
)
def test_narrow_infinite_and_overflowing_sums_are_left_alone(low, high):
    x, y = (Intervals(np.repeat(low, 64), np.repeat(high, 64)) for _ in range(2))
    assert dot_of_wide(x, y) is None
    unit = Intervals(np.zeros(64), np.ones(64))
    assert dot_of_wide(unit, Intervals(np.zeros(64), np.ones(64))) is not None
    assert dot_of_wide(Intervals(np.zeros(64), np.ones(64), Doubt(np.ones(64, bool))), unit) is None


def test_what_is_narrow_stays_exact_beside_what_is_wide():
    low = np.array([np.full(64, 3.0), np.zeros(64)])
    found = dot_of_wide(Intervals(low, low + np.array([[0.0], [1.0]])), Intervals.point(np.full(64, 2.0)))
    assert (float(found.lower[0]), float(found.upper[0])) == (384.0, 384.0)
    assert found.lower[1] < 0 and 128 < found.upper[1] < 128.0001


def test_a_point_keeps_its_exact_product():
    x = Intervals.point(np.array([[3.0, 0.1]]))
    found = Interval().contract(x, Intervals.point(np.array([[2.0], [0.0]])))
    assert float(found.lower[0, 0]) == float(found.upper[0, 0]) == 6.0
