"""Sums whose terms cancel beside a number: their order there, and their series on cells."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.cells import Cell
from qed.certificates.flat import series_of, zeros
from qed.domains.precision import precision
from qed.graph.trace import trace
from qed.integration import measures

U01 = measures.Uniform(0.0, 1.0)

ORDERS = {  # the sum, the number, its order, its first coefficient
    "sine": (lambda x: x - jnp.sin(x), 0.0, 3, Fraction(1, 6)),
    "tanh": (lambda x: x - jnp.tanh(x), 0.0, 3, Fraction(1, 3)),
    "log1p": (lambda x: x - jnp.log1p(x), 0.0, 2, Fraction(1, 2)),
    "exp": (lambda x: jnp.exp(x) - 1 - x, 0.0, 2, Fraction(1, 2)),
    "cosine": (lambda x: 2 - 2 * jnp.cos(x) - x * x, 0.0, 4, Fraction(-1, 12)),
    "log at 1": (lambda x: x - 1 - jnp.log(x), 1.0, 2, Fraction(1, 2)),
    "root at 1": (lambda x: jnp.sqrt(x) - (1 + x) / 2, 1.0, 2, Fraction(-1, 8)),
}


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("name", ORDERS)
def test_the_order_of_a_sum_and_its_first_coefficient(name, side):
    fun, s, order, first = ORDERS[name]
    with precision(128) as library:
        found = zeros(trace(fun, 0.5), s, side, 2.0**12)
        k, c = list(found.values())[-1]  # the whole sum is the last
        assert k == order and c.contains(library.arb(library.fmpq(first.numerator, first.denominator)))
        assert c.rad() < 1e-2


@pytest.mark.parametrize("off", [1e-30, -1e-30, 2.0**-149])
def test_a_sum_that_is_nearly_flat_is_not_flat(off):
    with precision(128):
        found = zeros(trace(lambda x: x - jnp.sin(x) + off * jnp.ones_like(x), np.float64(0.5)), 0.0, 1, 2.0**12)
        assert len(found) == 1  # x - sin x, but not the sum with the constant
        found = zeros(trace(lambda x: (x - jnp.sin(x)) - off * x, np.float64(0.5)), 0.0, 1, 2.0**12)
        assert sorted(k for k, _ in found.values()) == [3]


def test_a_coefficient_of_float32_does_not_cancel():
    third = np.float32(1) / np.float32(6)
    with precision(128):
        found = zeros(trace(lambda x: x - jnp.sin(x) - third * x**3, np.float32(0.5)), 0.0, 1, 2.0**12)
        k, c = list(found.values())[-1]
        assert k == 3 and c < 0  # float32 rounds 1 / 6 up


def test_a_sum_with_a_corner_at_the_number_is_left_as_it_is():
    with precision(128):
        assert not zeros(trace(lambda x: jnp.abs(x) - jnp.sin(x), 0.5), 0.0, 1, 2.0**12)


@pytest.mark.parametrize("cell", [(2.0**-20, 2.0**-19), (0.25, 0.5), (-0.375, -0.25), (-(2.0**-9), 2.0**-9)])
def test_the_series_on_a_cell_holds_those_at_its_points(cell):
    f = trace(lambda x: (x - jnp.sin(x)) * jnp.exp(x), 0.5)
    with precision(128, 9):
        over = series_of(f, 0, Cell(0.0, *cell), 8, "f")
        for t in np.linspace(*cell, 7):
            at = Cell(0.0, t, t).series(f, 0, 128, 8, False, "f")
            assert all(over[k].contains(at[k]) for k in range(9))
        halves = Cell(0.0, cell[0], cell[0] + (cell[1] - cell[0]) / 2)
        if cell[0] > 0:
            assert series_of(f, 0, halves, 8, "f")[0] > 0  # as it is written, not one sign is known at 2^-20


DIVERGENT = {
    "third order": (lambda x: 1 / (x - jnp.sin(x)), U01, np.inf),
    "both sides": (lambda x: 1 / (x - jnp.tanh(x)), measures.Uniform(-1.0, 1.0), np.nan),
    "second order at 1": (lambda x: 1 / (x - 1 - jnp.log(x)), measures.Uniform(0.5, 2.0), np.inf),
    "nearly flat": (lambda x: 1 / (x - jnp.sin(x) + 1e-30 * x), U01, np.inf),
}
FINITE = {  # by mpmath 1.3, 30 digits
    "third order": (lambda x: x**2.5 / (x - jnp.sin(x)), 12.12176695),
    "second order": (lambda x: x**1.5 / (jnp.exp(x) - 1 - x), 3.578754117),
    "of the numerator": (lambda x: (x - jnp.sin(x)) / x**3.5, 0.3300436706840746),
}


def _long(cases, *names):
    """The names of the cases, those that take longest marked slow."""
    return [pytest.param(name, marks=pytest.mark.slow if name in names else ()) for name in cases]


@pytest.mark.parametrize("name", _long(DIVERGENT, "second order at 1", "nearly flat"))
def test_an_integral_over_a_flat_zero_diverges(name):
    fun, law, value = DIVERGENT[name]
    answer = qed.expect(fun, law)
    assert answer.proved and (np.isnan(value) if np.isnan(answer.value) else answer.value == value)
    assert answer.check()


@pytest.mark.parametrize("name", _long(FINITE, "second order", "third order"))
def test_an_integral_over_a_flat_zero_that_is_finite(name):
    fun, value = FINITE[name]
    answer = qed.expect(fun, U01)
    assert answer.proved and answer.lower <= value * (1 + 1e-9) and answer.upper >= value * (1 - 1e-9)
    assert answer.upper - answer.lower < 1e-6 * value


def test_what_is_added_to_a_flat_zero_keeps_it_finite():
    answer = qed.expect(lambda x: 1 / (x - jnp.sin(x) + 2.0**-20), U01)
    assert answer.proved and np.isfinite(answer.upper)
