"""Increments enclose what they say: g(k) and g(k + 1) - g(k) at whole numbers beyond K, for functions of all kinds."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaln

from qed.certificates.certificate import placed
from qed.domains.counts import COUNTS, later
from qed.domains.increments import Increments
from qed.domains.precision import precision
from qed.graph.trace import trace
from qed.graph.walk import Unknown, Walker
from qed.integration.quadrature import vectorised

FUNCTIONS = [
    lambda k: k * jnp.log(3.0) - gammaln(k + 1),
    lambda k: -0.5 * ((k - 3.0) / 2) ** 2,
    lambda k: -2 * jnp.log(k),
    lambda k: -k * jnp.log1p(k),
    lambda k: -jnp.exp(k / 64) + k**3,
    lambda k: jnp.where(k > 5, -k, 0.0) - jnp.square(k),
    lambda k: gammaln(k + 2.5) - gammaln(k + 1) - 0.25 * k,
    lambda k: jnp.log(k * k + 1) / 3 - (-k) * 0.125,
]


@pytest.mark.parametrize("fun", FUNCTIONS)
def test_enclosures_hold_at_whole_numbers(fun):
    traced = trace(fun, np.float32(0.5))
    for start in (8, 100):
        domain = Increments(start)
        with precision(128):
            found = Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0]
        k = start + np.arange(0.0, 300.0, 7.0)
        f = vectorised(traced, 0)
        values, after = f(k), f(k + 1)
        slack = 1e-12 * np.max(np.abs(values))
        assert float(found.value.lower) - slack <= values.min() and values.max() <= float(found.value.upper) + slack
        steps = after - values
        assert float(found.change.lower) - slack <= steps.min() and steps.max() <= float(found.change.upper) + slack


@pytest.mark.parametrize("fun", [jnp.sin, lambda k: jnp.floor(k), lambda k: 1 / (k - 50), lambda k: jnp.log(k - 50)])
def test_what_has_no_rule_is_unknown(fun):
    traced = trace(fun, np.float32(0.5))
    domain = Increments(8)
    assert isinstance(Walker([domain]).run(traced.graph, placed(traced, [domain.argument()]))[0].values[0], Unknown)


@pytest.mark.parametrize("name", COUNTS)
def test_masses_have_their_ratios(name):
    parameters = {"Binomial": (40.0, 0.25), "NegativeBinomial": (0.5, 0.25), "Poisson": (3.0,)}.get(name, (0.25,))
    named = COUNTS[name]
    with precision(128) as flint:
        balls = tuple(map(flint.arb, parameters))
        masses = [named.mass(k, *balls) for k in range(40)]
        for k in range(39):
            ratio = masses[k + 1] / masses[k]
            assert ratio.overlaps(named.ratio(k, *balls))
            for start in range(0, k, 7):
                least, most = later(name, start, parameters)
                assert not (ratio < least or ratio > most)
        whole = sum(masses, flint.arb(0))
        assert abs(float(whole) - 1) < (1e-4 if name != "NegativeBinomial" else 1e-3)
