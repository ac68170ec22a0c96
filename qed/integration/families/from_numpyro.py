"""The distributions of NumPyro as measures, by name: each with the numbers it holds, without rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from qed.integration.families import continuous, discrete
from qed.integration.measure import Measure, real, wrong


def from_numpyro(law: Any) -> Measure:
    """The measure of a distribution of numpyro.distributions on the line, with its own parameters.

    Raises:
        QedError: QED007 for a distribution that is not known here, for a batch of them, and for one on vectors; and
            where a parameter of the family here would be rounded.

    >>> import numpyro.distributions as dist
    >>> from qed.integration.measures import from_numpyro
    >>> str(from_numpyro(dist.Normal(1.0, 2.0))), str(from_numpyro(dist.Poisson(3.0)))
    ('Normal(1, 2)', 'Poisson(3)')
    """
    kind = type(law)
    if not kind.__module__.startswith("numpyro.") or kind.__name__ not in _NUMPYRO:
        msg = f"{kind.__name__} is no law that is known here"
        raise wrong(msg, f"known are {', '.join(sorted(_NUMPYRO))}", "give its log-density to from_log_density")
    shapes = tuple(law.batch_shape), tuple(law.event_shape)
    if shapes != ((), ()):
        msg = f"{kind.__name__} of the shapes {shapes}"
        raise wrong(msg, "a measure on the line is one law of one number", "give one law, and product(...) of several")
    return _NUMPYRO[kind.__name__](law)


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
    "Cauchy": _of(continuous.Cauchy, "loc", "scale"),
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
