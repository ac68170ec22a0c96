"""The law of outward rounding: a bound on the right side, no further than the next number, and exact where it is exact.

Judged by exact rational arithmetic.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qed.domains import rounding_outward as ro

TINY = 2.0**-1022
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, TINY, -TINY, TINY / 2, 1e-200, 1e-154, -1e-160, 1e-290, 1.0, -1.0, 0.1, 1 / 3]
SPECIAL += [1 + 2**-52, 1 - 2**-53, 3.0, 1e16, -1e16, 2.0**500, 1e200, -1e300, 1.7976931348623157e308, 2.0**1023]
NUMBERS = st.one_of(FLOATS, st.sampled_from(SPECIAL))
OPERATIONS = {
    "add": (ro.add_down, ro.add_up, lambda a, b: a + b),
    "mul": (ro.mul_down, ro.mul_up, lambda a, b: a * b),
    "div": (ro.div_down, ro.div_up, lambda a, b: a / b),
}


def representable(exact):
    try:
        return Fraction(float(exact)) == exact
    except OverflowError:
        return False


def nearest(exact):
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def judge(down, up, exact):
    assert down == -math.inf or Fraction(down) <= exact
    assert up == math.inf or exact <= Fraction(up)
    assert not down == math.inf
    assert not up == -math.inf
    if representable(exact):
        assert down == up == float(exact)
        return
    close = nearest(exact)
    if abs(close) < 2 * TINY:
        assert -TINY <= down <= up <= 2 * TINY + TINY or -3 * TINY <= down <= up <= TINY
        assert (down >= 0) if exact > 0 else (up <= 0)
    else:
        assert down >= math.nextafter(close, -math.inf)
        assert up <= math.nextafter(close, math.inf)


def pairs(a, b):
    return np.array([a, a, b, b, -a]), np.array([b, a, b, -a, b])


@pytest.mark.parametrize("name", OPERATIONS)
@given(a=NUMBERS, b=NUMBERS)
@example(a=1.7976931348623157e308, b=1.7976931348623157e308)
@example(a=5e-324, b=0.5)
@example(a=TINY, b=1 - 2.0**-53)
@example(a=1e300, b=2.0)
def test_two_operands(name, a, b):
    down, up, exact = OPERATIONS[name]
    xs, ys = pairs(a, b)
    if name == "div":
        keep = ys != 0
        xs, ys = xs[keep], ys[keep]
    for x, y, lo, hi in zip(xs, ys, down(xs, ys), up(xs, ys), strict=True):
        judge(lo, hi, exact(Fraction(x), Fraction(y)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_pairs_of_special_numbers(name):
    down, up, exact = OPERATIONS[name]
    xs, ys = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    if name == "div":
        xs, ys = xs[ys != 0], ys[ys != 0]
    for x, y, lo, hi in zip(xs, ys, down(xs, ys), up(xs, ys), strict=True):
        judge(lo, hi, exact(Fraction(x), Fraction(y)))


@given(a=NUMBERS)
def test_square_root(a):
    a = abs(a)
    down, up = float(ro.sqrt_down(a)), float(ro.sqrt_up(a))
    assert Fraction(down) ** 2 <= Fraction(a) <= Fraction(up) ** 2
    root = math.isqrt(int(a)) if a == int(a) else None
    if root is not None and root * root == int(a) and representable(Fraction(root)):
        assert down == up == root
    assert up <= math.nextafter(down, math.inf)


@given(st.lists(NUMBERS, min_size=0, max_size=40))
@example([1.0, 1e100, 1.0, -1e100])
@example([1.7976931348623157e308] * 3)
@example([1.7976931348623157e308, 1.7976931348623157e308, -1.7976931348623157e308])
@example([5e-324] * 7)
def test_sums(xs):
    exact = sum(map(Fraction, xs), Fraction(0))
    down, up = float(ro.sum_down(np.array(xs))), float(ro.sum_up(np.array(xs)))
    assert down == -math.inf or Fraction(down) <= exact
    assert up == math.inf or exact <= Fraction(up)
    if all(abs(x) < 1e290 for x in xs) and representable(exact) and len(xs) < 3:
        assert down == up == float(exact)
    if all(x == int(x) and abs(x) < 2**40 for x in xs):
        assert down == up == float(exact)


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_partial_sums(xs):
    down, up = ro.cumsum_down(np.array(xs)), ro.cumsum_up(np.array(xs))
    total = Fraction(0)
    for x, lo, hi in zip(xs, down, up, strict=True):
        total += Fraction(x)
        assert lo == -math.inf or Fraction(lo) <= total
        assert hi == math.inf or total <= Fraction(hi)


def test_sums_are_tight_where_terms_cancel():
    rng = np.random.default_rng(0)
    xs = rng.normal(size=1000) * 10.0 ** rng.integers(-12, 12, 1000)
    exact = sum(map(Fraction, xs), Fraction(0))
    down, up = float(ro.sum_down(xs)), float(ro.sum_up(xs))
    assert Fraction(down) <= exact <= Fraction(up)
    assert up <= math.nextafter(math.nextafter(down, math.inf), math.inf)


def test_infinite_ends():
    inf = math.inf
    assert float(ro.add_down(-inf, inf)) == -inf
    assert float(ro.add_up(-inf, inf)) == inf
    assert float(ro.mul_down(0.0, inf)) == float(ro.mul_up(0.0, -inf)) == 0.0
    assert float(ro.mul_down(-2.0, inf)) == -inf
    assert float(ro.div_down(1.0, inf)) == float(ro.div_up(1.0, inf)) == 0.0
    assert float(ro.sqrt_up(inf)) == inf
    assert float(ro.sum_down(np.array([1.0, inf]))) == inf
    assert float(ro.sum_down(np.array([-inf, inf]))) == -inf
    assert float(ro.sum_up(np.array([-inf, inf]))) == inf


def test_a_step_never_ends_among_the_subnormal_numbers():
    xs = np.array([0.0, 5e-324, -5e-324, TINY, -TINY, TINY / 2, -TINY / 2])
    for moved in (ro.below(xs), ro.above(xs)):
        assert all(x == 0 or abs(x) >= TINY for x in moved)
    assert all(ro.below(xs) < xs)
    assert all(ro.above(xs) > xs)


def test_this_process_keeps_subnormal_numbers():
    assert ro.subnormals_kept()


@pytest.mark.parametrize("size", [7, 2 * ro.BLOCK + 5])
@pytest.mark.parametrize("name", OPERATIONS)
def test_long_arrays(name, size):
    """Blocks of any contents: special numbers among ordinary ones, operands that are broadcast."""
    down, up, exact = OPERATIONS[name]
    rng = np.random.default_rng(size)
    a = rng.normal(size=size) * 2.0 ** rng.integers(-30, 30, size)
    b = np.where(rng.random(size) < 0.5, rng.integers(-9, 9, size), rng.normal(size=size))
    b[b == 0] = 1.0
    places = rng.integers(0, size, 40)
    for special in (None, SPECIAL):
        if special is not None:
            a[places] = rng.choice(special, 40)
        for y in (b, b[:1]):
            lows, highs = down(a, y), up(a, y)
            assert lows.shape == highs.shape == a.shape
            wide = np.broadcast_to(y, a.shape)
            for k in [*rng.integers(0, size, 200), *places]:
                judge(lows[k], highs[k], exact(Fraction(a[k]), Fraction(wide[k])))


def test_the_step_is_to_the_next_number():
    rng = np.random.default_rng(5)
    x = rng.normal(size=4000) * 2.0 ** rng.integers(-900, 900, 4000)
    x[:200] = rng.choice([-1.0, 1.0], 200) * 2.0 ** rng.integers(-900, 1000, 200)
    x[200:400] = np.nextafter(x[:200], np.inf)
    x[400:600] = np.nextafter(x[:200], -np.inf)
    wrong = rng.random(4000) < 0.7
    np.testing.assert_array_equal(ro._stepped(x, wrong), np.where(wrong, np.nextafter(x, -np.inf), x))
    for odd in (0.0, 5e-324, -TINY, np.inf, -np.inf, -1.7976931348623157e308):
        y = np.array([1.0, odd])
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(ro._stepped(y, np.array([True, True])), ro.below(y))


@pytest.mark.parametrize("size", [3, 1000, 2 * ro.BLOCK, 5 * ro.BLOCK + 17])
def test_long_sums(size):
    rng = np.random.default_rng(size)
    for x in (
        rng.normal(size=size) * 2.0 ** rng.integers(-40, 40, size),
        rng.choice([1.0, 1e100, -1e100, 1e-300, 5e-324], size),
        rng.integers(-1000, 1000, size) / 64,
    ):
        down, up, exact = float(ro.sum_down(x)), float(ro.sum_up(x)), sum(map(Fraction, x))
        assert Fraction(down) <= exact <= Fraction(up)
        assert up <= math.nextafter(math.nextafter(down, math.inf), math.inf) or abs(up - down) < 1e-300
        if np.all(x * 64 == np.rint(x * 64)) and np.max(np.abs(x)) < 1e6:
            assert down == up == float(exact)
    rows = rng.normal(size=(3, size))
    np.testing.assert_array_equal(ro.sum_down(rows), [float(ro.sum_down(row)) for row in rows])
    np.testing.assert_array_equal(ro.sum_down(rows.T, 0), ro.sum_down(rows))
