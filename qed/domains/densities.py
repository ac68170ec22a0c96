"""The named densities: log-densities up to a constant, each a function of x and its parameters, written once.

The constant is left out: a probability has total mass 1, so that an expectation is the quotient of two integrals, and
neither a rounded constant nor a wrong one can enter it. Reference: Johnson, Kotz and Balakrishnan, *Continuous
Univariate Distributions*, Wiley 1994.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qed.graph.trace import Traced, trace


@dataclass(frozen=True)
class NamedDensity:
    """A family: the log-density without its constant, and the ends of the support for given parameters."""

    log_density: Callable[..., Any]
    support: Callable[..., tuple[float, float]]
    parameters: tuple[str, ...]
    positive: tuple[str, ...]

    def traced(self, parameters: tuple[float, ...]) -> Traced:
        """The log-density as a graph of float64 numbers."""
        with jax.enable_x64(True):
            return trace(self.log_density, np.float64(0.5), *(np.float64(p) for p in parameters))


def _line(*parameters: float) -> tuple[float, float]:
    return -np.inf, np.inf


def _half_line(*parameters: float) -> tuple[float, float]:
    return 0.0, np.inf


def _normal(x: Any, mean: Any, scale: Any) -> Any:
    return -(((x - mean) / scale) ** 2) / 2


def _laplace(x: Any, mean: Any, scale: Any) -> Any:
    return -jnp.abs((x - mean) / scale)


def _student(x: Any, df: Any, mean: Any, scale: Any) -> Any:
    return -(df + 1) / 2 * jnp.log1p(((x - mean) / scale) ** 2 / df)


def _cauchy(x: Any, mean: Any, scale: Any) -> Any:
    return -jnp.log1p(((x - mean) / scale) ** 2)


def _exponential(x: Any, rate: Any) -> Any:
    return -rate * x


def _gamma(x: Any, shape: Any, rate: Any) -> Any:
    return (shape - 1) * jnp.log(x) - rate * x


def _beta(x: Any, a: Any, b: Any) -> Any:
    return (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x)


def _uniform(x: Any, lower: Any, upper: Any) -> Any:
    return 0 * x


def _half_normal(x: Any, scale: Any) -> Any:
    return -((x / scale) ** 2) / 2


def _half_cauchy(x: Any, scale: Any) -> Any:
    return -jnp.log1p((x / scale) ** 2)


def _inverse_gamma(x: Any, shape: Any, rate: Any) -> Any:
    return -(shape + 1) * jnp.log(x) - rate / x


def _weibull(x: Any, shape: Any, scale: Any) -> Any:
    return (shape - 1) * jnp.log(x) - (x / scale) ** shape


def _pareto(x: Any, shape: Any, lower: Any) -> Any:
    return -(shape + 1) * jnp.log(x)


def _logistic(x: Any, mean: Any, scale: Any) -> Any:
    z = jnp.abs((x - mean) / scale)
    return -z - 2 * jnp.log1p(jnp.exp(-z))


def _log_normal(x: Any, mean: Any, scale: Any) -> Any:
    return -jnp.log(x) - (((jnp.log(x) - mean) / scale) ** 2) / 2


NAMED: Mapping[str, NamedDensity] = {
    "Beta": NamedDensity(_beta, lambda a, b: (0.0, 1.0), ("a", "b"), ("a", "b")),
    "Cauchy": NamedDensity(_cauchy, _line, ("mean", "scale"), ("scale",)),
    "Exponential": NamedDensity(_exponential, _half_line, ("rate",), ("rate",)),
    "Gamma": NamedDensity(_gamma, _half_line, ("shape", "rate"), ("shape", "rate")),
    "HalfCauchy": NamedDensity(_half_cauchy, _half_line, ("scale",), ("scale",)),
    "HalfNormal": NamedDensity(_half_normal, _half_line, ("scale",), ("scale",)),
    "InverseGamma": NamedDensity(_inverse_gamma, _half_line, ("shape", "rate"), ("shape", "rate")),
    "Laplace": NamedDensity(_laplace, _line, ("mean", "scale"), ("scale",)),
    "LogNormal": NamedDensity(_log_normal, _half_line, ("mean", "scale"), ("scale",)),
    "Logistic": NamedDensity(_logistic, _line, ("mean", "scale"), ("scale",)),
    "Normal": NamedDensity(_normal, _line, ("mean", "scale"), ("scale",)),
    "Pareto": NamedDensity(_pareto, lambda shape, lower: (lower, np.inf), ("shape", "lower"), ("shape", "lower")),
    "StudentT": NamedDensity(_student, _line, ("df", "mean", "scale"), ("df", "scale")),
    "Uniform": NamedDensity(_uniform, lambda lower, upper: (lower, upper), ("lower", "upper"), ()),
    "Weibull": NamedDensity(_weibull, _half_line, ("shape", "scale"), ("shape", "scale")),
}
"""The families by name."""
