"""Divergences of densities that are written by the user: where one is 0 on an interval, jumps, or has a pole."""

import math

import jax.numpy as jnp
import pytest

import qed
from qed.integration.measures import Exponential, Normal, Uniform, Weibull, from_log_density, mixture

UNIT = Uniform(0.0, 1.0)


@pytest.mark.parametrize("wide", [pytest.param(0.1, marks=pytest.mark.slow), 1e-7])
def test_where_q_is_0_on_a_set_of_positive_length_the_divergence_is_infinite(wide):
    q = from_log_density(lambda x: jnp.where(jnp.abs(x - 0.6) < wide, -jnp.inf, 0.0 * x), 0.0, 1.0)
    answer = qed.kl(UNIT, q)
    assert answer.proved and answer.value == math.inf and answer.check()
    assert abs(answer.findings[0].witness["lower"] - 0.6) < wide


@pytest.mark.slow
def test_at_one_number_q_may_be_0():
    q = from_log_density(lambda x: jnp.log(jnp.abs(x - 0.4)), 0.0, 1.0)
    answer = qed.kl(UNIT, q)
    meant = math.log(0.26) - (0.4 * math.log(0.4) + 0.6 * math.log(0.6) - 1)
    assert answer.proved and answer.lower <= meant <= answer.upper
    assert qed.kl(UNIT, from_log_density(lambda x: -1 / jnp.abs(x - 0.4), 0.0, 1.0)).value == math.inf


@pytest.mark.slow
def test_a_density_that_ends_inside_another_is_a_cut():
    p, q = Uniform(0.0, 3.0), mixture([0.25, 0.75], [Uniform(0.0, 1.0), Uniform(1.0, 3.0)])
    answer = qed.kl(p, q)
    meant = math.log(4 / 3) / 3 + 2 / 3 * math.log(8 / 9)
    assert answer.proved and answer.lower <= meant <= answer.upper < meant + 1e-8


def test_no_divergence_is_negative():
    answer = qed.kl(Weibull(1.0, 0.25), Exponential(4.0))
    assert answer.proved and answer.lower == 0 <= answer.upper < 1e-100


@pytest.mark.slow
def test_the_divergence_of_one_law_in_two_forms_is_at_most_tiny():
    answer = qed.kl(from_log_density(lambda x: 0 * x + 3.0, 0.0, 2.0), Uniform(0.0, 2.0))
    assert answer.proved and answer.lower == 0 <= answer.upper < 1e-9


@pytest.mark.slow
def test_members_that_are_far_apart_lose_no_digits():
    answer = qed.kl(Normal(0.0, 2.0**-30), Normal(0.0, 2.0**30))
    meant = 60 * math.log(2) - 0.5
    assert answer.proved and answer.lower <= meant + 1e-14 and meant - 1e-14 <= answer.upper < meant + 1e-13
