"""Maps from the unit interval onto a law: quantile functions, by which points of [0, 1] are carried to where mass is.

If U is uniform on [0, 1] and Q(u) = inf {x : u <= F(x)}, then Q(U) has the law of F. Of a sum of atoms and densities
with the weights w_1, w_2, ... the interval [0, 1] is cut into pieces of these lengths, and each piece is carried onto
its own part: the image of the uniform law is the mixture, though the map need not be monotone.
Reference: Devroye, *Non-Uniform Random Variate Generation*, Springer 1986, section II.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import special

from qed.domains.counts import COUNTS
from qed.integration.images import moved
from qed.integration.measure import Measure, Part, wrong

Array = np.ndarray


def _laplace(u: Array, mean: float, scale: float) -> Array:
    tail = np.log(2 * np.minimum(u, 1 - u))
    return mean + scale * np.where(u < 0.5, tail, -tail)


QUANTILES: Mapping[str, Callable[..., Array]] = {
    "Beta": lambda u, a, b: special.betaincinv(a, b, u),
    "Cauchy": lambda u, mean, scale: mean - scale / np.tan(np.pi * u),
    "Exponential": lambda u, rate: -np.log1p(-u) / rate,
    "Gamma": lambda u, shape, rate: special.gammaincinv(shape, u) / rate,
    "HalfCauchy": lambda u, scale: scale * np.tan(np.pi * u / 2),
    "HalfNormal": lambda u, scale: scale * special.ndtri((1 + u) / 2),
    "InverseGamma": lambda u, shape, rate: rate / special.gammainccinv(shape, u),
    "Laplace": _laplace,
    "LogNormal": lambda u, mean, scale: np.exp(mean + scale * special.ndtri(u)),
    "Logistic": lambda u, mean, scale: mean + scale * (np.log(u) - np.log1p(-u)),
    "Normal": lambda u, mean, scale: mean + scale * special.ndtri(u),
    "Pareto": lambda u, shape, lower: lower * np.exp(-np.log1p(-u) / shape),
    "StudentT": lambda u, df, mean, scale: mean + scale * special.stdtrit(df, u),
    "Uniform": lambda u, lower, upper: lower + (upper - lower) * u,
    "Weibull": lambda u, shape, scale: scale * (-np.log1p(-u)) ** (1 / shape),
}
"""The quantile functions of the named densities, in float64."""


def quantile(measure: Measure, u: Any) -> Array:
    """Points of [0, 1] carried onto a measure of finite mass, divided by its mass; in float64, 0 and 1 to the ends.

    Raises:
        QedError: QED007 for a measure of mass 0 or infinity, and for a part that is given by a log-density.

    >>> from qed.integration.measures import Dirac, Normal, mixture
    >>> from qed.integration.transport import quantile
    >>> quantile(mixture([0.5, 0.5], [Dirac(3.0), Normal()]), [0.25, 0.75]).tolist()
    [3.0, 0.0]
    """
    points = np.asarray(u, np.float64)
    pieces = [(float(w), x) for x, w in measure.atoms if w > 0]
    pieces += [(length_of(part), part) for part in measure.parts if part.weight > 0]
    total = sum(weight for weight, _ in pieces)
    if not 0 < total < np.inf:
        because = f"its mass is {total:g}"
        msg = f"{measure} has no quantiles"
        raise wrong(msg, because, "give a measure of finite mass that is not 0")
    ends = np.cumsum([0.0, *(weight / total for weight, _ in pieces)])
    ends[-1] = 1.0
    found = np.full(points.shape, np.nan)
    for k, (_, piece) in enumerate(pieces):
        here = (points >= ends[k]) & ((points < ends[k + 1]) | (k == len(pieces) - 1))
        inner = np.clip((points[here] - ends[k]) / (ends[k + 1] - ends[k]), 0.0, 1.0)
        found[here] = _of_part(piece, inner) if isinstance(piece, Part) else piece
    return found


def length_of(part: Part) -> float:
    """The mass of a part; raises QED007 where it is given by a log-density that is no probability."""
    if part.probability:
        return float(part.weight)
    if part.of is not None:
        return length_of(replace(part.of, weight=part.weight))
    if part.counting and part.family in COUNTS:
        low, high = _levels(part)
        return float(part.weight) * (high - low)
    if part.counting and part.log_density is None:
        return float(part.weight) * (part.upper - part.lower + 1)
    if part.log_density is not None or part.cut:
        because = "its mass is an integral that is not known"
        msg = "a log-density has no quantiles" if part.log_density is not None else "a law that is cut has no quantiles"
        raise wrong(msg, because, "integrate against Lebesgue, with the density as a factor")
    return float(part.weight) * (part.upper - part.lower)


def _of_scipy(part: Part) -> Any:
    """A named law on whole numbers, as scipy.stats has it."""
    from scipy import stats

    law = {"Binomial": "binom", "Geometric": "geom", "NegativeBinomial": "nbinom", "Poisson": "poisson"}[part.family]
    parameters = (int(part.parameters[0]), part.parameters[1]) if law == "binom" else part.parameters
    return getattr(stats, law)(*parameters, loc=-1 if law == "geom" else 0)


def masses_of(part: Part, k: Any) -> Array:
    """The masses of a named law on whole numbers at some of them, in float64.

    >>> from qed.integration.measures import Geometric
    >>> from qed.integration.transport import masses_of
    >>> masses_of(Geometric(0.5).parts[0], [0, 1]).tolist()
    [0.5, 0.25]
    """
    return np.asarray(_of_scipy(part).pmf(np.asarray(k, np.float64)))


def _levels(part: Part) -> tuple[float, float]:
    """What a named law on whole numbers has below a part of it, and up to its end."""
    law = _of_scipy(part)
    return float(law.cdf(part.lower - 1)), float(law.cdf(part.upper))


def _of_part(part: Part, u: Array) -> Array:
    if part.image is not None and part.of is not None:
        return moved(_of_part(part.of, u), part.image)
    if part.counting and part.family in COUNTS:
        low, high = _levels(part)
        return np.clip(_of_scipy(part).ppf(low + (high - low) * u), part.lower, part.upper)
    if part.counting and part.log_density is None:
        return np.minimum(part.lower + np.floor((part.upper - part.lower + 1) * u), part.upper)
    if not part.probability:
        return part.lower + (part.upper - part.lower) * u
    if part.family not in QUANTILES:
        because = "its distribution function is not known"
        msg = "a log-density has no quantiles"
        raise wrong(msg, because, "integrate against Lebesgue, with the density as a factor")
    with np.errstate(all="ignore"):
        return np.clip(QUANTILES[part.family](u, *part.parameters), part.lower, part.upper)
