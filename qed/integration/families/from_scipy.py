"""The frozen laws of scipy.stats as measures, where their parameters are the ones given here, without rounding."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from qed.errors import QedError
from qed.integration.families.composed import gumbel, log_normal, moved, scattered, skew_normal, truncated
from qed.integration.families.continuous import (
    Beta,
    Cauchy,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    Laplace,
    Logistic,
    Normal,
    Pareto,
    StudentT,
    Uniform,
    Weibull,
)
from qed.integration.families.discrete import Bernoulli, Binomial, Geometric, NegativeBinomial, Poisson
from qed.integration.families.vectors import Dirichlet, MultivariateNormal
from qed.integration.measure import Measure, real, wrong


def from_scipy(law: Any) -> Any:
    """The measure of a frozen law of scipy.stats, where its parameters are the ones given here, without rounding.

    What the family here does not have, loc and scale, makes an image of it: loc + scale X.

    Raises:
        QedError: QED007 for another law than a frozen one of bernoulli, beta, binom, cauchy, chi2, dirichlet, expon,
            gamma, geom, gumbel_l, gumbel_r, halfcauchy, halfnorm, invgamma, laplace, logistic, lognorm,
            multivariate_normal, nbinom, norm, pareto, poisson, randint, rv_discrete with values, skewnorm, t,
            truncnorm, uniform and weibull_min; and where loc + scale of uniform would be rounded, since a proof would
            speak of another law.

    >>> from scipy import stats
    >>> from qed.integration.measures import from_scipy
    >>> str(from_scipy(stats.norm(1.0, scale=2.0))), str(from_scipy(stats.expon(scale=0.5)))
    ('Normal(1, 2)', 'Exponential(2)')
    """
    if (found := _vectors_or_table(law)) is not None:
        return found
    name, given = getattr(getattr(law, "dist", None), "name", None), _frozen(law)
    if name not in {*_SCIPY, *_SCALED, *_AT_ONE} or given is None:
        msg = f"{name or 'a ' + type(law).__name__} is no law that is known here"
        raise wrong(
            msg,
            f"known are {', '.join(sorted({*_SCIPY, *_SCALED, *_AT_ONE}))}",
            "give its log-density to from_log_density",
        )
    shapes, loc, scale = given
    if not scale > 0:
        msg = f"scale = {scale} of {name}"
        raise wrong(msg, "it must be positive", "give a positive scale")
    if name in ("norm", "laplace", "t", "cauchy", "logistic"):
        return _SCIPY[name](*shapes, loc, scale)
    if name == "uniform":
        if Fraction(loc) + Fraction(scale) != Fraction(loc + scale):
            raise _rounded(name, f"{loc} + {scale}")
        return Uniform(loc, loc + scale)
    if name == "geom":
        return moved(Geometric(*shapes), loc + 1, scale)
    if name == "lognorm":
        return moved(log_normal(shapes[0], scale), loc, 1.0)
    if name in _SCALED and loc == 0:
        return _SCALED[name](*shapes, scale)
    if name == "binom" and shapes[0].is_integer():
        return moved(Binomial(int(shapes[0]), shapes[1]), loc, scale)
    rate = 1 / scale
    if name in ("expon", "gamma") and loc == 0 and Fraction(rate) * Fraction(scale) == 1:
        return _SCIPY[name](*shapes, rate)
    if name in ("expon", "gamma"):
        return moved(_SCIPY[name](*shapes, 1.0), loc, scale)
    return moved((_SCIPY | _AT_ONE)[name](*shapes), loc, scale)


def _vectors_or_table(law: Any) -> Any:
    """The measure of what is no frozen law of one number, or is a table; None for others."""
    kind, inner = type(law).__name__, getattr(law, "dist", law)
    if kind == "multivariate_normal_frozen":
        return MultivariateNormal(law.mean, law.cov)
    if kind == "dirichlet_frozen":
        return Dirichlet(law.alpha)
    if type(inner).__name__ == "rv_sample":
        loc = 0.0 if inner is law else _loc_of(law)
        places = [real(x, "a value") for x in inner.xk]
        if any(Fraction(x) + Fraction(loc) != Fraction(x + loc) for x in places):
            raise _rounded("a table", f"its values + {loc}")
        return scattered([x + loc for x in places], [real(p, "a probability") for p in inner.pk])
    name, given = getattr(getattr(law, "dist", None), "name", None), _frozen(law)
    if name == "randint" and given is not None:
        (low, high), loc, _ = given
        return scattered([loc + k for k in range(int(low), int(high))])
    return None


def _loc_of(law: Any) -> float:
    """By how much a frozen table is moved."""
    return real({"loc": 0.0, **dict(zip(("loc",), law.args, strict=False)), **law.kwds}["loc"], "loc")


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
    "logistic": Logistic,
    "nbinom": NegativeBinomial,
    "norm": Normal,
    "poisson": Poisson,
    "t": StudentT,
    "uniform": Uniform,
}
"""The makers by the names of scipy.stats."""
_SCALED: dict[str, Callable[..., Measure]] = {
    "halfcauchy": HalfCauchy,
    "halfnorm": HalfNormal,
    "invgamma": InverseGamma,
    "pareto": Pareto,
    "weibull_min": Weibull,
}
"""Those whose scale is the last parameter here."""
_AT_ONE: dict[str, Callable[..., Measure]] = {
    "chi2": lambda df: Gamma(df / 2, 0.5),
    "gumbel_l": lambda: gumbel(0.0, 1.0, -1.0),
    "gumbel_r": lambda: gumbel(0.0, 1.0),
    "lognorm": lambda s: log_normal(s, 1.0),
    "skewnorm": lambda a: skew_normal(a, 0.0, 1.0),
    "truncnorm": lambda a, b: truncated(Normal(), a, b),
    **{name: (lambda *shapes, make=make: make(*shapes, 1.0)) for name, make in _SCALED.items()},
}
"""Those that are made at loc = 0 and scale = 1, and moved."""
