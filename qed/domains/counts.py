"""The named laws on whole numbers: their masses, in balls and in JAX, and the ratio of two.

    Poisson            m(k) = exp(-rate) rate^k / k!                            k = 0, 1, ...
    NegativeBinomial   m(k) = Gamma(k + n) / (k! Gamma(n)) p^n (1 - p)^k        failures before the n-th success
    Geometric          m(k) = p (1 - p)^k                                       failures before the first success
    Binomial           m(k) = n! / (k! (n - k)!) p^k (1 - p)^(n - k)            k = 0, ..., n

In all of them m(k + 1) / m(k) is monotone in k, so that all later ratios lie between one of them and their limit.
Reference: Johnson, Kemp and Kotz, *Univariate Discrete Distributions*, Wiley 2005, chapters 3 to 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from qed.domains.precision import flint
from qed.domains.two_arithmetics import BALLS, JAX, Functions
from qed.graph.trace import Traced, trace


@dataclass(frozen=True)
class NamedMasses:
    """A family on whole numbers.

    Args:
        formula: the logarithm of m(k), of an arithmetic, k and the parameters.
        ratio: m(k + 1) / m(k) of an int k and balls.
        limit: the limit of the ratios, of balls.
        parameters, positive, chances: all names; those that are positive; those strictly between 0 and 1.
        last: the last place, of the parameters.
    """

    formula: Callable[..., Any]
    ratio: Callable[..., Any]
    limit: Callable[..., Any]
    parameters: tuple[str, ...]
    positive: tuple[str, ...] = ()
    chances: tuple[str, ...] = ()
    last: Callable[..., float] = lambda *_: np.inf

    def log_mass(self, k: Any, *parameters: Any) -> Any:
        """The logarithm of m(k), in JAX."""
        return self.formula(JAX, k, *parameters)

    def mass(self, k: float, *balls: Any) -> Any:
        """A ball of m(k), at the precision in force."""
        return self.formula(BALLS, flint().arb(k), *balls).exp()

    def traced(self, parameters: tuple[float, ...]) -> Traced:
        """The logarithm of the mass as a graph of float64 numbers."""
        with jax.enable_x64(True):
            return trace(self.log_mass, np.float64(0.5), *(np.float64(p) for p in parameters))

    def fault(self, parameters: tuple[float, ...]) -> str:
        """What is wrong with the parameters; nothing where they are right."""
        if len(parameters) != len(self.parameters) or not all(map(np.isfinite, parameters)):
            return f"the parameters are {', '.join(self.parameters)}, finite numbers"
        values = dict(zip(self.parameters, parameters, strict=True))
        for name in self.positive:
            if not values[name] > 0:
                return f"{name} must be positive"
        for name in self.chances:
            if not 0 < values[name] < 1:
                return f"{name} must lie between 0 and 1"
        return ""


def _poisson(f: Functions, k: Any, rate: Any) -> Any:
    return k * f.log(rate) - rate - f.lgamma(k + 1)


def _negative(f: Functions, k: Any, n: Any, p: Any) -> Any:
    return f.lgamma(k + n) - f.lgamma(k + 1) - f.lgamma(n) + n * f.log(p) + k * f.log1p(-p)


def _geometric(f: Functions, k: Any, p: Any) -> Any:
    return f.log(p) + k * f.log1p(-p)


def _binomial(f: Functions, k: Any, n: Any, p: Any) -> Any:
    ways = f.lgamma(n + 1) - f.lgamma(k + 1) - f.lgamma(n - k + 1)
    return ways + k * f.log(p) + (n - k) * f.log1p(-p)


COUNTS: Mapping[str, NamedMasses] = {
    "Binomial": NamedMasses(
        _binomial,
        lambda k, n, p: (n - k) * p / ((k + 1) * (1 - p)),
        lambda n, p: flint().arb(0),
        ("n", "p"),
        ("n",),
        ("p",),
        lambda n, p: n,
    ),
    "Geometric": NamedMasses(_geometric, lambda k, p: 1 - p, lambda p: 1 - p, ("p",), (), ("p",)),
    "NegativeBinomial": NamedMasses(
        _negative,
        lambda k, n, p: (n + k) / (k + 1) * (1 - p),
        lambda n, p: 1 - p,
        ("n", "p"),
        ("n",),
        ("p",),
    ),
    "Poisson": NamedMasses(
        _poisson,
        lambda k, rate: rate / (k + 1),
        lambda rate: flint().arb(0),
        ("rate",),
        ("rate",),
    ),
}
"""The families by name."""


def later(family: str, k: int, parameters: tuple[float, ...]) -> tuple[Any, Any]:
    """Balls whose lower and upper ends bound m(j + 1) / m(j) for all j >= k.

    >>> from qed.domains.counts import later
    >>> from qed.domains.precision import precision
    >>> with precision(64):
    ...     print(*(round(float(end), 6) for end in later("Poisson", 7, (2.0,))))
    0.0 0.25
    """
    named, balls = COUNTS[family], tuple(map(flint().arb, parameters))
    both = named.ratio(k, *balls).union(named.limit(*balls))
    least = flint().arb(0)
    return (both.lower() if both.lower() > 0 else least), both.upper()
