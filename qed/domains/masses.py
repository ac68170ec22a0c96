"""The masses of the named densities: the integral of exp(log-density), each a closed form, in balls.

`qed.domains.densities` leaves the constants out; where a constant must be known, it is this one. A test compares each
with an enclosure of the integral. Reference: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*,
Wiley 1994.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qed.domains.precision import flint


def _log_beta(a: Any, b: Any) -> Any:
    return a.lgamma() + b.lgamma() - (a + b).lgamma()


def _pi() -> Any:
    return flint().arb.pi()


LOG_MASS: Mapping[str, Callable[..., Any]] = {
    "Beta": _log_beta,
    "Cauchy": lambda mean, scale: (_pi() * scale).log(),
    "Exponential": lambda rate: -rate.log(),
    "Gamma": lambda shape, rate: shape.lgamma() - shape * rate.log(),
    "HalfCauchy": lambda scale: (_pi() * scale / 2).log(),
    "HalfNormal": lambda scale: (_pi() / 2).log() / 2 + scale.log(),
    "InverseGamma": lambda shape, rate: shape.lgamma() - shape * rate.log(),
    "Laplace": lambda mean, scale: (2 * scale).log(),
    "LogNormal": lambda mean, scale: (2 * _pi()).log() / 2 + scale.log(),
    "Logistic": lambda mean, scale: scale.log(),
    "Normal": lambda mean, scale: (2 * _pi()).log() / 2 + scale.log(),
    "Pareto": lambda shape, lower: -shape * lower.log() - shape.log(),
    "StudentT": lambda df, mean, scale: scale.log() + df.log() / 2 + _log_beta(df / 2, flint().arb(0.5)),
    "Uniform": lambda lower, upper: (upper - lower).log(),
    "Weibull": lambda shape, scale: shape * scale.log() - shape.log(),
}
"""The logarithm of the mass, by the family's name, as a function of balls."""


def log_mass(family: str, parameters: tuple[float, ...]) -> Any:
    """A ball of the logarithm of the mass of a named density, at the precision in force.

    >>> from qed.domains.masses import log_mass
    >>> from qed.domains.precision import precision
    >>> with precision(64):
    ...     print(round(float(log_mass("Normal", (0.0, 1.0))), 6))
    0.918939
    """
    return LOG_MASS[family](*map(flint().arb, parameters))
