"""Ratios of successive values for all k at once, beside those of single k in balls."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

from qed.certificates.cells import walked
from qed.certificates.integral_parts import value_on
from qed.domains.counts import COUNTS
from qed.domains.one_number import Undecided
from qed.domains.precision import precision
from qed.domains.successive_ratio import LAWS, SuccessiveRatio
from qed.errors import CertificateError
from qed.graph.trace import trace

FUNCTIONS = {
    "factorial": lambda k: jnp.exp(gammaln(k + 1)),
    "a quotient of factorials": lambda k: -jnp.exp(gammaln(3 * k + 0.5) - 2.5 * gammaln(k + 2) + 0.25 * k),
    "powers": lambda k: (2 * k + 3) ** (3 * k - 1) / jnp.sqrt(k - 7.5),
    "a base": lambda k: 3 * jnp.exp2(-k) * k**2 / (5 + 4 * k) ** 3 * jnp.log(2.0),
    "a logarithm": lambda k: jnp.exp(3 * jnp.log(k) - jnp.log1p(k) + jnp.log(3.0) * k),
}


def ratio_of(fun, start=8):
    with jax.enable_x64(True):
        traced = trace(fun, np.float64(0.5))
    domain = SuccessiveRatio(start)
    with precision(128):
        return traced, domain.ratio(walked(traced, domain, domain.argument(), 0, "f"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bounds_hold_the_ratios_of_single_places(name):
    traced, found = ratio_of(FUNCTIONS[name])
    with precision(128):
        for start in (8, 40):
            least, most = found.step.between(start)
            assert found.exact and least <= most
            for k in (start, start + 1, start + 9, 1000 + start):
                here, later = (value_on(traced, 0, j, j, "f") for j in (k, k + 1))
                assert (found.sign > 0) == (here > 0)
                assert least <= (later / here).upper() and most >= (later / here).lower()


@pytest.mark.parametrize(
    ("law", "parameters"), [("Poisson", (2.5,)), ("NegativeBinomial", (1.5, 0.25)), ("Geometric", (0.75,))]
)
def test_the_ratios_of_laws_are_those_of_their_masses(law, parameters):
    with precision(128) as flint:
        least, most = LAWS[law](*map(Fraction, parameters)).between(9)
        for k in (9, 10, 300):
            ratio = COUNTS[law].ratio(k, *map(flint.arb, parameters))
            assert least <= ratio.upper() and most >= ratio.lower()


def test_a_sum_is_only_bounded_from_below():
    _, found = ratio_of(lambda k: k**3 + jnp.exp(gammaln(k + 1)))
    with precision(128):
        assert not found.exact and found.step.between(8)[0] > 7.5


@pytest.mark.parametrize(
    "fun",
    [
        lambda k: jnp.exp(gammaln(k + 1)) - 2.0**k,
        lambda k: 1 / (k + jnp.exp(gammaln(k + 1))),
        lambda k: jnp.log(k) * k,
        lambda k: k - 20,
        lambda k: 0 * k,
        lambda k: jnp.exp(gammaln(k / 2)),
        lambda k: jnp.sin(k),
    ],
)
def test_what_has_no_such_ratio(fun):
    with pytest.raises((Undecided, CertificateError)):
        ratio_of(fun)
