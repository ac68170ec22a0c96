"""Products of measures: their factors, their quantile maps, and what is refused."""

import math

import numpy as np
import pytest
from scipy import stats

import qed
from qed.errors import QedError
from qed.integration import measures as m
from qed.integration.transport import QUANTILES, quantile

U = (np.arange(4096) + 0.5) / 4096
LAWS = {
    "Beta": ((2.0, 3.0), stats.beta(2.0, 3.0)),
    "Cauchy": ((0.5, 2.0), stats.cauchy(0.5, 2.0)),
    "Exponential": ((1.5,), stats.expon(scale=1 / 1.5)),
    "Gamma": ((2.5, 2.0), stats.gamma(2.5, scale=0.5)),
    "Laplace": ((0.25, 0.75), stats.laplace(0.25, 0.75)),
    "Normal": ((0.5, 1.5), stats.norm(0.5, 1.5)),
    "StudentT": ((5.0, 0.5, 2.0), stats.t(5.0, 0.5, 2.0)),
    "Uniform": ((0.25, 0.75), stats.uniform(0.25, 0.5)),
    "HalfCauchy": ((1.5,), stats.halfcauchy(scale=1.5)),
    "HalfNormal": ((1.5,), stats.halfnorm(scale=1.5)),
    "InverseGamma": ((3.5, 2.0), stats.invgamma(3.5, scale=2.0)),
    "LogNormal": ((0.25, 0.5), stats.lognorm(0.5, scale=math.exp(0.25))),
    "Logistic": ((0.25, 0.75), stats.logistic(0.25, 0.75)),
    "Pareto": ((4.5, 0.5), stats.pareto(4.5, scale=0.5)),
    "Weibull": ((2.5, 1.5), stats.weibull_min(2.5, scale=1.5)),
}


@pytest.mark.parametrize("name", QUANTILES)
def test_quantiles_are_those_of_scipy(name):
    parameters, law = LAWS[name]
    assert np.allclose(quantile(getattr(m, name)(*parameters), U), law.ppf(U), rtol=1e-9, atol=1e-12)


def test_a_mixture_is_carried_onto_its_parts():
    law = m.mixture([0.25, 0.25, 0.5], [m.Dirac(2.0), m.Uniform(-1.0, 1.0), m.Normal(5.0)])
    x = quantile(law, U)
    assert np.mean(x == 2.0) == 0.25 and np.mean(x < 2.0) == pytest.approx(0.25 + 0.5 * stats.norm.cdf(-3.0), abs=1e-3)
    assert quantile(m.Normal(), [0.0, 1.0]).tolist() == [-math.inf, math.inf]


def test_factors_of_products_are_one_list():
    both = m.product(m.Normal(), m.power(m.Uniform(), 2), m.Dirac(3.0))
    assert [str(one) for one in both.factors] == ["Normal(0, 1)", "Uniform(0, 1)", "Uniform(0, 1)", "Dirac(3)"]
    assert both.dimension == 4 and both.probability and both.mass == 1.0
    points = both.sample(4096, seed=3)
    assert points.shape == (4096, 4) and np.all(points[:, 3] == 3.0) and abs(points[:, 0].mean()) < 0.1
    low, high = both.ends
    assert low.tolist() == [-math.inf, 0.0, 0.0, 3.0] and high.tolist() == [math.inf, 1.0, 1.0, 3.0]


def test_boxes_of_lebesgue_and_uniform():
    box = m.Lebesgue([0.0, -1.0], [2.0, 3.0])
    assert box.mass == 8.0 and not box.probability and box.quantiles([[0.5, 0.25]]).tolist() == [[1.0, 0.0]]
    assert m.Uniform(0.0, [1.0, 2.0]).probability and m.Lebesgue([0.0, 0.0], math.inf).mass == math.inf


@pytest.mark.parametrize(
    "make",
    [
        lambda: m.product(),
        lambda: m.product(m.Normal(), 3.0),
        lambda: m.product(m.Normal(), m.scaled(0.0, m.Normal())),
        lambda: m.power(m.Normal(), 0),
        lambda: m.power(m.Normal(), 2.5),
        lambda: m.power(m.Normal(), True),
        lambda: m.Lebesgue([0.0, 0.0], [1.0, 1.0, 1.0]),
        lambda: m.Lebesgue([0.0, 1.0], 1.0),
        lambda: m.Lebesgue([[0.0]], 1.0),
        lambda: m.Lebesgue([], []),
        lambda: m.Lebesgue("a", 1.0),
        lambda: m.Uniform([0.0, math.nan], 1.0),
        lambda: m.product(m.Normal(), m.Normal()).quantiles([0.5, 0.5, 0.5]),
        lambda: m.product(m.Normal(), m.Lebesgue()).quantiles([0.5, 0.5]),
        lambda: m.product(m.from_log_density(lambda x: -(x**4))).quantiles([0.5]),
    ],
)
def test_what_is_no_product_is_refused_with_a_code(make):
    with pytest.raises(QedError) as caught:
        make()
    assert caught.value.code == "QED007"


def test_an_integral_on_the_line_refuses_a_product_of_two():
    with pytest.raises(QedError):
        qed.expect(lambda x: x, m.power(m.Normal(), 2))
