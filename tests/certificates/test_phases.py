"""Tails that oscillate, phase by phase: beside closed forms in sine and cosine integrals."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import sici

from qed.certificates.cells import walked
from qed.certificates.phases import PHASES, frequency_of, over_phases
from qed.domains.precision import precision
from qed.domains.tail_forms import NoOrder, Term
from qed.graph.trace import trace

START = 64.0


def over_squares(w, c):
    """The integral of cos(w x + c) / x^2 from START on: by parts, with the sine and cosine integrals."""
    si, ci = sici(w * START)
    rest = ci * np.sin(c) + (si - np.pi / 2) * np.cos(c)  # minus the integral of sin(w x + c) / x
    return np.cos(w * START + c) / START + w * rest


@pytest.mark.parametrize(
    ("fun", "w", "truth"),
    [
        (lambda x: jnp.cos(x) / x**2, 1, over_squares(1, 0.0)),
        (lambda x: jnp.sin(3 * x + 1) / x**2, 3, over_squares(3, 1 - np.pi / 2)),
        (lambda x: jnp.sin(x) ** 2 / x**2, 1, 0.5 / START - over_squares(2, 0.0) / 2),
        (lambda x: jnp.cos(-2 * x) * jnp.cos(3 * x) / x**2, 1, over_squares(1, 0.0) / 2 + over_squares(5, 0.0) / 2),
        (lambda x: (2 + jnp.sin(jnp.cos(x) * 0 + x / 4)) / x**2, Fraction(1, 4), 2 / START
         + over_squares(0.25, -np.pi / 2)),
    ],
)  # fmt: skip
def test_a_tail_lies_in_its_ball(fun, w, truth):
    with jax.enable_x64(True):
        traced = trace(fun, np.float64(0.5))

    def forms(domain):
        x = Term(flint.arb(1), Fraction(1), flint.arb(0))
        return walked(traced, domain, x, 0, "f"), domain.fixed(flint.arb(1))

    with precision(128) as flint:
        assert frequency_of(forms, START, 128) == w
        ball = over_phases(forms, START, 128, Fraction(w))
        assert float(ball.lower()) - 1e-12 <= truth <= float(ball.upper()) + 1e-12
        period = 2 * np.pi / float(w)
        assert float(ball.rad()) < 6 * (np.pi / PHASES + period / START) / START  # without phases it is about 1 / START


def test_nothing_is_said_where_no_integral_is_known():
    with jax.enable_x64(True):
        slow, steep = (trace(f, np.float64(0.5)) for f in (lambda x: jnp.sin(x) / x, lambda x: jnp.sin(x) * jnp.exp(x)))

    def forms(domain, traced):
        x = Term(flint.arb(1), Fraction(1), flint.arb(0))
        return walked(traced, domain, x, 0, "f"), domain.fixed(flint.arb(1))

    with precision(128) as flint:
        for traced in (slow, steep):
            with pytest.raises(NoOrder):
                over_phases(lambda domain, traced=traced: forms(domain, traced), START, 128, Fraction(1))
