"""The frozen laws of scipy.stats as measures, where their parameters are the ones given here, without rounding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from qed.errors import QedError
from qed.integration.families.continuous import Beta, Cauchy, Exponential, Gamma, Laplace, Normal, StudentT, Uniform
from qed.integration.families.discrete import Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson
from qed.integration.measure import Measure, real, wrong


def from_scipy(law: Any) -> Measure:
    """The measure of a frozen law of scipy.stats, where its parameters are the ones given here, without rounding.

    Raises:
        QedError: QED007 for another law than a frozen one of bernoulli, beta, binom, cauchy, expon, gamma, geom (with
            loc = -1: the failures alone), laplace, nbinom, norm, poisson, t and uniform; where it is
            moved and the family here is not; and where 1 / scale or loc + scale would be rounded, since a proof would
            speak of another law.

    >>> from scipy import stats
    >>> from qed.integration.measures import from_scipy
    >>> str(from_scipy(stats.norm(1.0, scale=2.0))), str(from_scipy(stats.expon(scale=0.5)))
    ('Normal(1, 2)', 'Exponential(2)')
    """
    name, given = getattr(getattr(law, "dist", None), "name", None), _frozen(law)
    if name not in _SCIPY or given is None:
        msg = f"{name or 'a ' + type(law).__name__} is no law that is known here"
        raise wrong(msg, f"known are {', '.join(sorted(_SCIPY))}", "give its log-density to from_log_density")
    shapes, loc, scale = given
    if not scale > 0:
        msg = f"scale = {scale} of {name}"
        raise wrong(msg, "it must be positive", "give a positive scale")
    if name in ("norm", "laplace", "t", "cauchy"):
        return _SCIPY[name](*shapes, loc, scale)
    if name == "uniform":
        if Fraction(loc) + Fraction(scale) != Fraction(loc + scale):
            raise _rounded(name, f"{loc} + {scale}")
        return Uniform(loc, loc + scale)
    if name == "geom" and (loc, scale) == (-1, 1):
        return Geometric(*shapes)
    if loc != 0 or name == "geom" or (scale != 1 and name not in ("expon", "gamma")):
        msg = f"{name} with loc = {loc}, scale = {scale}"
        raise wrong(msg, "the family here is not moved", "integrate f(loc + scale * x) against the law at 0")
    if name in ("expon", "gamma"):
        rate = 1 / scale
        if Fraction(rate) * Fraction(scale) != 1:
            raise _rounded(name, f"1 / {scale}")
        return _SCIPY[name](*shapes, rate)
    if name == "binom" and shapes[0].is_integer():
        return Binomial(int(shapes[0]), shapes[1])
    return _SCIPY[name](*shapes)


def _rounded(name: str, term: str) -> QedError:
    msg = f"{term} of {name}"
    return wrong(msg, "it is rounded in float64: a proof would speak of another law", "make the law by qed.measures")


def _frozen(law: Any) -> tuple[tuple[float, ...], float, float] | None:
    """The shapes, loc and scale of a frozen law; None where it is none."""
    dist, args, keywords = (getattr(law, name, None) for name in ("dist", "args", "kwds"))
    if dist is None or args is None or keywords is None or not hasattr(dist, "shapes"):
        return None
    names = [*(dist.shapes or "").replace(",", " ").split(), "loc", "scale"]
    found = {"loc": 0.0, "scale": 1.0, **dict(zip(names, args, strict=False)), **keywords}
    values = tuple(real(found[name], name) for name in names)
    return values[:-2], values[-2], values[-1]


_SCIPY: dict[str, Callable[..., Measure]] = {
    "bernoulli": Bernoulli,
    "beta": Beta,
    "binom": Binomial,
    "cauchy": Cauchy,
    "expon": Exponential,
    "gamma": Gamma,
    "geom": Geometric,
    "laplace": Laplace,
    "nbinom": NegativeBinomial,
    "norm": Normal,
    "poisson": Poisson,
    "t": StudentT,
    "uniform": Uniform,
}
"""The makers by the names of scipy.stats."""
