"""Points, lattices and intervals, exactly."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import islice

import flint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qed.facts import BALLS, Interval, Point, Points
from qed.facts.points import rational


@given(st.integers(-(10**6), 10**6), st.integers(1, 99), st.integers(-(10**6), 10**6), st.integers(1, 99))
def test_float_enclosures_contain_the_point(a, b, c, d):
    point = Point.parse(f"{a}/{b} + {c}*pi/{d}")
    with flint.ctx.workprec(400):
        exact = flint.arb(0) + point.expression.evaluate(arithmetic=BALLS)
        assert flint.arb(point.lower) <= exact or abs(exact - point.lower) < 1e-90
        assert flint.arb(point.upper) >= exact or abs(exact - point.upper) < 1e-90
        assert abs(exact - point.value) <= abs(exact) * 2.0**-52
    assert point.upper <= math.nextafter(math.nextafter(point.lower, math.inf), math.inf)


def test_exact_points_are_not_widened():
    half = Point.parse("1/2")
    assert (half.lower, half.value, half.upper) == (0.5, 0.5, 0.5)
    third = Point.parse("1/3")
    assert third.lower < Fraction(1, 3) < third.upper


def test_equal_points_are_equal_however_written():
    assert Point.parse("-6*pi/4") == Point.parse("pi/2 - 2*pi") == next(Points.parse("pi/2 + pi*k").between(-4.8, -4))


@pytest.mark.parametrize("text", ["pi/2 + pi*k", "2*pi*k", "k", "1/2 + k", "k; k <= 0", "3*k; k >= 2"])
@pytest.mark.parametrize(("lower", "upper"), [(-10.0, 10.0), (1e6, 1e6 + 20), (0.1, 0.2), (-7.0, -7.0)])
def test_lattices_list_what_lies_between(text, lower, upper):
    points = Points.parse(text)
    lattice = points.lattice
    assert lattice is not None
    start, period = float(rational(lattice.start)), float(rational(lattice.period))
    first = -math.inf if lattice.first is None else lattice.first
    last = math.inf if lattice.last is None else lattice.last
    middle = round((lower - start) / period)
    expected = [start + k * period for k in range(middle - 30, middle + 31) if first <= k <= last]
    expected = [x for x in expected if lower <= x <= upper]
    assert [p.value for p in points.between(lower, upper)] == pytest.approx(expected)
    assert points.meets(lower, upper) == bool(expected)


def test_far_out_the_points_are_still_enclosed():
    point = next(Points.parse("pi*k").between(1e200, math.inf))
    assert 1e200 <= point.upper and point.value < 1.0000001e200


def test_unbounded_requests():
    assert Points.parse("pi*k").meets(-math.inf, 0.0) and Points.parse("k; k <= 0").meets(-math.inf, -100.5)
    assert not Points.parse("k; k >= 3").meets(-math.inf, 2.0)
    assert [p.value for p in islice(Points.parse("k").between(5.5, math.inf), 2)] == [6.0, 7.0]
    with pytest.raises(ValueError, match="no first point"):
        next(Points.parse("k").between(-math.inf, 0.0))
    with pytest.raises(TypeError, match="infinitely many"):
        iter(Points.parse("k"))


@pytest.mark.parametrize("text", ["pi/2 + pi*k", "k; k <= 0", "0, 3/2", "", "3*k; k >= 2"])
def test_points_print_what_is_read_back(text):
    points = Points.parse(text)
    assert Points.parse(str(points)) == points and bool(points) == bool(text)


@pytest.mark.parametrize("text", ["(-inf, inf)", "[0, inf)", "(-pi/2, pi/2)", "[-1, 1]"])
def test_intervals_print_what_is_read_back(text):
    assert str(Interval.parse(text)) == text


def test_membership_at_the_ends():
    half_open = Interval.parse("(0, 1]")
    assert 0.0 not in half_open and 1.0 in half_open and 5e-324 in half_open
    turn = Interval.parse("[-pi/2, pi/2]")
    assert math.pi / 2 in turn and 1.6 not in turn


@pytest.mark.parametrize("text", ["x", "inf + 1", "sin(1)"])
def test_what_is_no_point(text):
    with pytest.raises(ValueError, match="point"):
        _ = Point.parse(text).value


@pytest.mark.parametrize("text", ["0, 1", "(0, 1, 2)", "(0; 1)"])
def test_what_is_no_interval(text):
    with pytest.raises(ValueError, match="not an interval"):
        Interval.parse(text)
