"""Measures on the line, as what Lebesgue's decomposition makes of them: point masses and densities.

    mu(A) = sum of w_i over x_i in A  +  sum over k of w_k int_A exp(u_k(x)) dx

A mixture of a spike and a slab, a zero-inflated law and an empirical distribution are ordinary measures in this form.
A part that is a probability is known up to its constant only: it is divided by its own integral wherever it is used.
Reference: Halmos, *Measure Theory*, Springer 1974, section 32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from qed.domains.densities import NAMED
from qed.errors import QedError

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Dirac",
    "Exponential",
    "Gamma",
    "Laplace",
    "Lebesgue",
    "Measure",
    "Normal",
    "StudentT",
    "Uniform",
    "from_log_density",
    "mixture",
]


@dataclass(frozen=True)
class Part:
    """A part with a density: a named family with its parameters, or a log-density of the user's.

    `weight` is its total mass where it is a probability; otherwise a factor of exp(log-density).
    """

    family: str
    parameters: tuple[float, ...]
    lower: float
    upper: float
    probability: bool = True
    weight: Fraction = Fraction(1)
    log_density: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Measure:
    """A measure on the line: atoms (place, mass), parts with a density, and its name.

    >>> from qed.integration.measures import Dirac, Normal, mixture
    >>> spike_and_slab = mixture([0.25, 0.75], [Dirac(0.0), Normal(0.0, 1.0)])
    >>> spike_and_slab.atoms, spike_and_slab.parts[0].family
    (((0.0, Fraction(1, 4)),), 'Normal')
    """

    atoms: tuple[tuple[float, Fraction], ...] = ()
    parts: tuple[Part, ...] = ()
    name: str = "measure"

    def __str__(self) -> str:
        return self.name


def _wrong(what: str, because: str, instead: str) -> QedError:
    return QedError("QED007", what, because, instead)


def _real(value: Any, name: str) -> float:
    """A finite number, exactly."""
    try:
        found = float(np.asarray(value).item()) if not isinstance(value, complex) else math.nan
    except (TypeError, ValueError):
        msg = f"{name} is no number"
        raise _wrong(msg, f"it is a {type(value).__name__}", "give one real number") from None
    if not math.isfinite(found):
        msg = f"{name} = {found}"
        raise _wrong(msg, "a parameter is a finite number", f"give {name} as a real number")
    return found


def _family(name: str, *values: Any) -> Measure:
    family = NAMED[name]
    parameters = tuple(_real(v, f"{p} of {name}") for v, p in zip(values, family.parameters, strict=True))
    for value, parameter in zip(parameters, family.parameters, strict=True):
        if parameter in family.positive and not value > 0:
            msg = f"{parameter} = {value} of {name}"
            raise _wrong(msg, "it must be positive", f"give a positive {parameter}")
    lower, upper = family.support(*parameters)
    if not lower < upper:
        msg = f"{name}({lower}, {upper})"
        raise _wrong(msg, "its support is empty", "give lower < upper")
    shown = ", ".join(f"{value:g}" for value in parameters)
    return Measure(parts=(Part(name, parameters, lower, upper),), name=f"{name}({shown})")


def Lebesgue(lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """Length on [lower, upper]; either end may be infinite."""
    if not lower < upper:
        msg = f"Lebesgue({lower}, {upper})"
        raise _wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("Uniform", (0.0, 1.0), float(lower), float(upper), probability=False)
    return Measure(parts=(part,), name=f"Lebesgue({lower:g}, {upper:g})")


def Dirac(x: float) -> Measure:
    """All mass, 1, at x."""
    place = _real(x, "x of Dirac")
    return Measure(atoms=((place, Fraction(1)),), name=f"Dirac({place:g})")


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


def Uniform(lower: float = 0.0, upper: float = 1.0) -> Measure:
    """The uniform law on [lower, upper]."""
    return _family("Uniform", lower, upper)


def _probability(p: Any, name: str) -> Fraction:
    found = Fraction(_real(p, name))
    if not 0 <= found <= 1:
        msg = f"{name} = {float(found)}"
        raise _wrong(msg, "a probability lies between 0 and 1", f"give {name} in [0, 1]")
    return found


def Bernoulli(p: float) -> Measure:
    """1 with probability p, else 0."""
    chance = _probability(p, "p of Bernoulli")
    return Measure(atoms=((0.0, 1 - chance), (1.0, chance)), name=f"Bernoulli({float(chance):g})")


def Binomial(n: int, p: float) -> Measure:
    """How many of n independent trials succeed."""
    chance = _probability(p, "p of Binomial")
    if not (isinstance(n, int) and 0 <= n <= 2000):
        msg = f"n = {n} of Binomial"
        raise _wrong(msg, "it is a whole number from 0 to 2000", "give n as an int")
    atoms = tuple((float(k), math.comb(n, k) * chance**k * (1 - chance) ** (n - k)) for k in range(n + 1))
    return Measure(atoms=atoms, name=f"Binomial({n}, {float(chance):g})")


def Categorical(probabilities: Sequence[float]) -> Measure:
    """0, 1, 2, ... with these probabilities, which are divided by their exact sum."""
    weights = _weights(probabilities, "the probabilities of Categorical")
    return Measure(atoms=tuple((float(k), w) for k, w in enumerate(weights)), name=f"Categorical of {len(weights)}")


def _weights(values: Sequence[float], name: str) -> list[Fraction]:
    found = [_probability(v, name) for v in np.asarray(values, float).ravel()]
    total = sum(found, Fraction(0))
    if abs(float(total) - 1) > 1e-5:
        msg = f"{name} add up to {float(total):g}"
        raise _wrong(msg, "they must add up to 1", "divide them by their sum")
    return [w / total for w in found]


def mixture(weights: Sequence[float], measures: Sequence[Measure]) -> Measure:
    """The measures with these weights, which are divided by their exact sum; atoms and densities may be mixed."""
    shares = _weights(weights, "the weights of mixture")
    if len(shares) != len(measures) or not all(isinstance(m, Measure) for m in measures):
        msg = "mixture needs a weight for each measure"
        raise _wrong(msg, f"{len(shares)} weights", "give lists of one length")
    atoms = tuple((x, w * share) for share, m in zip(shares, measures, strict=True) for x, w in m.atoms)
    parts = tuple(
        replace(part, weight=part.weight * share) for share, m in zip(shares, measures, strict=True) for part in m.parts
    )
    return Measure(atoms, parts, f"a mixture of {', '.join(m.name for m in measures)}")


def from_log_density(log_density: Callable[..., Any], lower: float = -math.inf, upper: float = math.inf) -> Measure:
    """The probability whose density on [lower, upper] is proportional to exp(log_density(x))."""
    if not callable(log_density):
        msg = f"a {type(log_density).__name__} is no function"
        raise _wrong(msg, "it cannot be called", "give a function of x")
    if not lower < upper:
        msg = f"[{lower}, {upper}]"
        raise _wrong(msg, "the interval is empty", "give lower < upper")
    part = Part("", (), float(lower), float(upper), log_density=log_density)
    return Measure(parts=(part,), name=f"the law of {getattr(log_density, '__name__', 'a log-density')}")
