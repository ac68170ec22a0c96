"""The law of named series: each row of the table is what the recurrence of the function's derivative gives, exactly."""

import math
from fractions import Fraction

import pytest

from qed.calculus.expanding.exact import Rationals
from qed.domains.series import SeriesArithmetic
from qed.facts.known_series import SERIES, power_series

ORDER = 15


@pytest.mark.parametrize("name", sorted(SERIES))
def test_every_row_is_the_series_of_its_function(name):
    arithmetic, row = SeriesArithmetic(Rationals()), SERIES[name]
    node = arithmetic.call(name, arithmetic.given([row.centre, Fraction(1)]))
    assert [node[k] or 0 for k in range(ORDER)] == [row.coefficient(k) for k in range(ORDER)]


@pytest.mark.parametrize("exponent", [Fraction(-1), Fraction(1, 2), Fraction(5, 2), Fraction(-2), Fraction(3)])
def test_powers(exponent):
    arithmetic, row = SeriesArithmetic(Rationals()), power_series(exponent)
    node = arithmetic.call("power", arithmetic.given([row.centre, Fraction(1)]), exponent=exponent)
    assert [node[k] or 0 for k in range(ORDER)] == [row.coefficient(k) for k in range(ORDER)]


@pytest.mark.parametrize("name", sorted(SERIES))
def test_the_radius_is_where_the_terms_stop_shrinking(name):
    row = SERIES[name]
    ratio = (
        abs(row.coefficient(61) / row.coefficient(59))
        if row.coefficient(61)
        else row.coefficient(62) / row.coefficient(60)
    )
    if math.isinf(row.radius):
        assert abs(ratio) < 1e-3
    else:
        assert abs(ratio) == pytest.approx(row.radius**-2, rel=0.06)
