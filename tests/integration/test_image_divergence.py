"""The divergence of images under one map: that of the laws before it where it is one to one, refused elsewhere."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.errors import CertificateError, QedError
from qed.integration import measures as m

ONE_TO_ONE = {
    "exp": (m.Normal(), m.Normal(1.0, 2.0), jnp.exp, math.log(2) + 0.25 - 0.5),
    "affine of exp": (m.Normal(), m.Normal(0.5, 1.0), lambda x: 1 - 3 * jnp.exp(-2 * x), 0.125),
    "square": (m.Gamma(2.0, 1.0), m.Exponential(1.0), jnp.square, 1 - np.euler_gamma),
    "near": (m.Normal(), m.Normal(1e-8, 1.0), jnp.sinh, 5e-17),
    "apart": (m.Uniform(0.0, 2.0), m.Uniform(0.0, 1.0), jnp.sqrt, math.inf),
}


@pytest.mark.parametrize("name", ONE_TO_ONE)
def test_a_map_that_is_one_to_one_changes_no_divergence(name):
    p, q, g, truth = ONE_TO_ONE[name]
    answer = qed.kl(m.pushforward(p, g), m.pushforward(q, g))
    assert answer.proved and answer.check()
    assert answer.value == truth or abs(answer.value - truth) < 1e-9 * truth
    assert str(answer.subject).startswith("KL(") and "the law under" not in f"{answer.claim} {answer.headline}"


@pytest.mark.slow
def test_a_law_without_a_map_beside_one_that_is_an_image():
    answer = qed.kl(
        m.mixture([0.5, 0.5], [m.pushforward(m.Normal(), jnp.exp), m.LogNormal(2.0, 1.0)]), m.LogNormal(1.0, 2.0)
    )
    assert answer.proved and 0.1063163 < answer.lower <= answer.upper < 0.1063164


@pytest.mark.parametrize("g", [jnp.square, jnp.sin, jnp.floor, jnp.arctanh, lambda x: x - jnp.tanh(x)])
def test_the_divergence_of_images_under_other_maps_is_refused(g):
    with pytest.raises(QedError):
        qed.kl(m.pushforward(m.Normal(), g), m.pushforward(m.Normal(1.0, 1.0), g))


def test_altered_divergences_of_images_are_refused():
    certificate = qed.kl(m.pushforward(m.Normal(), jnp.tanh), m.pushforward(m.Normal(0.5, 1.0), jnp.tanh)).certificate
    with pytest.raises(CertificateError):
        replace(certificate, upper=0.1, lower=0.05).sealed().verify()
    inner = certificate.subject.fun
    other = replace(certificate.subject, fun=lambda x: (*inner(x)[:-1], x * x))
    with pytest.raises(CertificateError):
        type(certificate).made(other, base=certificate.base, lower=certificate.lower, upper=certificate.upper).verify()


@pytest.mark.parametrize("g", [lambda k: 2 * k + 1, jnp.sqrt, lambda k: jnp.exp(-k)], ids=["line", "root", "falling"])
def test_laws_on_whole_numbers_under_one_map_are_as_far_apart_as_before(g):
    p, q = (m.pushforward(m.Poisson(rate), g) for rate in (2.0, 3.5))
    answer, before = qed.kl(p, q), qed.kl(m.Poisson(2.0), m.Poisson(3.5))
    assert answer.proved and answer.check() and (answer.lower, answer.upper) == (before.lower, before.upper)
    infinite = qed.kl(m.pushforward(m.Geometric(0.5), g), m.pushforward(m.Binomial(300, 0.5), g))
    assert infinite.proved and infinite.value == math.inf


def test_a_map_that_puts_whole_numbers_together_is_not_undone():
    with pytest.raises(QedError, match="is not known"):
        qed.kl(*(m.pushforward(m.Poisson(rate), lambda k: (k - 1) ** 2) for rate in (2.0, 3.0)))
