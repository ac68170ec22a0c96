"""Substitutions that carry an interval onto a law, smooth in the law's parameters, which may be traced.

    int f(x) p(x; theta) dx = int_a^b f(x(w; theta)) g(w; theta) dw,      g = p(x) dx/dw

Where the parameters move and stretch the law, x moves with them (reparametrisation: Kingma and Welling, ICLR 2014);
where they change its shape, x stands still and g changes (the score function: Williams, Machine Learning 8, 1992). Both
derivatives are exact, as both sides are one integral; g falls off at least exponentially, so that [a, b] is finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, gammaln

TAIL = 44.0
"""How far a sinh goes out: to 6e18."""
FAR = {4: 80.0, 8: 680.0}
"""Behind this an exponential is too large, by the bytes of a number."""


@dataclass(frozen=True, eq=False)
class Line:
    """A substitution: where w begins and ends, x and log g at w, where g has corners, and where x is too large."""

    lower: Any
    upper: Any
    point: Callable[[Any], Any]
    log_weight: Callable[[Any], Any]
    corners: tuple[float, ...] = ()
    beyond: Callable[[Any], Any] | None = None


def _log_cosh(w: Any) -> Any:
    """The logarithm of the derivative of sinh, without overflow."""
    return jnp.abs(w) + jnp.log1p(jnp.exp(-2 * jnp.abs(w))) - math.log(2.0)


def _normal(mean: Any, scale: Any) -> Line:
    return Line(-9.5, 9.5, lambda w: mean + scale * w, lambda w: -w * w / 2 - 0.5 * math.log(2 * math.pi))


def _laplace(mean: Any, scale: Any) -> Line:
    return Line(-42.0, 42.0, lambda w: mean + scale * w, lambda w: -jnp.abs(w) - math.log(2.0), (0.0,))


def _student(df: Any, mean: Any, scale: Any) -> Line:
    def log_weight(w: Any) -> Any:
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - 0.5 * jnp.log(df * math.pi)
        return constant - (df + 1) / 2 * jnp.log1p(jnp.sinh(w) ** 2 / df) + _log_cosh(w)

    return Line(-TAIL, TAIL, lambda w: mean + scale * jnp.sinh(w), log_weight)


def _gamma(shape: Any, rate: Any) -> Line:
    fixed = jax.lax.stop_gradient(shape)
    centre, scale = jnp.log(fixed), 1 / jnp.sqrt(fixed)

    def log_weight(v: Any) -> Any:
        w = centre + scale * v
        return shape * w - jnp.exp(w) - gammaln(shape) + jnp.log(scale)

    return Line(-9.0 - 42.0 * scale, 9.0 + 0.0 * scale, lambda v: jnp.exp(centre + scale * v) / rate, log_weight)


def _beta(a: Any, b: Any) -> Line:
    first, second = (jax.lax.stop_gradient(v) for v in (a, b))
    centre, scale = jnp.log(first / second), jnp.sqrt(1 / first + 1 / second)

    def log_weight(v: Any) -> Any:
        w = centre + scale * v
        return a * jax.nn.log_sigmoid(w) + b * jax.nn.log_sigmoid(-w) - betaln(a, b) + jnp.log(scale)

    low, high = -9.0 - 42.0 / (first * scale), 9.0 + 42.0 / (second * scale)
    return Line(low, high, lambda v: jax.nn.sigmoid(centre + scale * v), log_weight)


def _uniform(lower: Any, upper: Any) -> Line:
    return Line(0.0, 1.0, lambda t: lower + (upper - lower) * t, lambda t: 0.0 * t)


def _half(line: Line) -> Line:
    """Both halves of a symmetric law at once."""
    return Line(0.0, line.upper, line.point, lambda w: line.log_weight(w) + math.log(2.0))


def _of_exponential(point: Callable[[Any], Any], beyond: Callable[[Any], Any] | None = None) -> Line:
    """The law of point(E), where E is exponential; beyond(E) where that is too large."""
    line = _gamma(jnp.asarray(1.0), 1.0)
    lost = None if beyond is None else lambda v: beyond(line.point(v))
    return Line(line.lower, line.upper, lambda v: point(line.point(v)), line.log_weight, beyond=lost)


def _pareto(shape: Any, lower: Any) -> Line:
    return _of_exponential(lambda e: lower * jnp.exp(jnp.minimum(e / shape, far(e))), lambda e: e / shape > far(e))


def far(x: Any) -> float:
    """Behind this an exponential is too large for the precision of x."""
    return FAR.get(jnp.result_type(x).itemsize, FAR[4])


def _inverse_gamma(shape: Any, rate: Any) -> Line:
    line = _gamma(shape, rate)
    return Line(line.lower, line.upper, lambda v: 1 / line.point(v), line.log_weight)


def _logistic(mean: Any, scale: Any) -> Line:
    return Line(-42.0, 42.0, lambda w: mean + scale * w, lambda w: jax.nn.log_sigmoid(w) + jax.nn.log_sigmoid(-w))


LINES: Mapping[str, Callable[..., Line]] = {
    "Beta": _beta,
    "Cauchy": lambda mean, scale: _student(1.0, mean, scale),
    "Exponential": lambda rate: _gamma(jnp.asarray(1.0), rate),
    "Gamma": _gamma,
    "HalfCauchy": lambda scale: _half(_student(1.0, 0.0, scale)),
    "HalfNormal": lambda scale: _half(_normal(0.0, scale)),
    "InverseGamma": _inverse_gamma,
    "Laplace": _laplace,
    "Logistic": _logistic,
    "Normal": _normal,
    "Pareto": _pareto,
    "StudentT": _student,
    "Uniform": _uniform,
    "Weibull": lambda shape, scale: _of_exponential(lambda e: scale * e ** (1 / shape)),
}
"""By the family's name, of its parameters."""


def length(lower: Any, upper: Any) -> Line:
    """Length on an interval, whose ends may be traced, or infinite."""
    ends = [end if isinstance(end, float | int) else None for end in (lower, upper)]
    if ends[0] == -math.inf or ends[1] == math.inf:
        return _half_infinite(lower, upper)
    size = upper - lower
    return Line(0.0, 1.0, lambda t: lower + size * t, lambda t: jnp.log(jnp.abs(size)) + 0.0 * t)


def _half_infinite(lower: Any, upper: Any) -> Line:
    """Length on a half line or the whole line, the sinh of w."""
    if isinstance(lower, float | int) and lower == -math.inf and isinstance(upper, float | int) and upper == math.inf:
        return Line(-TAIL, TAIL, jnp.sinh, _log_cosh)
    if isinstance(upper, float | int) and upper == math.inf:
        return Line(-TAIL, TAIL, lambda w: lower + jnp.exp(w), lambda w: w)
    return Line(-TAIL, TAIL, lambda w: upper - jnp.exp(-w), lambda w: -w)


def about_mode(u: Callable[[Any], Any], lower: Any, upper: Any) -> Line:
    """Length on an interval, its points close together about the largest value of u; u takes and returns arrays."""
    coarse = length(lower, upper)
    w = coarse.lower + (coarse.upper - coarse.lower) * (jnp.arange(2048) + 0.5) / 2048
    step = (coarse.upper - coarse.lower) / 2048

    def value(w: Any) -> Any:
        found = u(coarse.point(w))
        return jnp.where(jnp.isnan(found), -jnp.inf, found)

    best = w[jnp.argmax(value(w))]
    for _ in range(5):
        w = jnp.clip(best + step * jnp.linspace(-1.5, 1.5, 65), coarse.lower, coarse.upper)
        best, step = w[jnp.argmax(value(w))], step * 3 / 64
    mode = jax.lax.stop_gradient(coarse.point(best))
    ladder = (1.0 + jnp.abs(mode)) * 2.0 ** jnp.arange(-20.0, 10.0)
    top = u(mode[None])[0]
    drops = jnp.minimum(top - u(mode + ladder), top - u(mode - ladder))
    far = ~(drops < 0.5)
    scale = jax.lax.stop_gradient(jnp.where(jnp.any(far), ladder[jnp.argmax(far)], ladder[-1]))

    def end(bound: Any, sign: float) -> Any:
        if isinstance(bound, float | int) and math.isinf(bound):
            return sign * 40.0
        return jnp.arcsinh((bound - mode) / scale)

    def log_weight(w: Any) -> Any:
        return jnp.log(scale) + _log_cosh(w)

    return Line(end(lower, -1.0), end(upper, 1.0), lambda w: mode + scale * jnp.sinh(w), log_weight, (0.0,))
