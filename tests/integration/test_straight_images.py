"""Images under straight lines in divergences and entropies: the member of the family, or the density moved."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import QedError
from qed.integration import measures as m
from qed.integration.straight_images import straightened

NAMED = {
    "normal": (m.Normal(0.5, 2.0), lambda x: 1 - 2 * x, ("Normal", (0.0, 4.0))),
    "student": (m.StudentT(3.0), lambda x: (x + 3) / 4, ("StudentT", (3.0, 0.75, 0.25))),
    "cauchy": (m.Cauchy(1.0, 2.0), lambda x: -(x - 1), ("Cauchy", (0.0, 2.0))),
    "laplace": (m.Laplace(), lambda x: 0.5 * x, ("Laplace", (0.0, 0.5))),
    "logistic": (m.Logistic(), lambda x: 3 * x + x, ("Logistic", (0.0, 4.0))),
    "uniform": (m.Uniform(0.0, 1.0), lambda x: 1 - 4 * x, ("Uniform", (-3.0, 1.0))),
    "exponential": (m.Exponential(3.0), lambda x: 4 * x, ("Exponential", (0.75,))),
    "gamma": (m.Gamma(2.0, 1.0), lambda x: x / 2, ("Gamma", (2.0, 2.0))),
    "half-normal": (m.HalfNormal(1.0), lambda x: 2 * x, ("HalfNormal", (2.0,))),
    "half-cauchy": (m.HalfCauchy(3.0), lambda x: 2 * x, ("HalfCauchy", (6.0,))),
    "inverse gamma": (m.InverseGamma(2.0, 3.0), lambda x: 2 * x, ("InverseGamma", (2.0, 6.0))),
    "pareto": (m.Pareto(2.0, 3.0), lambda x: 2 * x, ("Pareto", (2.0, 6.0))),
    "weibull": (m.Weibull(2.0, 3.0), lambda x: 2 * x, ("Weibull", (2.0, 6.0))),
    "twice": (m.pushforward(m.Normal(), lambda x: x + 1), lambda x: 2 * x, ("Normal", (2.0, 2.0))),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_line_makes_another_member_of_the_family_and_scipy_draws_it_alike(name):
    law, g, expected = NAMED[name]
    (part,) = straightened(m.pushforward(law, g)).parts
    assert (part.family, part.parameters) == expected
    from qed.integration.transport import quantile

    u = np.linspace(0.05, 0.95, 7)
    moved = np.sort(np.array([float(g(x)) for x in quantile(law, u)]))
    assert np.allclose(moved, quantile(m.Measure(parts=(part,)), u), rtol=1e-6)


UNKNOWN = {
    "modulus": jnp.abs, "part": lambda x: jnp.maximum(x, 0.0), "still": lambda x: 0 * x + 1, "square": jnp.square,
    "steps": jnp.floor, "whole": lambda x: x.astype(int).astype(float), "reciprocal": lambda x: 1 / x,
    "two sides": lambda x: jnp.where(x > 0, 2 * x, x), "product": lambda x: x * x, "nearly": lambda x: x + 1e-9 * x**3,
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_no_line_stays_an_image(name):
    law = m.pushforward(m.Normal(), UNKNOWN[name])
    assert straightened(law) is law
    with pytest.raises(QedError):
        qed.entropy(law)


def test_the_divergence_of_an_image_and_a_named_law():
    same = qed.kl(m.pushforward(m.Normal(), lambda x: 2 * x + 1), m.Normal(1.0, 2.0))
    assert same.proved and same.value == 0.0 and same.check()
    found = qed.kl(m.Normal(1.0, 2.0), m.pushforward(m.Normal(), lambda x: 2 * x - 1))
    assert found.proved and abs(found.value - 0.5) < 1e-12
    turned = qed.kl(m.Exponential(1.0), m.pushforward(m.Exponential(1.0), lambda x: -x))
    assert turned.proved and turned.value == math.inf and turned.check()


def test_entropies_of_images():
    shifted = qed.entropy(m.pushforward(m.Exponential(1.0), lambda x: 1 - 2 * x))
    assert shifted.proved and shifted.lower <= 1 + math.log(2) <= shifted.upper and shifted.upper - shifted.lower < 1e-8
    own = m.from_log_density(lambda x: -(x**2) / 2)
    spread = qed.entropy(m.pushforward(own, lambda x: 3 * x + 0.5))
    assert spread.proved and spread.lower <= 0.5 * math.log(2 * math.pi * math.e * 9) <= spread.upper


def test_what_float64_does_not_hold_is_no_member():
    (part,) = straightened(m.pushforward(m.Normal(0.1, 1.0), lambda x: x + 1.0)).parts
    assert part.family == ""  # 0.1 + 1 is rounded
    answer = qed.kl(m.pushforward(m.Normal(0.1, 1.0), lambda x: x + 1.0), m.Normal(2.0, 1.0))
    assert answer.proved and answer.lower <= 0.405 <= answer.upper  # not that of N(1.1, 1) to all digits
    law = m.pushforward(m.Uniform(0.1, 1.0), lambda x: x + 1.0)
    assert straightened(law) is law  # nor does it hold the end


def test_the_line_is_that_of_the_function_in_calls_and_of_float32_constants():
    third = jnp.float32(1 / 3)
    (part,) = straightened(m.pushforward(m.Normal(), jax.jit(lambda x: third * x))).parts
    assert part.parameters == (0.0, float(third))


def test_a_mixture_of_an_atom_and_an_image_beside_a_spike_and_slab():
    p = m.mixture([0.25, 0.75], [m.Dirac(0.0), m.pushforward(m.Exponential(1.0), lambda x: x / 2)])
    q = m.mixture([0.5, 0.5], [m.Dirac(0.0), m.Exponential(1.0)])
    answer = qed.kl(p, q)
    truth = 0.25 * math.log(0.5) + 0.75 * (math.log(1.5) + math.log(2) - 0.5)
    assert answer.proved and answer.lower <= truth <= answer.upper and answer.check()
