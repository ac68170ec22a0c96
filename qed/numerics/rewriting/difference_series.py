"""Rests of Taylor series: R_k f(v) = (f(v) - a_0 - a_1 v - ... - a_{k-1} v^{k-1}) / v^k, accurate near 0.

``sin(v) / v`` is R_1 sin, ``(e^v - 1 - v) / v^2`` is R_2 exp, ``(1 - cos v) / v^2`` is -R_2 cos. Near 0 the series
``a_k + a_{k+1} v + ...`` is summed, its coefficients exact rational numbers rounded once; elsewhere the definition
loses at most the digits that remain at the switch.

The derivative is a rest again, summed from the differentiated series.

References: Higham, *Accuracy and Stability of Numerical Algorithms*, 2002, section 1.14.1; Goldberg, *What every
computer scientist should know about floating-point arithmetic*, 1991, theorem 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from qed.graph.build import Operation
from qed.numerics import logspace

LONGEST = 130
SLOPE = -1


@dataclass(frozen=True)
class Series:
    """A function by its Taylor coefficients at 0.

    Args:
        function: in jnp.
        coefficients: (count) -> that many coefficients.
        radius: up to which the series is summed.
        step: 2 for an odd or even function, else 1.
        lower: down to which the series is summed; default -radius.
    """

    function: Callable[[Any], Any]
    coefficients: Callable[[int], list[Fraction]]
    radius: float
    step: int = 1
    lower: float | None = None

    def near(self, v: Any) -> Any:
        """Where the series is summed."""
        return (v <= self.radius) & (v >= (-self.radius if self.lower is None else self.lower))


def _exponential(n: int) -> list[Fraction]:
    return [Fraction(1, math.factorial(k)) for k in range(n)]


def _kept(n: int, parity: int, alternating: bool) -> list[Fraction]:
    signs = [(-1) ** (k // 2) if alternating else 1 for k in range(n)]
    return [Fraction(signs[k], math.factorial(k)) if k % 2 == parity else Fraction(0) for k in range(n)]


def _log1p(n: int) -> list[Fraction]:
    return [Fraction(0)] + [Fraction((-1) ** (k + 1), k) for k in range(1, n)]


def _arctan(n: int, alternating: bool) -> list[Fraction]:
    return [Fraction((-1) ** (k // 2) if alternating else 1, k) if k % 2 else Fraction(0) for k in range(n)]


def _arcsin(n: int, alternating: bool) -> list[Fraction]:
    found = [Fraction(0)] * n
    for k in range(n // 2):
        if 2 * k + 1 < n:
            sign = (-1) ** k if alternating else 1
            found[2 * k + 1] = Fraction(sign * math.comb(2 * k, k), 4**k * (2 * k + 1))
    return found


def _quotient(above: list[Fraction], below: list[Fraction]) -> list[Fraction]:
    found: list[Fraction] = []
    for k in range(len(above)):
        rest = above[k] - sum((found[j] * below[k - j] for j in range(k)), Fraction(0))
        found.append(rest / below[0])
    return found


def _tangent(n: int, alternating: bool) -> list[Fraction]:
    return _quotient(_kept(n, 1, alternating), _kept(n, 0, alternating))


SERIES = {
    "exp": Series(jnp.exp, _exponential, 3.0, lower=-1.2),
    "expm1": Series(jnp.expm1, lambda n: [Fraction(0), *_exponential(n)[1:]], 3.0, lower=-1.2),
    "sin": Series(jnp.sin, lambda n: _kept(n, 1, True), 2.0, 2),
    "cos": Series(jnp.cos, lambda n: _kept(n, 0, True), 2.0, 2),
    "sinh": Series(jnp.sinh, lambda n: _kept(n, 1, False), 2.0, 2),
    "cosh": Series(jnp.cosh, lambda n: _kept(n, 0, False), 2.0, 2),
    "tan": Series(jnp.tan, lambda n: _tangent(n, True), 0.9, 2),
    "tanh": Series(jnp.tanh, lambda n: _tangent(n, False), 0.9, 2),
    "atan": Series(jnp.arctan, lambda n: _arctan(n, True), 0.6, 2),
    "atanh": Series(jnp.arctanh, lambda n: _arctan(n, False), 0.6, 2),
    "asin": Series(jnp.arcsin, lambda n: _arcsin(n, False), 0.6, 2),
    "asinh": Series(jnp.arcsinh, lambda n: _arcsin(n, True), 0.6, 2),
    "log1p": Series(logspace.log1p, _log1p, 0.5),
}


@cache
def _tail(name: str, k: int, order: int, digits: float) -> tuple[float, ...]:
    """Coefficients of the order-th derivative of R_k f, as many as the digits need within the radius.

    Of order SLOPE: those of (v^k R_k f)' / v^(k-1).
    """
    series = SERIES[name]
    values = series.coefficients(LONGEST)[k:]
    if order == SLOPE:
        values = [(k + j) * value for j, value in enumerate(values)]
    for _ in range(order):
        values = [j * values[j] for j in range(1, len(values))]
    largest, count = max(abs(float(v)) * series.radius**j for j, v in enumerate(values[:4])), 1
    for j, v in enumerate(values):
        if abs(float(v)) * series.radius**j > digits * largest / 8:
            count = j + 1
    return tuple(float(v) for v in values[:count])


def _sum(name: str, k: int, order: int, v: Any) -> Any:
    values = _tail(name, k, order, float(jnp.finfo(v.dtype).eps))
    step = SERIES[name].step
    first = next((j for j, value in enumerate(values) if value), 0)
    kept = values[first::step]
    argument = v * v if step == 2 else v
    total = jnp.full_like(v, kept[-1]) if kept else jnp.zeros_like(v)
    for value in kept[-2::-1]:
        total = total * argument + value
    return total * v if first else total


def _elsewhere(name: str, k: int, v: Any) -> Any:
    """The definition as one difference: f(v) minus the polynomial, over v^k."""
    return (SERIES[name].function(v) - _taylor(name, k, 0, v)) / v**k


@cache
def remainder(name: str, k: int) -> Callable[[Any], Any]:
    """R_k f, with its derivative.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(remainder("exp", 2)(jnp.float32(1e-6)), jax.grad(remainder("sin", 1))(jnp.float32(0.01)))
        0.5000002 -0.0033333
    """
    series = SERIES[name]

    def value(v: Any) -> Any:
        close = series.near(v)
        inside = jnp.where(close, v, 0).astype(v.dtype)
        outside = jnp.where(close, series.radius, v).astype(v.dtype)
        return jnp.where(close, _sum(name, k, 0, inside), _elsewhere(name, k, outside))

    def slope(v: Any) -> Any:
        close = series.near(v)
        inside = jnp.where(close, v, 0).astype(v.dtype)
        outside = jnp.where(close, series.radius, v).astype(v.dtype)
        far = (_slope(name, k)(outside) - k * _elsewhere(name, k, outside)) / outside
        return jnp.where(close, _sum(name, k, 1, inside), far)

    value.__name__ = value.__qualname__ = f"{name}_remainder"
    found = jax.custom_jvp(value)

    @found.defjvp
    def rule(primals: Any, tangents: Any) -> tuple[Any, Any]:
        (v,), (along,) = primals, tangents
        return found(v), slope(v) * along

    return found


@cache
def rest(name: str, k: int) -> Callable[[Any], Any]:
    """v^k R_k f(v) = f(v) - T_k(v), without overflow of v^k where the definition is good enough.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> print(rest("sin", 3)(jnp.float32(1e-3)), jax.grad(rest("sin", 3))(jnp.float32(1e-3)))
        -1.666667e-10 -5e-07
    """
    series = SERIES[name]

    def value(v: Any) -> Any:
        close = series.near(v)
        inside = jnp.where(close, v, 0).astype(v.dtype)
        near = jax.lax.integer_pow(inside, k) * _sum(name, k, 0, inside)
        return jnp.where(close, near, series.function(v) - _taylor(name, k, 0, v))

    def slope(v: Any) -> Any:
        close = series.near(v)
        inside = jnp.where(close, v, 0).astype(v.dtype)
        near = jax.lax.integer_pow(inside, k - 1) * _sum(name, k, SLOPE, inside)
        return jnp.where(close, near, _derivative(name, v) - _taylor(name, k, 1, v))

    value.__name__ = value.__qualname__ = f"{name}_rest"
    found = jax.custom_jvp(value)
    found.defjvp(lambda primals, tangents: (found(*primals), slope(*primals) * tangents[0]))
    return found


@jax.custom_jvp
def log_rest(w: Any, v: Any) -> Any:
    """log w - v for w = 1 + v, both of them known to their own digits.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_rest(jnp.float32(1.0), jnp.float32(1e-8)):.5g}")  # -v^2/2
        -5e-17
    """
    near = SERIES["log1p"].near(v)
    return jnp.where(near, rest("log1p", 2)(jnp.where(near, v, 0).astype(v.dtype)), jnp.log(jnp.where(near, 1, w)) - v)


@log_rest.defjvp
def _log_rest_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    w, v = primals
    near = SERIES["log1p"].near(v)
    in_w = jnp.where(near, 0, 1 / w).astype(v.dtype)
    return log_rest(w, v), in_w * tangents[0] - jnp.where(near, v / w, 1).astype(v.dtype) * tangents[1]


@jax.custom_jvp
def log_less(log: Any, v: Any) -> Any:
    """log(1 + v) - v from log(1 + v), which may have a derivative where 1/(1 + v) is no number; -inf where v overflows.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{log_less(jnp.float32(0.0), jnp.float32(1e-8)):.5g} {log_less(jnp.float32(90.0), jnp.inf)}")
        -5e-17 -inf
    """
    near = SERIES["log1p"].near(v)
    far = jnp.minimum(log, jnp.finfo(log.dtype).max) - v
    return jnp.where(near, rest("log1p", 2)(jnp.where(near, v, 0).astype(v.dtype)), far)


@log_less.defjvp
def _log_less_slope(primals: Any, tangents: Any) -> tuple[Any, Any]:
    log, v = primals
    near = SERIES["log1p"].near(v)
    inside = jnp.where(near, v, 0).astype(v.dtype)
    along = jnp.where(near, inside / (1 + inside), 1).astype(v.dtype) * tangents[1]
    return log_less(log, v), jnp.where(near, 0, 1).astype(v.dtype) * tangents[0] - along


def _taylor(name: str, k: int, order: int, v: Any) -> Any:
    """T_k or its derivative."""
    values = [float(value) for value in SERIES[name].coefficients(k)]
    if order:
        values = [j * values[j] for j in range(1, k)]
    while values and not values[-1]:  # 0 times an infinite v
        values.pop()
    polynomial = jnp.full_like(v, values.pop() if values else 0)
    for value in values[::-1]:
        polynomial = polynomial * v + value
    return polynomial


def _derivative(name: str, v: Any) -> Any:
    return jax.jvp(SERIES[name].function, (v,), (jnp.ones_like(v),))[1]


def _slope(name: str, k: int) -> Callable[[Any], Any]:
    """(f(v) - T_k(v))' / v^(k-1)."""
    return lambda v: (_derivative(name, v) - _taylor(name, k, 1, v)) / v ** (k - 1)


def _in_range(v: Any, f: str, k: int) -> Any:
    """R_k f(v); of float16, whose largest number is 65504, in float32: f(v) overflows where f(v) / v^k does not."""
    if v.dtype != jnp.float16:
        return remainder(f, k)(v)
    return remainder(f, k)(v.astype(jnp.float32)).astype(v.dtype)


REST = Operation("taylor_rest", lambda v, f, k: rest(f, k)(v), whole=True)
REMAINDER = Operation("remainder", _in_range, whole=True)
LOG_REST = Operation("log_rest", log_rest, whole=True)
LOG_LESS = Operation("log_less", log_less, whole=True)
