"""Closed forms of cross-entropies, entropies and divergences of named densities, in balls.

For q with log q = -log Z - sum_j c_j T_j(x), T_j one of x, x^2, 1/x, x^s, log x and its square, log(1 - x), |x - m|,
the cross-entropy needs the means of these under p alone:

    - E_p log q = log Z + sum_j c_j E_p T_j,        KL(p || q) = - E_p log q - H(p).

A mean that does not exist, or has no closed form here, gives None; the divergence of two Cauchy laws is symmetric
(Chyzak and Nielsen, 2019): log((s + t)^2 + d^2) - log(4 s t). Entropies: Cover and Thomas, *Elements of Information
Theory*, 2006, table 17.1. A test compares every pair with quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qed.domains.densities import NAMED
from qed.domains.families import Member
from qed.domains.masses import log_mass
from qed.domains.precision import flint

Balls = tuple[Any, ...]


def cross_entropy(p: Member, q: Member) -> Any:
    """A ball of - E_p log q, at the precision in force, or None; p must have no mass where q has none.

    >>> from qed.domains.closed_forms import cross_entropy
    >>> from qed.domains.precision import precision
    >>> with precision(64):
    ...     print(round(float(cross_entropy(("Uniform", (0.0, 2.0)), ("Exponential", (1.0,)))), 12))
    1.0
    """
    if p == q and q[0] in ENTROPIES:
        return ENTROPIES[q[0]](*_balls(q))
    rule = NEEDED.get(q[0])
    if rule is None:
        return None
    total = log_mass(*q)
    for name, coefficient, *at in rule(*_balls(q)):
        if coefficient.is_zero():
            continue
        mean = _mean(p, name, *at)
        if mean is None or not mean.is_finite():
            return None
        total += coefficient * mean
    return total


def divergence(p: Member, q: Member) -> Any:
    """A ball of KL(p || q), at the precision in force, or None; p must have no mass where q has none."""
    if p[0] == q[0] == "Cauchy":
        (m, s), (n, t) = _balls(p), _balls(q)
        return (((s - t) ** 2 + (m - n) ** 2) / (4 * s * t)).log1p()
    cross, own = cross_entropy(p, q), cross_entropy(p, p)
    return None if cross is None or own is None else cross - own


def _balls(member: Member) -> Balls:
    return tuple(map(flint().arb, member[1]))


def _student_entropy(df: Any, mean: Any, scale: Any) -> Any:
    half = (df + 1) / 2
    return half * (half.digamma() - (df / 2).digamma()) + _mass_of_student(df) + scale.log()


def _mass_of_student(df: Any) -> Any:
    half = flint().arb(0.5)
    return df.log() / 2 + (df / 2).lgamma() + half.lgamma() - (df / 2 + half).lgamma()


ENTROPIES: Mapping[str, Callable[..., Any]] = {
    "HalfCauchy": lambda scale: (2 * flint().arb.pi() * scale).log(),
    "Logistic": lambda mean, scale: scale.log() + 2,
    "Cauchy": lambda mean, scale: (4 * flint().arb.pi() * scale).log(),
    "StudentT": _student_entropy,
}
"""Entropies that are not of the form above."""

NEEDED: Mapping[str, Callable[..., tuple[tuple[Any, ...], ...]]] = {
    "Beta": lambda a, b: (("log", 1 - a), ("log of rest", 1 - b)),
    "Exponential": lambda rate: (("x", rate),),
    "Gamma": lambda shape, rate: (("log", 1 - shape), ("x", rate)),
    "HalfNormal": lambda scale: (("x^2", 1 / (2 * scale**2)),),
    "InverseGamma": lambda shape, rate: (("log", shape + 1), ("1/x", rate)),
    "Laplace": lambda mean, scale: (("distance", 1 / scale, mean),),
    "LogNormal": lambda mean, scale: (("log", flint().arb(1)), ("squared log distance", 1 / (2 * scale**2), mean)),
    "Normal": lambda mean, scale: (("squared distance", 1 / (2 * scale**2), mean),),
    "Pareto": lambda shape, lower: (("log", shape + 1),),
    "Uniform": lambda lower, upper: (),
    "Weibull": lambda shape, scale: (("log", 1 - shape), ("power", scale**-shape, shape)),
}
"""Which means the cross-entropy of a family needs, with their coefficients, and the point that distances are from."""


def _mean(p: Member, name: str, at: Any = None) -> Any:
    """E_p of one of the functions; None where there is none, or no closed form."""
    if name == "squared distance":
        first, second = _mean(p, "x"), _mean(p, "x^2")
        return None if first is None or second is None else second - 2 * at * first + at * at
    if name == "distance":
        return _distance(p, at)
    if name == "squared log distance":
        first, second = _mean(p, "log"), _mean(p, "log^2")
        return None if first is None or second is None else second - 2 * at * first + at * at
    if name == "power":
        return POWERS[p[0]](at, *_balls(p)) if p[0] in POWERS else None
    rule = MEANS.get((p[0], name))
    return None if rule is None else rule(*_balls(p))


def _distance(p: Member, at: Any) -> Any:
    """E |x - at|."""
    if p[0] == "Normal":
        mean, scale = _balls(p)
        d = (mean - at) / scale
        return scale * ((2 / flint().arb.pi()).sqrt() * (-d * d / 2).exp() + d * (d / flint().arb(2).sqrt()).erf())
    if p[0] == "Laplace":
        mean, scale = _balls(p)
        d = abs(mean - at)
        return d + scale * (-d / scale).exp()
    lower, upper = NAMED[p[0]].support(*p[1])
    first = _mean(p, "x")
    if first is None or not (at <= lower or at >= upper):
        return None
    return first - at if at <= lower else at - first


def _uniform_log(lower: Any, upper: Any) -> Any:
    """The mean of log x; 0 log 0 = 0."""
    below = flint().arb(0) if lower.is_zero() else lower * lower.log()
    above = flint().arb(0) if upper.is_zero() else upper * upper.log()
    return (above - below) / (upper - lower) - 1


def _trigamma(x: Any) -> Any:
    return flint().acb(x).polygamma(flint().acb(1)).real


def _student_mean(df: Any, mean: Any, scale: Any) -> Any:
    return mean if df > 1 else None


def _student_square(df: Any, mean: Any, scale: Any) -> Any:
    return mean**2 + scale**2 * df / (df - 2) if df > 2 else None


MEANS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("Beta", "x"): lambda a, b: a / (a + b),
    ("Beta", "x^2"): lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1)),
    ("Beta", "log"): lambda a, b: a.digamma() - (a + b).digamma(),
    ("Beta", "log of rest"): lambda a, b: b.digamma() - (a + b).digamma(),
    ("Exponential", "x"): lambda rate: 1 / rate,
    ("Exponential", "x^2"): lambda rate: 2 / rate**2,
    ("Exponential", "log"): lambda rate: flint().arb(1).digamma() - rate.log(),
    ("Gamma", "x"): lambda shape, rate: shape / rate,
    ("Gamma", "x^2"): lambda shape, rate: shape * (shape + 1) / rate**2,
    ("Gamma", "log"): lambda shape, rate: shape.digamma() - rate.log(),
    ("Gamma", "1/x"): lambda shape, rate: rate / (shape - 1) if shape > 1 else None,
    ("Gamma", "log^2"): lambda shape, rate: _trigamma(shape) + (shape.digamma() - rate.log()) ** 2,
    ("HalfNormal", "x"): lambda scale: scale * (2 / flint().arb.pi()).sqrt(),
    ("HalfNormal", "x^2"): lambda scale: scale**2,
    ("HalfNormal", "log"): lambda scale: scale.log() - (flint().arb.const_euler() + flint().arb(2).log()) / 2,
    ("InverseGamma", "x"): lambda shape, rate: rate / (shape - 1) if shape > 1 else None,
    ("InverseGamma", "x^2"): lambda shape, rate: rate**2 / ((shape - 1) * (shape - 2)) if shape > 2 else None,
    ("InverseGamma", "1/x"): lambda shape, rate: shape / rate,
    ("InverseGamma", "log"): lambda shape, rate: rate.log() - shape.digamma(),
    ("InverseGamma", "log^2"): lambda shape, rate: _trigamma(shape) + (rate.log() - shape.digamma()) ** 2,
    ("LogNormal", "x"): lambda mean, scale: (mean + scale**2 / 2).exp(),
    ("LogNormal", "x^2"): lambda mean, scale: (2 * mean + 2 * scale**2).exp(),
    ("LogNormal", "1/x"): lambda mean, scale: (scale**2 / 2 - mean).exp(),
    ("LogNormal", "log"): lambda mean, scale: mean,
    ("LogNormal", "log^2"): lambda mean, scale: mean**2 + scale**2,
    ("Logistic", "x"): lambda mean, scale: mean,
    ("Logistic", "x^2"): lambda mean, scale: mean**2 + (flint().arb.pi() * scale) ** 2 / 3,
    ("Pareto", "x"): lambda shape, lower: shape * lower / (shape - 1) if shape > 1 else None,
    ("Pareto", "x^2"): lambda shape, lower: shape * lower**2 / (shape - 2) if shape > 2 else None,
    ("Pareto", "1/x"): lambda shape, lower: shape / (lower * (shape + 1)),
    ("Pareto", "log"): lambda shape, lower: lower.log() + 1 / shape,
    ("Pareto", "log^2"): lambda shape, lower: (lower.log() + 1 / shape) ** 2 + 1 / shape**2,
    ("Weibull", "x"): lambda shape, scale: scale * (1 + 1 / shape).gamma(),
    ("Weibull", "x^2"): lambda shape, scale: scale**2 * (1 + 2 / shape).gamma(),
    ("Weibull", "log"): lambda shape, scale: scale.log() - flint().arb.const_euler() / shape,
    ("Laplace", "x"): lambda mean, scale: mean,
    ("Laplace", "x^2"): lambda mean, scale: mean**2 + 2 * scale**2,
    ("Normal", "x"): lambda mean, scale: mean,
    ("Normal", "x^2"): lambda mean, scale: mean**2 + scale**2,
    ("StudentT", "x"): _student_mean,
    ("StudentT", "x^2"): _student_square,
    ("Uniform", "x"): lambda lower, upper: (lower + upper) / 2,
    ("Uniform", "x^2"): lambda lower, upper: (lower**2 + lower * upper + upper**2) / 3,
    ("Uniform", "log"): _uniform_log,
    ("Uniform", "log of rest"): lambda lower, upper: _uniform_log(1 - upper, 1 - lower),
}
"""Means under named densities."""

POWERS: Mapping[str, Callable[..., Any]] = {
    "Exponential": lambda s, rate: (1 + s).gamma() / rate**s,
    "Gamma": lambda s, shape, rate: ((shape + s).lgamma() - shape.lgamma()).exp() / rate**s,
    "LogNormal": lambda s, mean, scale: (s * mean + (s * scale) ** 2 / 2).exp(),
    "Weibull": lambda s, shape, scale: scale**s * (1 + s / shape).gamma(),
}
"""The means of x^s, s > 0."""
