"""Laws with a density: the families of `qed.domains.densities`, made of their parameters.

    P(A) = int_A exp(u(x)) dx / int exp(u(x)) dx

Reference: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*, Wiley 1994.
"""

from __future__ import annotations

from typing import Any, overload

from qed.domains.densities import NAMED
from qed.integration.measure import Measure, Part, real, wrong
from qed.integration.product import box
from qed.integration.traced.tracers import is_traced


def _family(name: str, *values: Any) -> Measure:
    family = NAMED[name]
    if is_traced(values):
        return Measure(parts=(Part(name, values, *family.support(*values)),), name=f"{name} of traced parameters")
    parameters = tuple(real(v, f"{p} of {name}") for v, p in zip(values, family.parameters, strict=True))
    for value, parameter in zip(parameters, family.parameters, strict=True):
        if parameter in family.positive and not value > 0:
            msg = f"{parameter} = {value} of {name}"
            raise wrong(msg, "it must be positive", f"give a positive {parameter}")
    lower, upper = family.support(*parameters)
    if not lower < upper:
        msg = f"{name}({lower}, {upper})"
        raise wrong(msg, "its support is empty", "give lower < upper")
    shown = ", ".join(f"{value:g}" for value in parameters)
    return Measure(parts=(Part(name, parameters, lower, upper),), name=f"{name}({shown})")


def Normal(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The normal law with this mean and standard deviation."""
    return _family("Normal", mean, scale)


def Laplace(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The density exp(-|x - mean| / scale) / (2 scale)."""
    return _family("Laplace", mean, scale)


def StudentT(df: float, mean: float = 0.0, scale: float = 1.0) -> Measure:
    """Student's law with df degrees of freedom, moved and scaled."""
    return _family("StudentT", df, mean, scale)


def Cauchy(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """Cauchy's law, which has no mean."""
    return _family("Cauchy", mean, scale)


def Exponential(rate: float = 1.0) -> Measure:
    """The density rate exp(-rate x) for x >= 0."""
    return _family("Exponential", rate)


def Gamma(shape: float, rate: float = 1.0) -> Measure:
    """The density proportional to x^(shape - 1) exp(-rate x) for x >= 0."""
    return _family("Gamma", shape, rate)


def Beta(a: float, b: float) -> Measure:
    """The density proportional to x^(a - 1) (1 - x)^(b - 1) on [0, 1]."""
    return _family("Beta", a, b)


def HalfNormal(scale: float = 1.0) -> Measure:
    """The law of |X| for a normal X of mean 0 and this standard deviation."""
    return _family("HalfNormal", scale)


def HalfCauchy(scale: float = 1.0) -> Measure:
    """The law of |X| for Cauchy's X about 0; it has no mean."""
    return _family("HalfCauchy", scale)


def InverseGamma(shape: float, rate: float = 1.0) -> Measure:
    """The law of 1 / X for a Gamma X: the density proportional to x^(-shape - 1) exp(-rate / x) for x > 0."""
    return _family("InverseGamma", shape, rate)


def LogNormal(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The law of exp(X) for a normal X with this mean and standard deviation."""
    return _family("LogNormal", mean, scale)


def Logistic(mean: float = 0.0, scale: float = 1.0) -> Measure:
    """The law whose distribution function is the sigmoid of (x - mean) / scale."""
    return _family("Logistic", mean, scale)


def Pareto(shape: float, lower: float = 1.0) -> Measure:
    """The density proportional to x^(-shape - 1) for x >= lower > 0."""
    return _family("Pareto", shape, lower)


def Weibull(shape: float, scale: float = 1.0) -> Measure:
    """The density proportional to x^(shape - 1) exp(-(x / scale)^shape) for x >= 0."""
    return _family("Weibull", shape, scale)


@overload
def Uniform(lower: float = 0.0, upper: float = 1.0) -> Measure: ...
@overload
def Uniform(lower: Any, upper: Any) -> Any: ...
def Uniform(lower: Any = 0.0, upper: Any = 1.0) -> Any:
    """The uniform law on [lower, upper]; with vectors, on a box."""
    found = box(Uniform, lower, upper)
    return _family("Uniform", lower, upper) if found is None else found
