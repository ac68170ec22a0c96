"""The distributions of NumPyro as measures, by name: each with the numbers it holds, without rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from qed.integration.combining import mixture
from qed.integration.families import continuous, discrete
from qed.integration.families.composed import gamma_poisson, gumbel, log_uniform, named, scattered, truncated
from qed.integration.families.vectors import Dirichlet, MultivariateNormal
from qed.integration.images import pushforward
from qed.integration.measure import Measure, real, wrong
from qed.integration.product import product


def from_numpyro(law: Any) -> Any:
    """The measure of a distribution of numpyro.distributions, with its own parameters: a law of numbers or of vectors.

    Mixed, zero-inflated, truncated, transformed and independent ones (`.to_event(1)`) are made of their parts.

    Raises:
        QedError: QED007 for a distribution that is not known here, and for a batch of them; and where a parameter of
            the family here would be rounded.

    >>> import numpyro.distributions as dist
    >>> from qed.integration.measures import from_numpyro
    >>> str(from_numpyro(dist.Normal(1.0, 2.0))), str(from_numpyro(dist.Poisson(3.0)))
    ('Normal(1, 2)', 'Poisson(3)')
    """
    kind = type(law)
    if not kind.__module__.startswith("numpyro.") or kind.__name__ not in {*_NUMPYRO, *_COMPOSED}:
        msg = f"{kind.__name__} is no law that is known here"
        instead = "give its log-density to from_log_density"
        raise wrong(msg, f"known are {', '.join(sorted({*_NUMPYRO, *_COMPOSED}))}", instead)
    shapes = tuple(law.batch_shape), tuple(law.event_shape)
    if shapes[0] or (shapes[1] and kind.__name__ not in VECTORS):
        msg = f"{kind.__name__} of the shapes {shapes}"
        raise wrong(msg, "a batch is no law of one vector", "write .to_event(1) for one, or give one law")
    return {**_NUMPYRO, **_COMPOSED}[kind.__name__](law)


def _of(make: Callable[..., Measure], *names: str) -> Callable[[Any], Measure]:
    return lambda law: make(*(real(getattr(law, name), name) for name in names))


def _whole(value: Any, name: str) -> int:
    found = real(value, name)
    if not found.is_integer():
        msg = f"{name} = {found}"
        raise wrong(msg, "it is a whole number", f"give {name} as one")
    return int(found)


def _rest(p: float) -> float:
    """1 - p, if it is not rounded."""
    if Fraction(1.0 - p) != 1 - Fraction(p):
        msg = f"1 - {p}"
        raise wrong(msg, "it is rounded in float64: a proof would speak of another law", "make it by qed.measures")
    return 1.0 - p


def _categorical(law: Any) -> Measure:
    return discrete.Categorical([float(p) for p in np.asarray(law.probs, np.float64)])


_NUMPYRO: Mapping[str, Callable[[Any], Measure]] = {
    "BernoulliProbs": _of(discrete.Bernoulli, "probs"),
    "Beta": _of(continuous.Beta, "concentration1", "concentration0"),
    "BinomialProbs": lambda law: discrete.Binomial(_whole(law.total_count, "total_count"), real(law.probs, "probs")),
    "CategoricalProbs": _categorical,
    "BetaProportion": _of(continuous.Beta, "concentration1", "concentration0"),
    "Cauchy": _of(continuous.Cauchy, "loc", "scale"),
    "Chi2": _of(continuous.Gamma, "concentration", "rate"),
    "Delta": _of(discrete.Dirac, "v"),
    "Exponential": _of(continuous.Exponential, "rate"),
    "Gamma": _of(continuous.Gamma, "concentration", "rate"),
    "GeometricProbs": _of(discrete.Geometric, "probs"),
    "HalfCauchy": _of(continuous.HalfCauchy, "scale"),
    "HalfNormal": _of(continuous.HalfNormal, "scale"),
    "InverseGamma": _of(continuous.InverseGamma, "concentration", "rate"),
    "Laplace": _of(continuous.Laplace, "loc", "scale"),
    "LogNormal": _of(continuous.LogNormal, "loc", "scale"),
    "Logistic": _of(continuous.Logistic, "loc", "scale"),
    "NegativeBinomialProbs": lambda law: discrete.NegativeBinomial(
        real(law.total_count, "total_count"), _rest(real(law.probs, "probs"))
    ),
    "Normal": _of(continuous.Normal, "loc", "scale"),
    "Pareto": _of(continuous.Pareto, "alpha", "scale"),
    "Poisson": _of(discrete.Poisson, "rate"),
    "StudentT": _of(continuous.StudentT, "df", "loc", "scale"),
    "Uniform": _of(continuous.Uniform, "low", "high"),
    "Weibull": _of(continuous.Weibull, "concentration", "scale"),
}
"""The makers by the names of NumPyro's classes."""

VECTORS = frozenset({"Dirichlet", "Independent", "MultivariateNormal"})
"""The classes of laws of vectors."""


def _one_of(law: Any, k: int) -> Any:
    """The k-th of a batch of laws: the same object with the k-th of all numbers that it and its parts hold."""
    while type(law).__name__ == "ExpandedDistribution":
        law = law.base_dist
    if not tuple(law.batch_shape):
        return law
    found, size = copy(law), law.batch_shape[0]
    for name, held in vars(law).items():
        if name == "transforms":
            one = [jax.tree.map(lambda leaf: _row(leaf, k, size), transform) for transform in held]
        elif hasattr(held, "batch_shape"):
            one = _one_of(held, k)
        else:
            one = _row(held, k, size) if hasattr(held, "ndim") else held
        vars(found)[name] = one
    vars(found)["_batch_shape"] = ()
    return found


def _row(held: Any, k: int, size: int) -> Any:
    """The k-th number of those that one batch holds, or the one that is the same for all."""
    if not np.ndim(held):
        return held
    if np.shape(held)[0] not in (1, size):
        msg = f"a batch of {size} laws holds numbers of the shape {np.shape(held)}"
        raise wrong(msg, "which of them are those of one law is not known", "give the product of the laws")
    return held[k if np.shape(held)[0] == size else 0]


def _mixed(law: Any) -> Measure:
    shares = [float(p) for p in np.asarray(law.mixing_distribution.probs, np.float64)]
    if hasattr(law, "component_distributions"):
        parts = list(law.component_distributions)
    else:
        parts = [_one_of(law.component_distribution, k) for k in range(len(shares))]
    return mixture(shares, [from_numpyro(one) for one in parts])


def _transformed(law: Any) -> Measure:
    def image(x: Any) -> Any:
        for transform in law.transforms:
            x = transform(x)
        return x

    return named(pushforward(from_numpyro(law.base_dist), image), f"{type(law).__name__} of {law.base_dist}")


def _independent(law: Any) -> Any:
    base = law.base_dist
    if len(base.batch_shape) != 1 or tuple(base.event_shape):
        msg = f"Independent of the shape {tuple(base.batch_shape)}"
        raise wrong(msg, "its laws are not those of one vector", "give one axis of laws of numbers")
    return product(*(from_numpyro(_one_of(base, k)) for k in range(base.batch_shape[0])))


def _between(law: Any) -> Measure:
    low, high = (real(getattr(law, name), name) if hasattr(law, name) else end
                 for name, end in (("low", -np.inf), ("high", np.inf)))  # fmt: skip
    return truncated(from_numpyro(law.base_dist), low, high)


def _zero_inflated(law: Any) -> Measure:
    gate = real(law.gate, "gate")
    return mixture([gate, 1 - gate], [discrete.Dirac(0.0), from_numpyro(law.base_dist)])


_COMPOSED: Mapping[str, Callable[[Any], Any]] = {
    "Dirichlet": lambda law: Dirichlet(np.asarray(law.concentration)),
    "DiscreteUniform": lambda law: scattered(range(_whole(law.low, "low"), _whole(law.high, "high") + 1)),
    "GammaPoisson": lambda law: gamma_poisson(real(law.concentration, "concentration"), real(law.rate, "rate")),
    "Gumbel": lambda law: gumbel(real(law.loc, "loc"), real(law.scale, "scale")),
    "Independent": _independent,
    "MultivariateNormal": lambda law: MultivariateNormal(np.asarray(law.loc), np.asarray(law.covariance_matrix)),
    **dict.fromkeys(("MixtureGeneral", "MixtureSameFamily"), _mixed),
    "LogUniform": lambda law: log_uniform(real(law.low, "low"), real(law.high, "high")),
    **dict.fromkeys(("FoldedDistribution", "TransformedDistribution"), _transformed),
    **dict.fromkeys(
        ("LeftTruncatedDistribution", "RightTruncatedDistribution", "TwoSidedTruncatedDistribution"), _between
    ),
    **dict.fromkeys(("ZeroInflatedPoisson", "ZeroInflatedProbs"), _zero_inflated),
}
"""The makers of laws that are made of others."""
_COMPOSED = {**_COMPOSED, "NegativeBinomial2": _COMPOSED["GammaPoisson"]}
