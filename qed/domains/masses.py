"""The masses of the named densities: the integral of exp(log-density), each a closed form, in balls and in JAX.

`qed.domains.densities` leaves the constants out; where a constant must be known, it is this one. A test compares each
with an enclosure of the integral. Reference: Johnson, Kotz and Balakrishnan, *Continuous Univariate Distributions*,
Wiley 1994.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qed.domains.precision import flint
from qed.domains.two_arithmetics import BALLS, Functions


def _beta(f: Functions, a: Any, b: Any) -> Any:
    return f.lgamma(a) + f.lgamma(b) - f.lgamma(a + b)


def _gamma(f: Functions, shape: Any, rate: Any) -> Any:
    return f.lgamma(shape) - shape * f.log(rate)


def _normal(f: Functions, mean: Any, scale: Any) -> Any:
    return f.log(2 * f.pi()) / 2 + f.log(scale)


def _student(f: Functions, df: Any, mean: Any, scale: Any) -> Any:
    return f.log(scale) + f.log(df * f.pi()) / 2 + f.lgamma(df / 2) - f.lgamma(df / 2 + 0.5)


LOG_MASS: Mapping[str, Callable[..., Any]] = {
    "Beta": _beta,
    "Cauchy": lambda f, mean, scale: f.log(f.pi() * scale),
    "Exponential": lambda f, rate: -f.log(rate),
    "Gamma": _gamma,
    "HalfCauchy": lambda f, scale: f.log(f.pi() * scale / 2),
    "HalfNormal": lambda f, scale: f.log(f.pi() / 2) / 2 + f.log(scale),
    "InverseGamma": _gamma,
    "Laplace": lambda f, mean, scale: f.log(2 * scale),
    "LogNormal": _normal,
    "Logistic": lambda f, mean, scale: f.log(scale),
    "Normal": _normal,
    "Pareto": lambda f, shape, lower: -shape * f.log(lower) - f.log(shape),
    "StudentT": _student,
    "Uniform": lambda f, lower, upper: f.log(upper - lower),
    "Weibull": lambda f, shape, scale: shape * f.log(scale) - f.log(shape),
}
"""The logarithm of the mass, by the family's name: a function of an arithmetic and the parameters."""


def log_mass(family: str, parameters: tuple[float, ...]) -> Any:
    """A ball of the logarithm of the mass of a named density, at the precision in force.

    >>> from qed.domains.masses import log_mass
    >>> from qed.domains.precision import precision
    >>> with precision(64):
    ...     print(round(float(log_mass("Normal", (0.0, 1.0))), 6))
    0.918939
    """
    return LOG_MASS[family](BALLS, *map(flint().arb, parameters))
