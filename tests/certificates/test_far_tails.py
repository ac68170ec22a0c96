"""Integrals over tails in which the leading terms cancel: by expansions they hold what calculus says."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import qed
from qed.certificates.far_tails import expanded_tail
from qed.domains.precision import flint, precision
from qed.domains.tail_forms import NoOrder, Term
from qed.graph.trace import trace

START = 32.0


def tail(fun, s, side, u=lambda x: 0 * x, weighted=lambda: None):
    return expanded_tail(trace(fun, 2.0), (trace(u, 2.0), 0), flint().arb(0), s, side, START, weighted, "f")


def dilogarithm(x):
    """The integral of log(1 + 1/t) / t from x on, up to x^-60."""
    return sum(((-1) ** (j + 1) / (j * j * x**j) for j in range(1, 60)), flint().arb(0))


FAR = {
    "quotients": (lambda x: 1 / jnp.abs(x) - 1 / (jnp.abs(x) + 1), lambda x: (1 + 1 / x).log()),
    "roots": (
        lambda x: (jnp.sqrt(x * x + 1) - jnp.abs(x)) / x**2,
        lambda x: (2 * x).log() - 1 + (x * x + 1).sqrt() / x - x.asinh(),
    ),
    "logarithms": (lambda x: (jnp.log(jnp.abs(x) + 1) - jnp.log(jnp.abs(x))) / jnp.abs(x), dilogarithm),
}
BESIDE = {  # of t = |x - s|, integrated from 0 to h
    "cotangents": (lambda t: 1 / jnp.tanh(t) - 1 / t, lambda h: (h.sinh() / h).log()),
    "squares": (lambda t: 1 / t**2 - 1 / jnp.sinh(t) ** 2, lambda h: h.coth() - 1 / h),
    "logarithms": (lambda t: jnp.log(t) * 2 - jnp.log(t + t * t), lambda h: h * h.log() - (1 + h) * (1 + h).log()),
}


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("side", [1, -1])
def test_far_out(name, side):
    fun, integral = FAR[name]
    with precision(128) as library:
        found = tail(fun, None, side).of_f
        assert (found - integral(library.arb(START))).contains(0) and found.rad() < 1e-25


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("s", [0.0, 0.75])
@pytest.mark.parametrize("side", [1, -1])
def test_beside_a_number(name, s, side):
    fun, integral = BESIDE[name]
    with precision(128) as library:
        found = tail(lambda x: fun(jnp.abs(x - s)), s, side).of_f
        assert (found - integral(library.arb(1) / START)).contains(0) and found.rad() < 1e-25


def test_what_diverges_is_infinite_and_of_the_sign_of_its_leading_term():
    with precision(128) as library:
        assert tail(lambda x: jnp.log(x + 1) - jnp.log(x), None, 1).of_f == library.arb.pos_inf()
        assert tail(lambda x: jnp.sqrt(x) - jnp.sqrt(x + 1), None, 1).of_f == library.arb.neg_inf()
        assert tail(lambda x: 1 / x**2 - 1 / jnp.tanh(x) ** 4, 0.0, 1).of_f == library.arb.neg_inf()


def test_a_density_that_falls_like_an_exponential_is_a_term():
    with precision(128) as library:
        density = Term(library.arb(1), Fraction(0), library.arb(-1), Fraction(1))
        found = tail(lambda x: jnp.sqrt(x * x + 1) - x, None, 1, lambda x: -x, lambda: density)
        assert found.of_f.contains(0.0153 * (-library.arb(START)).exp())
        assert abs(found.of_f).upper() < 0.0157 * (-library.arb(START)).exp()
        assert found.mass.overlaps((-library.arb(START)).exp())


@pytest.mark.parametrize(
    "fun", [lambda x: jnp.sin(x) - jnp.sin(x + 1), lambda x: jnp.exp(x) - jnp.exp(-x), lambda x: jnp.log(-x) - x]
)
def test_what_has_no_expansion_is_not_known(fun):
    with precision(128), pytest.raises(NoOrder):
        tail(fun, None, 1)


def test_data_of_which_a_part_is_picked_is_known_in_expansions():
    w = np.array([2.0, 1.0])
    answer = qed.expect(lambda x, w: (w[0] * x + w[1]) ** 2, qed.measures.Cauchy(), w)
    assert answer.proved and answer.check() and answer.value == np.inf
