"""Jumps and corners are found and cut: floors, remainders, signs, whole numbers; scaled Bessel functions are smooth."""

import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import special
from scipy import special as reference

import qed
from qed import measures as m
from qed.certificates.cells import Cell
from qed.domains.precision import precision
from qed.domains.tail import Tail
from qed.domains.tail_forms import Term
from qed.errors import CertificateError
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from qed.integration.breaks import breaks

E = math.e
ASKED = {
    "x mod 1": (lambda x: x % 1.0, m.Exponential(1.0), 1 - 1 / (E - 1)),
    "whole part and parity": (lambda x: x.astype(int) + jnp.floor(x) % 2, m.Exponential(1.0), 2 * E / (E * E - 1)),
    "two jumps at one place": (lambda x: jnp.sign(x**3 - x), m.Normal(), 0.0),
    "i0e": (special.i0e, m.Exponential(1.0), 1 / math.sqrt(3)),
}


@pytest.mark.parametrize("name", ASKED)
def test_jumps_are_no_hindrance_to_a_proof(name):
    fun, law, truth = ASKED[name]
    answer = qed.expect(fun, law)
    assert answer.proved and answer.upper - answer.lower < 1e-8
    assert answer.lower - 1e-12 <= truth <= answer.upper + 1e-12


def test_a_loop_tells_of_its_breaks_behind_it():
    edges = jnp.array([-1.0, 0.0, 2.0])
    traced = trace(lambda x: jnp.take(jnp.arange(4.0), jnp.searchsorted(edges, x)), np.float32(0.5))
    assert np.allclose(breaks(traced, np.zeros_like, (-5.0, 5.0)), [-1, 0, 2], atol=1e-12)
    assert breaks(trace(jnp.sin, np.float32(0.5)), np.zeros_like, (-5.0, 5.0)) == []


@pytest.mark.parametrize(
    ("fun", "known"),
    [
        (lambda x: jnp.fmod(x, 0.75), lambda x: math.fmod(x, 0.75)),
        (special.i0e, reference.i0e),
        (special.i1e, reference.i1e),
    ],
    ids=["rem", "i0e", "i1e"],
)
@pytest.mark.parametrize("place", [-9.2, -0.6, 0.2, 4.1])
def test_a_series_holds_the_function_and_its_slope(fun, known, place):
    traced = trace(fun, np.float32(0.5))
    for whole in (False, True):
        found = Cell(0.0, place - 2.0**-9, place + 2.0**-9).series(traced, 0, 128, 3, whole, "here")
        values = [known(place + step) for step in (-1e-5, 0.0, 1e-5)]
        slope = (values[2] - values[0]) / 2e-5
        for ball, number, off in ((found[0], values[1], 1e-13), (found[1], slope, 1e-8)):
            assert abs(float(ball.mid()) - number) <= float(ball.rad()) + off
    with pytest.raises(CertificateError):  # a jump, a corner
        Cell(0.0, -0.1, 0.8).series(traced, 0, 128, 3, True, "here")


@pytest.mark.parametrize("fun", [special.i0e, special.i1e])
def test_scaled_bessel_functions_keep_to_their_tails(fun):
    domain = Tail(16.0)
    with precision(128) as library:
        x = Term(library.arb(-1), Fraction(1), library.arb(0))
        traced = trace(lambda x: fun(2 * x), np.float32(0.5))
        (cell,) = Walker([domain]).run(traced.graph, [x])
        form = cell.values[0]
        assert not isinstance(form, Unknown) and form.p == Fraction(-1, 2)
        for y in (16.0, 40.0, 1e4):
            truth = getattr(reference, fun.__name__)(-2 * y) * y**0.5
            assert float(form.b.lower()) <= truth <= float(form.b.upper())
