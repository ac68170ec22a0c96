"""The measures on offer, under one name: `qed.measures`.

Roots (Lebesgue, Counting, Dirac), the usual families, and what makes new measures from old ones; each has its own file.
"""

from __future__ import annotations

from qed.integration.combining import Lebesgue, add, from_log_density, mixture, restrict, reweight, scaled
from qed.integration.families.continuous import (
    Beta,
    Cauchy,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Laplace,
    Logistic,
    LogNormal,
    Normal,
    Pareto,
    StudentT,
    Uniform,
    Weibull,
)
from qed.integration.families.discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Counting,
    Dirac,
    Geometric,
    NegativeBinomial,
    Poisson,
)
from qed.integration.families.from_numpyro import from_numpyro
from qed.integration.families.from_scipy import from_scipy
from qed.integration.families.vectors import Dirichlet, MultivariateNormal
from qed.integration.images import pushforward
from qed.integration.measure import Measure
from qed.integration.product import Product, power, product

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Counting",
    "Dirac",
    "Dirichlet",
    "Exponential",
    "Gamma",
    "Geometric",
    "HalfCauchy",
    "HalfNormal",
    "InverseGamma",
    "Laplace",
    "Lebesgue",
    "LogNormal",
    "Logistic",
    "Measure",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Pareto",
    "Poisson",
    "Product",
    "StudentT",
    "Uniform",
    "Weibull",
    "add",
    "from_log_density",
    "from_numpyro",
    "from_scipy",
    "mixture",
    "power",
    "product",
    "pushforward",
    "restrict",
    "reweight",
    "scaled",
]
