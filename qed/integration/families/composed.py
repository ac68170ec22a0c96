"""Laws that other libraries know by a name, and that are made here of others: truncated, moved, mixed, repeated.

    a law on [a, b] alone       density proportional to that of the law there
    the law of loc + scale X    an image; its atoms and its density are those of X, moved
    counts of a Gamma rate      negative binomial (Greenwood and Yule, J. Royal Stat. Soc. 83, 1920)

No constant is computed that would be rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from qed.domains.densities import NAMED
from qed.integration.combining import from_log_density, mixture
from qed.integration.families.continuous import LogNormal, Normal
from qed.integration.families.discrete import Dirac, NegativeBinomial
from qed.integration.images import pushforward
from qed.integration.measure import Measure, wrong


def named(law: Measure, name: str) -> Measure:
    """The same measure under another name."""
    return replace(law, name=name)


def moved(law: Measure, loc: float, scale: float) -> Measure:
    """The law of loc + scale X.

    >>> from qed.integration.families.composed import moved
    >>> from qed.integration.families.continuous import Gamma
    >>> str(moved(Gamma(2.0, 1.0), 1.0, 3.0))
    '1 + 3 Gamma(2, 1)'
    """
    if (loc, scale) == (0, 1):
        return law
    return named(pushforward(law, lambda x: loc + scale * x), f"{loc:g} + {scale:g} {law}")


def truncated(law: Measure, lower: float, upper: float) -> Measure:
    """The law given that it lies in [lower, upper].

    Raises:
        QedError: QED007 for what is not one named density, or has no mass there.

    >>> from qed.integration.families.composed import truncated
    >>> from qed.integration.families.continuous import Normal
    >>> str(truncated(Normal(0.0, 1.0), -1.0, 2.0))
    'Normal(0, 1) truncated to [-1, 2]'
    """
    part = law.parts[0] if len(law.parts) == 1 and not law.atoms else None
    if part is None or part.family not in NAMED or part.counting or part.of is not None:
        msg = f"{law} is not truncated"
        raise wrong(msg, "it is not one law with a name on the line", "give a log-density to from_log_density")
    density, given = NAMED[part.family].log_density, part.parameters
    found = from_log_density(lambda x: density(x, *given), max(lower, part.lower), min(upper, part.upper))
    return named(found, f"{law} truncated to [{lower:g}, {upper:g}]")


def gumbel(loc: float, scale: float, sign: float = 1.0) -> Measure:
    """Gumbel's law of the largest (1) or the smallest (-1) of many."""

    def log_density(x: Any) -> Any:
        z = sign * (x - loc) / scale
        return -z - jnp.exp(-z)

    return named(from_log_density(log_density), f"Gumbel({loc:g}, {scale:g})")


def skew_normal(shape: float, loc: float, scale: float) -> Measure:
    """Azzalini's law, the density 2 phi(z) Phi(shape z)."""

    def log_density(x: Any) -> Any:
        z = (x - loc) / scale
        return -z * z / 2 + norm.logcdf(shape * z)

    return named(from_log_density(log_density), f"SkewNormal({shape:g}, {loc:g}, {scale:g})")


def gamma_poisson(shape: float, rate: float) -> Measure:
    """The law of counts whose rate has a Gamma law: negative binomial, with p = rate / (1 + rate).

    Raises:
        QedError: QED007 where that is rounded.
    """
    p = rate / (1 + rate)
    if Fraction(p) * (1 + Fraction(rate)) != Fraction(rate):
        msg = f"{rate} / (1 + {rate})"
        raise wrong(msg, "it is rounded in float64: a proof would speak of another law", "give NegativeBinomial(n, p)")
    return NegativeBinomial(shape, p)


def scattered(places: Sequence[float], weights: Sequence[float] | None = None) -> Measure:
    """Finitely many atoms; without weights all of one mass."""
    given = [1 / len(places)] * len(places) if weights is None else [float(w) for w in weights]
    return named(mixture(given, [Dirac(float(x)) for x in places]), f"{len(places)} atoms")


def log_uniform(lower: float, upper: float) -> Measure:
    """The law of e^U for U uniform between log(lower) and log(upper), by its density 1/x.

    >>> from qed.integration.families.composed import log_uniform
    >>> str(log_uniform(1.0, 10.0))
    'LogUniform(1, 10)'
    """
    if not 0 < lower < upper < np.inf:
        msg = f"LogUniform({lower}, {upper})"
        raise wrong(msg, "it lies between two positive numbers", "give 0 < lower < upper")
    return named(from_log_density(lambda x: -jnp.log(x), lower, upper), f"LogUniform({lower:g}, {upper:g})")


def log_normal(log_scale: float, scale: float) -> Measure:
    """The law of scale exp(log_scale Z)."""
    if scale == 1:
        return LogNormal(0.0, log_scale)
    image: Callable[[Any], Any] = lambda z: scale * jnp.exp(z)  # noqa: E731
    return named(pushforward(Normal(0.0, log_scale), image), f"{scale:g} LogNormal(0, {log_scale:g})")
